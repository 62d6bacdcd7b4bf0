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
			Joins: []contract.Join{
				{Model: "price", Match: map[string]string{"sku": "status"}, Set: map[string]string{"price": "amount", "currency": "currency"}},
				{Model: `Order "x"`, Match: map[string]string{"id": "best", "day": "day"}, Set: map[string]string{"best's": "status"}},
			},
		}, {
			Name: "price", Key: []string{"sku"},
			Columns: []contract.Column{
				{Name: "sku", Type: "text"}, {Name: "version", Type: "int64"}, {Name: "amount", Type: "decimal(12,2)", NotNull: true, Min: def("0.00")},
				{Name: "currency", Type: "text", Default: def("EUR"), NotNull: true, Enum: []string{"EUR", "it's"}},
				{Name: "score", Type: "int32", Min: def("-5"), Max: def("100")}, {Name: "first", Type: "time"}, {Name: "last", Type: "text"},
				{Name: "recent", Type: "int64[]", MaxItems: 3}, {Name: "seen", Type: "text[]"}, {Name: "address", Type: "text", Native: "inet", Default: def("::1")},
				{Name: "code", Type: "text", Native: "varchar(3)"},
			},
			Indexes: []contract.Index{
				{Columns: []string{"last", "currency"}, Unique: true}, {Columns: []string{"last"}, Method: "Hash"}, {Columns: []string{"recent"}, Method: "GIN"},
				{Columns: []string{"address"}, Method: "GiST"}, {Columns: []string{"first"}, Method: "BRIN"},
			},
			Versions: []contract.VersionGroup{{Column: "version", Columns: []string{"amount", "currency"}}},
			Handlers: []contract.Handler{{Name: "withdrawn", Delete: true, VersionBy: &contract.VersionBy{Column: "version", Value: "event.version"}}},
		}},
	}
}

// The texts of all shapes are golden: they are what each connection prepares.
func TestGoldenSQL(t *testing.T) {
	c := goldenContract()
	tables, err := newTables(c)
	if err != nil {
		t.Fatal(err)
	}
	tab, price := tables[0], tables[1]
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
	shape := func(model int, key []value.Value, effects ...fold.Effect) fold.Group {
		b := fold.NewBatch(models)
		for _, e := range effects {
			e.Model, e.Key = model, key
			if err = b.Apply(e); err != nil {
				t.Fatal(err)
			}
		}
		return fold.GroupByShape(b.Segments()[0].Rows(model))[0]
	}
	shapeOf := func(effects ...fold.Effect) fold.Group { return shape(0, []value.Value{"k", day}, effects...) }
	priceOf := func(effects ...fold.Effect) fold.Group { return shape(1, []value.Value{"k"}, effects...) }
	more := []fold.Change{
		ch(2, fold.OpSetOnce, value.Value(nil)), ch(4, fold.OpAdd, int64(1)), ch(5, fold.OpMin, value.TimeOfDay(1)), ch(6, fold.OpMin, "m"),
		ch(7, fold.OpAppend, int64(1)), ch(8, fold.OpAppend, "s"), ch(9, fold.OpSet, "10.0.0.1"), ch(10, fold.OpSetOnce, "abc"),
	}
	var out strings.Builder
	show := func(name, sql string) { fmt.Fprintf(&out, "-- %s\n%s\n\n", name, sql) }
	for i, t := range tables {
		show("table", createTable("shop", t))
		for _, ix := range t.indexes {
			show("index", createIndex("shop", t, ix))
		}
		show("view", createView("shop", t.model, newView("shop", c, tables, i)))
	}
	show("lock", tab.sqlLock("shop"))
	show("load", tab.sqlLoad("shop"))
	show("load, native", price.sqlLoad("shop"))
	show("match", tab.sqlMatch("shop", []int{2, 6}, false))
	show("match, after a key", tab.sqlMatch("shop", []int{2}, true))
	show("match, native", price.sqlMatch("shop", []int{9}, true))
	show("write back", tab.sqlWriteBack("shop"))
	show("create", tab.sqlCreate("shop"))
	for _, g := range []struct {
		name  string
		arms  fold.Arms
		group fold.Group
	}{
		{"update, more touches", fold.Update, priceOf(fold.Effect{IgnoreAbsent: true, Changes: more})},
		{"upsert, more touches", fold.Upsert, priceOf(fold.Effect{Changes: more})},
		{"delete", fold.Delete, shapeOf(fold.Effect{Delete: true})},
		{"update", fold.Update, shapeOf(fold.Effect{IgnoreAbsent: true, Changes: all})},
		{"replace", fold.Replace, shapeOf(fold.Effect{Delete: true}, fold.Effect{Changes: all})},
		{"upsert", fold.Upsert, shapeOf(fold.Effect{Changes: all})},
		{"upsert that touches nothing", fold.Upsert, shapeOf(fold.Effect{})},
	} {
		if g.group.Shape.Arms != g.arms {
			t.Fatalf("%s has arms %s", g.name, g.group.Shape.Arms)
		}
		of := tab
		if strings.HasSuffix(g.name, "more touches") {
			of = price
		}
		sql, params := of.statement("shop", g.group)
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
			for _, purpose := range []string{"idx", "key", purposeUnique, purposeRange, purposeNotNull} {
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
