// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package secrets

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/projectionist-dev/projectionist/contract"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestGather finds the keys of a Secret in the directory, in manifests and in the environment, which win in this order.
func TestGather(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/secrets/orders-app/host", "from-directory")
	write(t, dir+"/secrets/orders-app/password", "from-directory")
	write(t, dir+"/secrets/orders-app/user", "from-directory")
	manifest := write(t, dir+"/manifests/all.yaml", `apiVersion: v1
kind: Secret
metadata: {name: orders-app}
data: {password: ZnJvbS1tYW5pZmVzdA==}
stringData: {user: from-manifest}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: ca}
data: {ca.crt: PEM}
---
apiVersion: cqrs.projectionist.dev/v1alpha1
kind: ReadStore
metadata: {name: reads}
`)
	c := &contract.Contract{Store: contract.Store{Postgres: &contract.PostgresStore{Credentials: contract.SecretRef{Name: "orders-app"}}}}
	m, remove, err := Gather(Sources{
		Dir: dir + "/secrets", Manifests: []string{dir + "/manifests", manifest},
		Environ: []string{"SECRET_ORDERS_APP_USER=from-environment", "SECRET_ORDERS_APP_BOOTSTRAP_SERVERS=kafka:9092", "SECRET_OTHER_USER=x", "SECRET_ORDERS_APP_="},
	}, c)
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		m.Secrets + "/orders-app/host": "from-directory", m.Secrets + "/orders-app/password": "from-manifest",
		m.Secrets + "/orders-app/user": "from-environment", m.Secrets + "/orders-app/bootstrap.servers": "kafka:9092",
		m.Secrets + "/orders-app/bootstrap-servers": "kafka:9092", m.ConfigMaps + "/ca/ca.crt": "PEM",
	} {
		got, err := os.ReadFile(file)
		if err != nil || string(got) != want {
			t.Errorf("%s is %q (%v), want %q", file, got, err, want)
		}
	}
	if info, err := os.Stat(filepath.Dir(m.Secrets)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory has mode %v (%v), want one that only the user can read", info.Mode(), err)
	}
	if err := remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Dir(m.Secrets)); !os.IsNotExist(err) {
		t.Error("secrets are left behind")
	}
}

func TestGatherRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"kind: Secret\nmetadata: {name: app}\ndata: {password: \"hidden?\"}\n":        "data.password is not base64",
		"kind: Secret\nmetadata: {name: ../app}\nstringData: {password: hidden}\n":    `"../app" is not the name`,
		"kind: Secret\nmetadata: {name: app}\nstringData: {../password: hidden}\n":    `with a key "../password"`,
		"kind: ConfigMap\nmetadata: {name: .hidden-directory}\ndata: {a: \"hidden\"}": "is not the name",
	} {
		_, _, err := Gather(Sources{Manifests: []string{write(t, t.TempDir()+"/m.yaml", text)}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gives %v, want %q", text, err, want)
		} else if strings.Contains(err.Error(), "hidden?") || strings.Contains(err.Error(), `"hidden"`) {
			t.Errorf("the message holds a secret: %v", err)
		}
	}
}
