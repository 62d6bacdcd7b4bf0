// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// declared finds the reasons that code declares: const ReasonX = "X" and reasonX = "X".
var declared = regexp.MustCompile(`(?m)^\s*(?:const )?[Rr]eason[A-Za-z]*\s*=\s*"([A-Z][A-Za-z]+)"`)

// Every reason that a user can meet is in docs/failure-modes.md.
func TestReasonsAreDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "failure-modes.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, dir := range []string{"api", "contract", "controllers", "projectors"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			source, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, m := range declared.FindAllStringSubmatch(string(source), -1) {
				found++
				if !strings.Contains(string(text), "`"+m[1]+"`") {
					t.Errorf("docs/failure-modes.md does not say what %s means (%s)", m[1], strings.TrimPrefix(path, root+"/"))
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if found < 40 {
		t.Errorf("only %d reasons were found", found)
	}
}
