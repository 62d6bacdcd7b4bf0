// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/stores"
	"github.com/projectionist-dev/projectionist/projectors/stores/memory"
	"github.com/projectionist-dev/projectionist/projectors/stores/postgres"
	"github.com/projectionist-dev/projectionist/projectors/stores/sqlite"
)

// Database is a read store that a URL names, for tools that run projections
// without a ReadStore.
type Database interface {
	// Admin and Writer open the two sides. They do not connect yet.
	Admin() (stores.Admin, error)
	Writer(c *contract.Contract) (stores.Writer, error)
	// Close gives the store back; a scratch store removes what it has made.
	Close() error
}

// URLForms are the URLs that OpenURL takes, for messages and help.
const URLForms = "memory:, sqlite:FILE or postgres://USER:PASSWORD@HOST/DATABASE" //nolint:gosec // it holds no credentials

// OpenURL gives the store of a URL. Application is what the database shows as
// the client's name. Its errors never repeat the URL, which may hold a password.
func OpenURL(storeURL, application string) (Database, error) {
	scheme, rest, _ := strings.Cut(storeURL, ":")
	switch scheme {
	case "memory":
		return memoryDatabase{memory.New()}, nil
	case "sqlite":
		if rest == "" {
			return nil, errors.New("the URL names no file: use sqlite:FILE")
		}
		return sqliteDatabase{sqlite.Open(rest)}, nil
	case "postgres", "postgresql":
		return newPostgresDatabase(storeURL, application)
	default:
		return nil, fmt.Errorf("no store is known by this URL: use %s", URLForms)
	}
}

// OpenURLOf is OpenURL for tables that an operator has made: in PostgreSQL they are in the schemas of the ReadStore, whose
// address may be another one from here.
func OpenURLOf(st contract.Store, storeURL, application string) (Database, error) {
	db, err := OpenURL(storeURL, application)
	if p, ok := db.(*postgresDatabase); ok && st.Postgres != nil {
		p.config.Schema, p.config.BookkeepingSchema = st.Postgres.Schema, st.Postgres.BookkeepingSchema
	}
	return db, err
}

// OpenScratch is OpenURL for a place of its own there, which Close removes: in
// PostgreSQL two new schemas, for SQLite a new file beside the one named.
func OpenScratch(storeURL, application string) (Database, error) {
	if file, ok := strings.CutPrefix(storeURL, "sqlite:"); ok && file != "" && file != sqlite.Memory {
		dir, err := os.MkdirTemp(filepath.Dir(file), "projection-test-")
		if err != nil {
			return nil, err
		}
		return scratchFile{sqliteDatabase{sqlite.Open(filepath.Join(dir, "test.db"))}, dir}, nil
	}
	db, err := OpenURL(storeURL, application)
	if p, ok := db.(*postgresDatabase); ok {
		name := "projection_test_" + strings.ToLower(rand.Text()[:10])
		p.config.Schema, p.config.BookkeepingSchema, p.scratch = name, name+"_bookkeeping", true
	}
	return db, err
}

type memoryDatabase struct{ *memory.Store }

func (d memoryDatabase) Admin() (stores.Admin, error) { return d.Store.Admin(), nil }

func (d memoryDatabase) Writer(c *contract.Contract) (stores.Writer, error) {
	return d.Store.Writer(c), nil
}

func (d memoryDatabase) Close() error { return nil }

type sqliteDatabase struct{ *sqlite.Database }

func (d sqliteDatabase) Admin() (stores.Admin, error) { return d.Database.Admin(), nil }

// scratchFile is a database in a directory of its own.
type scratchFile struct {
	sqliteDatabase
	dir string
}

func (d scratchFile) Close() error {
	return errors.Join(d.sqliteDatabase.Close(), os.RemoveAll(d.dir))
}

type postgresDatabase struct {
	config  postgres.Config
	scratch bool
}

func newPostgresDatabase(storeURL, application string) (*postgresDatabase, error) {
	ep, err := endpoint(storeURL)
	if err != nil {
		return nil, err
	}
	return &postgresDatabase{config: postgres.Config{
		Resolve:     func(context.Context) (postgres.Endpoint, error) { return ep, nil },
		Application: application, Schema: "public", BookkeepingSchema: "projectionist",
	}}, nil
}

// endpoint reads a postgresql:// URL as libpq does, but for its plaintext
// fallbacks: without sslmode there is no TLS.
func endpoint(storeURL string) (postgres.Endpoint, error) {
	u, err := url.Parse(storeURL)
	if err != nil {
		return postgres.Endpoint{}, errors.New("not a postgres:// URL: percent-encode special characters of the password")
	}
	query := u.Query()
	ep := postgres.Endpoint{
		Host: cmp.Or(query.Get("host"), u.Hostname(), "localhost"), Port: 5432,
		Database: strings.TrimPrefix(u.Path, "/"), User: u.User.Username(), Password: os.Getenv("PGPASSWORD"),
		TLS: postgres.TLS{Mode: query.Get("sslmode")},
	}
	if p, ok := u.User.Password(); ok {
		ep.Password = p
	}
	if ep.TLS.Mode == "allow" || ep.TLS.Mode == "prefer" {
		ep.TLS.Mode = "disable"
	}
	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil {
			return ep, errors.New("the port in the URL is not a number from 1 to 65535")
		}
		ep.Port = uint16(n)
	}
	if file := query.Get("sslrootcert"); file != "" {
		if ep.TLS.CA, err = os.ReadFile(file); err != nil { //nolint:gosec // the path is the user's own argument
			return ep, err
		}
	}
	if ep.User == "" || ep.Database == "" {
		return ep, errors.New("the URL names no user or no database: postgres://USER:PASSWORD@HOST/DATABASE")
	}
	return ep, nil
}

func (d *postgresDatabase) Admin() (stores.Admin, error) {
	return postgres.OpenAdmin(postgres.AdminConfig{Config: d.config})
}

func (d *postgresDatabase) Writer(c *contract.Contract) (stores.Writer, error) {
	return postgres.OpenWriter(d.config, c)
}

// dropTimeout bounds the removal of scratch schemas.
const dropTimeout = 30 * time.Second

func (d *postgresDatabase) Close() error {
	if !d.scratch {
		return nil
	}
	// Also after an interrupt: what was made is removed.
	ctx, cancel := context.WithTimeout(context.Background(), dropTimeout)
	defer cancel()
	return postgres.DropSchemas(ctx, d.config)
}

// Redact is a store's URL without its password, for messages.
func Redact(storeURL string) string {
	u, err := url.Parse(storeURL)
	if err != nil || u.User == nil {
		scheme, _, _ := strings.Cut(storeURL, ":")
		if scheme == "memory" || scheme == "sqlite" {
			return storeURL
		}
		return scheme + ":..."
	}
	if u.User.Username() != "" {
		u.User = url.User(u.User.Username())
	}
	u.RawQuery = ""
	return u.String()
}
