// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func TestImage(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	if err := os.WriteFile(program, []byte("\x7fELF"), 0o600); err != nil {
		t.Fatal(err)
	}
	archives := make([][]byte, 2)
	for i := range archives {
		out := filepath.Join(dir, "image.tar")
		err := run(out, "example.com/app:1", []string{program + "=/usr/bin/app", program + "=/other"}, labels{"a": "b"})
		if err != nil {
			t.Fatal(err)
		}
		if archives[i], err = os.ReadFile(out); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("the same inputs gave different bytes")
	}

	img, err := tarball.ImageFromPath(filepath.Join(dir, "image.tar"), nil)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Config.User != "65532:65532" {
		t.Errorf("user %q, want 65532:65532", config.Config.User)
	}
	if got := config.Config.Entrypoint; len(got) != 1 || got[0] != "/usr/bin/app" {
		t.Errorf("entrypoint %q, want /usr/bin/app", got)
	}
	if config.Config.Labels["a"] != "b" || config.Config.Labels["org.opencontainers.image.version"] != "1" {
		t.Errorf("labels %v", config.Config.Labels)
	}
}

func TestWrongArguments(t *testing.T) {
	for name, test := range map[string]struct {
		ref  string
		args []string
		want string
	}{
		"no path":          {"example.com/app:1", []string{"program"}, "want BINARY=/PATH/IN/IMAGE"},
		"relative path":    {"example.com/app:1", []string{"program=bin/app"}, "want BINARY=/PATH/IN/IMAGE"},
		"path that climbs": {"example.com/app:1", []string{"program=/../app"}, "want BINARY=/PATH/IN/IMAGE"},
		"same path twice":  {"example.com/app:1", []string{"a=/app", "b=/app"}, "/app is given twice"},
		"bad reference":    {"Example:1", []string{"a=/app"}, "image reference"},
		"no such binary":   {"example.com/app:1", []string{"/nonexistent=/app"}, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			err := run(filepath.Join(t.TempDir(), "out.tar"), test.ref, test.args, labels{})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}
