// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// block is a fenced block of a page, with the text since the one before.
var block = regexp.MustCompile("(?s)(.*?)```([a-z]+)\n(.*?)```")

// fileName is the last file that a text names: the block behind it is that file.
var fileName = regexp.MustCompile("`([a-z][a-z/_]*\\.(?:yaml|ndjson))`[^`]*$")

// took is how long something took.
var took = regexp.MustCompile(`\d+\.\d\ds`)

// TestTestingPage runs the example of docs/testing.md: its files are written as they stand there, in order, and its
// commands print what the page shows.
func TestTestingPage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "testing.md"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	files, commands := 0, 0
	for _, m := range block.FindAllStringSubmatch(string(page), -1) {
		before, kind, text := m[1], m[2], m[3]
		switch kind {
		case "console":
			commands++
			line, want, _ := strings.Cut(text, "\n")
			if got := command(t, strings.TrimPrefix(line, "$ ")); took.ReplaceAllString(got, "0.01s") != want {
				t.Errorf("%s prints something else than the page shows (-page +printed):\n%s", line, cmp.Diff(want, got))
			}
		case "yaml", "json":
			name := fileName.FindStringSubmatch(before)
			if name == nil {
				continue
			}
			files++
			if err := os.MkdirAll(filepath.Dir(name[1]), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name[1], []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if files != 4 || commands != 3 {
		t.Errorf("%d files and %d commands were found on the page, want 4 and 3", files, commands)
	}
}

// command runs the program as a shell would, and gives what it prints.
func command(t *testing.T, line string) string {
	t.Helper()
	args := strings.Fields(strings.TrimPrefix(line, "kubectl "))
	args[0] = "kubectl-projection"
	var out, errs bytes.Buffer
	if execute(t.Context(), realEnvironment(), args, strings.NewReader(""), &out, &errs) == 2 {
		t.Errorf("%s: %s", line, &errs)
	}
	return out.String()
}
