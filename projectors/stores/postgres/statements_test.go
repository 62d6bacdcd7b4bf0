// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
)

var update = flag.Bool("update", false, "write the golden files")

func goldenContract() *contract.Contract {
	def := func(s string) *string { return &s }
	return &contract.Contract{
		Revision: "0123456789",
		Models: []contract.Model{{
			Name: `Order "x"`, Key: []string{"id", "day"},
			Columns: []contract.Column{
				{Name: "id", Type: "text"}, {Name: "day", Type: "date"},
				{Name: "status", Type: "text", Default: def("it's")}, {Name: "n", Type: "int32", Default: def("10")}, {Name: "total", Type: "decimal(12,2)"},
				{Name: "best", Type: "text"}, {Name: "log", Type: "text[]", Default: def(`["made"]`)}, {Name: "info", Type: "json"},
			},
			Indexes: []contract.Index{{Columns: []string{"status", "n"}}},
		}},
	}
}

// The texts of all shapes are golden: they are what each connection prepares.
func TestGoldenSQL(t *testing.T) {
	c := goldenContract()
	tab, err := newTable(c, 0)
	if err != nil {
		t.Fatal(err)
	}
	models, err := fold.ModelsOf(c)
	if err != nil {
		t.Fatal(err)
	}
	day, err := value.MustParse("date").ParseText("2026-01-02")
	if err != nil {
		t.Fatal(err)
	}
	ch := func(col int, op fold.Op, v value.Value) fold.Change {
		return fold.Change{Column: col, Op: op, Operand: v}
	}
	all := []fold.Change{ch(2, fold.OpSet, "s"), ch(3, fold.OpAdd, int64(1)), ch(5, fold.OpMax, "m"), ch(6, fold.OpAppend, "l")}
	shapeOf := func(effects ...fold.Effect) fold.Group {
		b := fold.NewBatch(models)
		for _, e := range effects {
			e.Key = []value.Value{"k", day}
			if err = b.Apply(e); err != nil {
				t.Fatal(err)
			}
		}
		return fold.GroupByShape(b.Rows(0))[0]
	}
	var out strings.Builder
	show := func(name, sql string) { fmt.Fprintf(&out, "-- %s\n%s\n\n", name, sql) }
	show("table", createTable("shop", tab))
	show("index", createIndex("shop", tab, tab.indexes[0]))
	show("view", createView("shop", tab.model, newView("shop", c, []*table{tab}, 0)))
	show("lock", tab.sqlLock("shop"))
	show("load", tab.sqlLoad("shop"))
	show("write back", tab.sqlWriteBack("shop"))
	show("create", tab.sqlCreate("shop"))
	for _, g := range []struct {
		name  string
		arms  fold.Arms
		group fold.Group
	}{
		{"delete", fold.Delete, shapeOf(fold.Effect{Delete: true})},
		{"update", fold.Update, shapeOf(fold.Effect{IgnoreAbsent: true, Changes: all})},
		{"replace", fold.Replace, shapeOf(fold.Effect{Delete: true}, fold.Effect{Changes: all})},
		{"upsert", fold.Upsert, shapeOf(fold.Effect{Changes: all})},
		{"upsert that touches nothing", fold.Upsert, shapeOf(fold.Effect{})},
	} {
		if g.group.Shape.Arms != g.arms {
			t.Fatalf("%s has arms %s", g.name, g.group.Shape.Arms)
		}
		sql, params := tab.statement("shop", g.group)
		if n := strings.Count(sql, "unnest("); n != len(params) {
			t.Errorf("%s: %d parameters for %d arrays", g.name, len(params), n)
		}
		show(g.name, sql)
	}
	texts := newTexts(Config{Schema: "shop", BookkeepingSchema: "projectionist"})
	show("lock positions", texts.lock)
	show("fence", texts.fence)
	file := filepath.Join("testdata", "statements.sql")
	if *update {
		if err = os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("the statements differ from %s; look at them, and run with -update if they are right:\n%s", file, out.String())
	}
}

func TestNamesAreInjectiveAndFit(t *testing.T) {
	seen := map[string]bool{}
	for _, table := range []string{"a", "a_b", strings.Repeat("ä", 31), strings.Repeat("x", 63), strings.Repeat("x", 62) + "y"} {
		for _, cols := range [][]string{{"a"}, {"a", "b"}, {"b", "a"}, {"a,b"}, {`a","b`}} {
			for _, purpose := range []string{"idx", "key"} {
				n := constraintName(table, purpose, cols)
				if len(n) > MaxIdentifierBytes || seen[n] {
					t.Fatalf("%q is too long or there twice", n)
				}
				seen[n] = true
			}
		}
	}
}

func TestConfigRefuses(t *testing.T) {
	good := Config{Resolve: func() Resolver { return nil }(), Schema: "a", BookkeepingSchema: "b"}
	if _, err := good.withDefaults(1); err == nil {
		t.Fatal("no resolver")
	}
	if _, err := (TLS{Mode: "sometimes"}).config("h"); err == nil {
		t.Fatal("an unknown TLS mode")
	}
	if _, err := (TLS{Mode: "verify-full", CA: []byte("no PEM")}).config("h"); err == nil {
		t.Fatal("a CA that is none")
	}
	c, err := (TLS{Mode: "verify-ca"}).config("h")
	if err != nil || !c.InsecureSkipVerify || c.VerifyConnection == nil {
		t.Fatal("verify-ca checks the chain by hand")
	}
	if c, err := (TLS{Mode: "disable"}).config("h"); err != nil || c != nil {
		t.Fatal(c, err)
	}
}
