// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// delimiter is the second line of a table.
var delimiter = regexp.MustCompile(`^\|( *:?-+:? *\|)+ *$`)

// headless gives the lines at which something begins that looks like a table and has no header, so that it is shown as text.
func headless(text string) []int {
	var out []int
	fenced, within := false, false
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
		}
		row := !fenced && strings.HasPrefix(line, "|")
		if row && !within && (i+1 == len(lines) || !delimiter.MatchString(lines[i+1])) {
			out = append(out, i+1)
		}
		within = row
	}
	return out
}

func TestTablesHaveHeaders(t *testing.T) {
	tables := 0
	pages(t, func(path, text string) {
		tables += strings.Count(text, "\n| ---")
		for _, line := range headless(text) {
			t.Errorf("%s:%d: rows without a header: an empty line has cut the table in two, or it never had one", path, line)
		}
	})
	if tables < 50 {
		t.Errorf("only %d tables were found", tables)
	}
}

func TestHeadlessTablesAreSeen(t *testing.T) {
	text := "| a | b |\n| --- | :-: |\n| 1 | 2 |\n\n| 3 | 4 |\n| 5 | 6 |\n```\n| x | y |\n```\n| 7 |"
	if got := headless(text); !slices.Equal(got, []int{5, 10}) {
		t.Errorf("lines %v", got)
	}
}
