// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/projectionist-dev/projectionist/contract"
)

// mount writes a Secret the way the kubelet does: a directory of files.
func mount(t *testing.T, name string, data map[string]string) Mounts {
	t.Helper()
	m := Mounts{Secrets: t.TempDir(), ConfigMaps: t.TempDir()}
	dir := filepath.Join(m.Secrets, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for k, v := range data {
		if err := os.WriteFile(filepath.Join(dir, k), []byte(v), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func TestPostgres(t *testing.T) {
	cnpg := map[string]string{
		"username": "app", "user": "app", "password": "s3cret", "dbname": "app", "host": "orders-rw", "port": "5432",
		"pgpass":        "orders-rw:5432:app:app:s3cret\n",
		"uri":           "postgresql://app:s3cret@orders-rw.shop:5432/app",
		"jdbc-uri":      "jdbc:postgresql://orders-rw.shop:5432/app?password=s3cret&user=app",
		"fqdn-uri":      "postgresql://app:s3cret@orders-rw.shop.svc.cluster.local:5432/app",
		"fqdn-jdbc-uri": "jdbc:postgresql://orders-rw.shop.svc.cluster.local:5432/app?password=s3cret&user=app",
	}
	binding := map[string]string{
		"type": "postgresql", "provider": "acme", "host": "db.example", "port": "6432", "database": "reads",
		"username": "u", "password": "p",
	}
	cases := map[string]struct {
		data  map[string]string
		keys  map[string]string
		store contract.PostgresStore
		want  Postgres
		err   string
	}{
		"CloudNativePG app Secret": {data: cnpg,
			want: Postgres{Host: "orders-rw.shop.svc.cluster.local", Port: 5432, Database: "app", Username: "app", Password: "s3cret"}},
		"the ReadStore wins": {data: cnpg, store: contract.PostgresStore{Host: "pooler", Port: 6543, Database: "x"},
			want: Postgres{Host: "pooler", Port: 6543, Database: "x", Username: "app", Password: "s3cret"}},
		"Service Binding": {data: binding,
			want: Postgres{Host: "db.example", Port: 6432, Database: "reads", Username: "u", Password: "p"}},
		"mapped keys, trailing newline": {
			data: map[string]string{"DB_HOST": "h\n", "DB_USER": "u", "DB_PASS": "p\n", "DB": "d"},
			keys: map[string]string{"host": "DB_HOST", "username": "DB_USER", "password": "DB_PASS", "database": "DB"},
			want: Postgres{Host: "h", Port: 5432, Database: "d", Username: "u", Password: "p"}},
		"URI alone, escaped password": {data: map[string]string{"uri": "postgres://u:p%40ss@h/d?sslmode=require"},
			want: Postgres{Host: "h", Port: 5432, Database: "d", Username: "u", Password: "p@ss", SSLMode: "require"}},
		"a mapped key is missing": {data: binding, keys: map[string]string{"password": "PW"},
			err: "orders-app/PW: Secret orders-app has no such key: add it, or map another key to it with keys (it is read again by itself)"},
		"no password": {data: map[string]string{"host": "h", "username": "u", "dbname": "d"},
			err: "orders-app/password: Secret orders-app has no such key: add it, or map another key to it with keys (it is read again by itself)"},
		"not a URI": {data: map[string]string{"uri": "mysql://canary-secret@h"}, err: "secret orders-app: its uri is not a postgresql:// URI"},
		"no Secret": {err: "Secret orders-app does not exist in this namespace, or is empty: create it (it is read again by itself)"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := mount(t, "orders-app", c.data)
			got, err := m.Postgres(c.store, contract.SecretRef{Name: "orders-app", Keys: c.keys})
			if c.err != "" {
				if err == nil || err.Error() != c.err {
					t.Fatalf("error %v, want %s", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Fatal(d)
			}
		})
	}
}

func TestKafka(t *testing.T) {
	cases := map[string]struct {
		data           map[string]string
		keys           map[string]string
		user, password string
	}{
		"Strimzi KafkaUser": {data: map[string]string{"password": "pw",
			"sasl.jaas.config": `org.apache.kafka.common.security.scram.ScramLoginModule required username="or\"ders" password="pw";`},
			user: `or"ders`, password: "pw"},
		"Strimzi without JAAS": {data: map[string]string{"password": "pw"}, user: "orders-user", password: "pw"},
		"Service Binding":      {data: map[string]string{"username": "u", "password": "pw"}, user: "u", password: "pw"},
		"mapped":               {data: map[string]string{"A": "u", "B": "pw"}, keys: map[string]string{"username": "A", "password": "B"}, user: "u", password: "pw"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := mount(t, "orders-user", c.data)
			user, password, err := m.KafkaPassword(contract.SecretRef{Name: "orders-user", Keys: c.keys})
			if err != nil || user != c.user || password != c.password {
				t.Fatalf("got %q %q %v", user, password, err)
			}
		})
	}
	m := mount(t, "orders-user", map[string]string{"user.crt": "x"})
	var missing *MissingError
	if _, _, err := m.KafkaCertificate(contract.SecretRef{Name: "orders-user"}); !errors.As(err, &missing) || missing.Keys[0] != "user.key" {
		t.Fatalf("got %v", err)
	}
	m = mount(t, "bind", map[string]string{"bootstrap.servers": "a:9092, b:9092"})
	got, err := m.KafkaBootstrap(contract.KafkaBroker{Credentials: &contract.SecretRef{Name: "bind"}})
	if d := cmp.Diff([]string{"a:9092", "b:9092"}, got); err != nil || d != "" {
		t.Fatal(err, d)
	}
}

func TestRegistryLogin(t *testing.T) {
	type login struct{ Username, Password, Token string }
	for name, tt := range map[string]struct {
		data, keys map[string]string
		want       login
		err        string
	}{
		"user and password":   {data: map[string]string{"username": "u", "password": "p\n"}, want: login{"u", "p", ""}},
		"Service Binding":     {data: map[string]string{"user": "u", "password": "p"}, want: login{"u", "p", ""}},
		"token":               {data: map[string]string{"token": "t\n", "username": "u"}, want: login{"", "", "t"}},
		"mapped":              {data: map[string]string{"K": "u", "S": "p"}, keys: map[string]string{"username": "K", "password": "S"}, want: login{"u", "p", ""}},
		"mapped token":        {data: map[string]string{"X": "t"}, keys: map[string]string{"token": "X"}, want: login{"", "", "t"}},
		"mapped token is not": {data: map[string]string{"username": "u"}, keys: map[string]string{"token": "X"}, err: "SecretKeyMissing"},
		"no password":         {data: map[string]string{"username": "u"}, err: "SecretKeyMissing"},
		"nothing":             {err: "SecretMissing"},
	} {
		t.Run(name, func(t *testing.T) {
			m := mount(t, "s", tt.data)
			var got login
			var err error
			got.Username, got.Password, got.Token, err = m.RegistryLogin(contract.SecretRef{Name: "s", Keys: tt.keys})
			var missing *MissingError
			if tt.err != "" {
				if !errors.As(err, &missing) || missing.Reason() != tt.err {
					t.Errorf("%v, want %s", err, tt.err)
				}
				return
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
				t.Errorf("%v %s", err, diff)
			}
		})
	}
}
