// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// screen is a block of docs/cli.md that begins with a command.
var screen = regexp.MustCompile("(?ms)^```console\n\\$ kubectl projection ([^\n]*)\n(.*?)^```")

// measured is a time that a command took.
var measured = regexp.MustCompile(` {3}\d+\.\d\ds`)

// TestDocumentedScreens runs the commands of docs/cli.md in testdata and compares what is shown with what comes out; a
// line of dots stands for any lines.
func TestDocumentedScreens(t *testing.T) {
	text, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := screen.FindAllSubmatch(text, -1)
	if len(blocks) < 6 {
		t.Fatalf("%d screens in docs/cli.md", len(blocks))
	}
	t.Chdir("testdata")
	dir := filepath.Join(t.TempDir(), "new")
	for _, b := range blocks {
		t.Run(string(b[1]), func(t *testing.T) {
			args := strings.Fields(strings.ReplaceAll(string(b[1]), "DIR", dir))
			stdout, stderr, code := call(t, "", args...)
			got := measured.ReplaceAllString(strings.ReplaceAll(stdout, dir, "DIR"), "")
			if code == 2 && stdout == "" { // of plan, 2 is an answer
				t.Fatal(stderr)
			}
			parts := strings.Split(string(b[2]), "...\n")
			rest, ok := strings.CutPrefix(got, parts[0])
			for i := 1; ok && i < len(parts); i++ {
				_, rest, ok = strings.Cut(rest, parts[i])
			}
			if !ok || rest != "" && len(parts) == 1 {
				t.Errorf("documented:\n%s\nis:\n%s", b[2], got)
			}
		})
	}
}
