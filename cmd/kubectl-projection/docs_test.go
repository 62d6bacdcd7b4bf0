// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// fence is a block of YAML in Markdown.
var fence = regexp.MustCompile("(?ms)^```ya?ml[^\n]*\n(.*?)^```")

// documented gives directories with every ProjectionTest that users read: the cookbook, and the blocks of pages whose
// examples are tests.
func documented(t *testing.T) []string {
	t.Helper()
	const docs = "../../docs"
	out := []string{filepath.Join(docs, "cookbook")}
	for _, page := range []string{"handlers.md"} {
		text, err := os.ReadFile(filepath.Join(docs, page))
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), page)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for i, m := range fence.FindAllSubmatch(text, -1) {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%03d.yaml", i)), m[1], 0o600); err != nil {
				t.Fatal(err)
			}
		}
		out = append(out, dir)
	}
	return out
}

// passes runs every documented test on a store and says how many there are.
func passes(t *testing.T, store string) {
	t.Helper()
	var out, errs bytes.Buffer
	args := append([]string{"kubectl-projection", "test", "--store", store}, documented(t)...)
	if code := execute(t.Context(), realEnvironment(), args, nil, &out, &errs); code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, out.String(), errs.String())
	}
	lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
	t.Logf("%s: %s", store, lines[len(lines)-1])
}

func TestDocsOnMemory(t *testing.T) { passes(t, "memory:") }

func TestDocsOnSQLite(t *testing.T) { passes(t, "sqlite:"+filepath.Join(t.TempDir(), "docs.db")) }
