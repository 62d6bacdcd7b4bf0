// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/stores/postgres"
)

func TestEndpoint(t *testing.T) {
	t.Setenv("PGPASSWORD", "from-environment")
	for in, want := range map[string]postgres.Endpoint{
		"postgres://me:p%40ss@db.shop:5433/orders?sslmode=verify-full": {Host: "db.shop", Port: 5433, Database: "orders", User: "me", Password: "p@ss", TLS: postgres.TLS{Mode: "verify-full"}},
		"postgresql://me@/orders":                                      {Host: "localhost", Port: 5432, Database: "orders", User: "me", Password: "from-environment"},
		"postgres:///orders?host=/run/postgresql":                      {Host: "/run/postgresql"}, // no user
		"postgres://me@db/orders?sslmode=prefer":                       {Host: "db", Port: 5432, Database: "orders", User: "me", Password: "from-environment", TLS: postgres.TLS{Mode: "disable"}},
	} {
		got, err := endpoint(in)
		if want.User == "" {
			if err == nil {
				t.Errorf("%s is taken, and names no user", in)
			}
			continue
		}
		if err != nil || got.Host != want.Host || got.Port != want.Port || got.Database != want.Database || got.User != want.User ||
			got.Password != want.Password || got.TLS.Mode != want.TLS.Mode {
			t.Errorf("%s gives %+v (%v), want %+v", in, got, err, want)
		}
	}
}

func TestOpenURLRefuses(t *testing.T) {
	for _, in := range []string{"", "mysql://me:hidden@db/orders", "sqlite:", "postgres://me:hidden@db", "postgres://me:hidden@db:port/orders", "postgres://me:hi dden@db/%zz"} {
		if _, err := OpenURL(in, "test"); err == nil || strings.Contains(err.Error(), "hidden") || strings.Contains(err.Error(), "dden") {
			t.Errorf("%s gives %v, want an error without the password", in, err)
		}
	}
}

// TestOpenURLOf: what an operator has made is in the schemas of the ReadStore, wherever the URL leads.
func TestOpenURLOf(t *testing.T) {
	const at = "postgres://me@db/orders"
	for _, tt := range []struct {
		of                  contract.Store
		tables, bookkeeping string
	}{
		{contract.Store{}, "public", "projectionist"},
		{contract.Store{Postgres: &contract.PostgresStore{Host: "elsewhere", Schema: "shop", BookkeepingSchema: "books"}}, "shop", "books"},
	} {
		db, err := OpenURLOf(tt.of, at, "test")
		if err != nil {
			t.Fatal(err)
		}
		c := db.(*postgresDatabase).config
		ep, err := c.Resolve(t.Context())
		if c.Schema != tt.tables || c.BookkeepingSchema != tt.bookkeeping || err != nil || ep.Host != "db" {
			t.Errorf("%+v: schemas %s and %s at %s (%v), want %s and %s at db", tt.of, c.Schema, c.BookkeepingSchema, ep.Host, err, tt.tables, tt.bookkeeping)
		}
	}
}

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		"memory:": "memory:", "sqlite:dir/file.db": "sqlite:dir/file.db",
		"postgres://me:hidden@db:5433/orders?password=hidden": "postgres://me@db:5433/orders",
		"postgres://me:hi dden@db/%zz":                        "postgres:...",
	} {
		if got := Redact(in); got != want {
			t.Errorf("%s is shown as %s, want %s", in, got, want)
		}
	}
}

// TestScratchFile: a scratch store of SQLite is not the file that was named, and nothing of it stays.
func TestScratchFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "precious.db")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := OpenScratch("sqlite:"+file, "test")
	if err != nil {
		t.Fatal(err)
	}
	admin, err := db.Admin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	admin.Close()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if data, _ := os.ReadFile(file); err != nil || len(entries) != 1 || string(data) != "precious" {
		t.Errorf("%d entries are left (%v), want the file that was there, as it was", len(entries), err)
	}
}
