// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/projectionist-dev/projectionist/contract"
)

// Postgres is where a database is and who we are there.
type Postgres struct {
	Host     string
	Port     uint16
	Database string
	Username string
	Password string
	// SSLMode is that of the Secret's URI, "" if it names none.
	SSLMode string
}

// Postgres resolves a store's connection with the given Secret. What the
// ReadStore declares wins over the Secret's parts, and these over its URI
// (CloudNativePG's fqdn-uri first, which works from any namespace).
func (m Mounts) Postgres(st contract.PostgresStore, ref contract.SecretRef) (Postgres, error) {
	s, err := m.secret(ref)
	if err != nil {
		return Postgres{}, err
	}
	var out Postgres
	uri, hasURI, err := s.find("uri", "fqdn-uri", "uri")
	if err != nil {
		return out, err
	}
	if hasURI {
		if out, err = parsePostgresURI(ref.Name, uri); err != nil {
			return out, err
		}
	}
	var port string
	for _, f := range []struct {
		property string
		keys     []string
		to       *string
		// fallback properties are only read when the URI did not say.
		fallback bool
	}{
		{"host", []string{"host"}, &out.Host, hasURI},
		{"port", []string{"port"}, &port, hasURI},
		{"database", []string{"dbname", "database"}, &out.Database, hasURI && out.Database != ""},
		{"username", []string{"username", "user"}, &out.Username, false},
		{"password", []string{"password"}, &out.Password, false},
	} {
		if _, mapped := s.ref.Keys[f.property]; f.fallback && !mapped {
			continue
		}
		v, ok, findErr := s.find(f.property, f.keys...)
		if findErr != nil {
			return out, findErr
		}
		if ok {
			*f.to = v
		}
	}
	if port != "" {
		if out.Port, err = parsePort(ref.Name, port); err != nil {
			return out, err
		}
	}
	override(&out.Host, st.Host)
	override(&out.Database, st.Database)
	if st.Port != 0 {
		out.Port = uint16(st.Port)
	}
	if out.Port == 0 {
		out.Port = 5432
	}
	switch {
	case out.Host == "":
		return out, s.missing("host", "uri")
	case out.Username == "":
		return out, s.missing("username")
	case out.Password == "":
		return out, s.missing("password")
	case out.Database == "":
		return out, s.missing("dbname", "database")
	}
	return out, nil
}

func override[T comparable](to *T, v T) {
	var zero T
	if v != zero {
		*to = v
	}
}

// parsePostgresURI never repeats the URI in an error: it holds a password.
func parsePostgresURI(secretName, uri string) (Postgres, error) {
	u, err := url.Parse(uri)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return Postgres{}, fmt.Errorf("secret %s: its uri is not a postgresql:// URI", secretName)
	}
	out := Postgres{
		Host: u.Hostname(), Database: strings.TrimPrefix(u.Path, "/"),
		Username: u.User.Username(), SSLMode: u.Query().Get("sslmode"),
	}
	out.Password, _ = u.User.Password()
	if p := u.Port(); p != "" {
		if out.Port, err = parsePort(secretName, p); err != nil {
			return out, err
		}
	}
	return out, nil
}

func parsePort(secretName, s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("secret %s: its port is not a number from 1 to 65535", secretName)
	}
	return uint16(n), nil
}
