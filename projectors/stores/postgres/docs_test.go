// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package postgres

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/projectionist-dev/projectionist/projectors/fold"
)

// Every query of the documentation runs, and every table and column is in it.
func TestDocumentedQueriesRun(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "bookkeeping.md"))
	if err != nil {
		t.Fatal(err)
	}
	w, c := newWorld(t), ordersContract()
	wr := w.prepared(c, 2)
	cl := claim(t, wr, "a", orders(0))[0]
	if err := wr.Commit(t.Context(), move(cl, 5, batch(t, c, effect("o1", change(2, fold.OpAdd, int64(1)))))); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, m := range regexp.MustCompile("(?s)```sql\n(SELECT.*?);\n```").FindAllSubmatch(text, -1) {
		n++
		w.exec(string(m[1]))
	}
	if n < 6 {
		t.Fatal("only", n, "queries were found")
	}
	for _, tab := range bookTables {
		if !strings.Contains(string(text), "`"+tab.name+"`") {
			t.Errorf("table %s is not documented", tab.name)
		}
	}
	for _, col := range bookTables[3].columns[4:] {
		if !strings.Contains(string(text), "`"+col[0]+"`") {
			t.Errorf("positions.%s is not documented", col[0])
		}
	}
}
