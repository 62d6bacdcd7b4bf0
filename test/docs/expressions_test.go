// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/projectionist-dev/projectionist/contract/expr"
)

// Every expression that docs/expressions.md shows in a table with its result has that result.
func TestExpressionsGiveWhatTheDocsSay(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "expressions.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "| Expression | Result | Type |\n| --- | --- | --- |\n")
	if !found {
		t.Fatal("the table is gone")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	row := regexp.MustCompile("^\\| `([^`]+)` \\| (.*?) \\| (.*?) ?\\|$")
	for line := range strings.SplitSeq(table, "\n") {
		m := row.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("not a row: %s", line)
			continue
		}
		p, cerr := expr.Compile(m[1], expr.Options{})
		switch {
		case m[2] == "refused":
			if cerr == nil {
				t.Errorf("%s is accepted", m[1])
			}
		case cerr != nil:
			t.Errorf("%s: %v", m[1], cerr)
		case fmt.Sprint(p.Constant()) != m[2] || string(p.Type()) != m[3]:
			t.Errorf("%s is %v, a %s; the docs say %s, a %s", m[1], p.Constant(), p.Type(), m[2], m[3])
		}
	}
}

// What stands under "Write" in the docs compiles.
func TestExpressionsOfTheDocsCompile(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "expressions.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `((?:event|decimal|int|has)\\b[^`]*[.(][^`]*)` \\| [a-z]").FindAllStringSubmatch(string(text), -1)
	if len(rows) < 7 {
		t.Errorf("only %d expressions were found", len(rows))
	}
	for _, m := range rows {
		if m[1] == "event.total / 2" || m[1] == "event.total % 2" || m[1] == "int(2.5)" {
			continue // refused, as the table says
		}
		if _, err := expr.Compile(m[1], expr.Options{}); err != nil {
			t.Errorf("%s: %v", m[1], err)
		}
	}
}
