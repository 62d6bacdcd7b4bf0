// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package connect_test

import (
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/codecs"
	"github.com/projectionist-dev/projectionist/projectors/connect"
	"github.com/projectionist-dev/projectionist/projectors/credentials"
)

func TestSchemas(t *testing.T) {
	if s, err := connect.Schemas(t.Context(), credentials.Mounts{}, contract.Broker{}); s != nil || err != nil {
		t.Fatalf("without a registry: %v, %v", s, err)
	}
	fake := srfake.NewRegistry()
	fake.SeedSchema("x", 1, 1, sr.Schema{Schema: `"string"`})
	fake.SeedSchema("x", 2, 2, sr.Schema{Schema: `"long"`})
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "u" || password != "p" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fake.Handler().ServeHTTP(w, r)
	}))
	defer server.Close()

	m := credentials.Mounts{Secrets: t.TempDir(), ConfigMaps: t.TempDir()}
	write := func(dir, name, key string, data []byte) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, key), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(m.ConfigMaps, "ca", "ca.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	write(m.Secrets, "login", "username", []byte("u"))

	schemas, err := connect.Schemas(t.Context(), m, contract.Broker{Name: "b", Registry: &contract.Registry{
		URLs: []string{server.URL}, TLS: &contract.TLS{CA: &contract.KeyRef{ConfigMap: "ca", Key: "ca.crt"}}, Credentials: &contract.SecretRef{Name: "login"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	// A slow machine may need more than the moment that a caller waits for.
	ask := func(id int) (codecs.Schema, string, error) {
		for {
			var away *codecs.UnavailableError
			s, err := schemas.Schema(id)
			if !errors.As(err, &away) {
				return s, "", err
			}
			if away.Reason != codecs.ReasonSchemaPending {
				return s, away.Reason, err
			}
		}
	}
	if _, reason, err := ask(1); reason != "SecretKeyMissing" {
		t.Errorf("without a password: %v", err)
	}
	write(m.Secrets, "login", "password", []byte("p"))
	if s, _, err := ask(2); err != nil || s.Text != `"long"` {
		t.Errorf("%+v, %v", s, err)
	}
}
