// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"fmt"
	"iter"
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
	tables := strings.Split(string(text), "| Expression | Result | Type |\n| --- | --- | --- |\n")[1:]
	if len(tables) < 2 {
		t.Fatalf("%d tables of expressions", len(tables))
	}
	row := regexp.MustCompile("^\\| `([^`]+)` \\| (.*?) \\| (.*?) ?\\|$")
	for line := range linesOf(tables) {
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

// linesOf gives the rows of tables, each of which is followed by an empty line.
func linesOf(tables []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, table := range tables {
			rows, _, _ := strings.Cut(table, "\n\n")
			for line := range strings.SplitSeq(rows, "\n") {
				if !yield(line) {
					return
				}
			}
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
