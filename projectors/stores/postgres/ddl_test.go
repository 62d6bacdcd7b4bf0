// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package postgres

import (
	"strings"
	"testing"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
)

// ruledContract has what a table can have.
func ruledContract() *contract.Contract {
	c := goldenContract()
	c.Version, c.DataHash = contract.Version, "1:0123456789abcdef"
	c.Projection = contract.Identity{Cluster: "c1", Namespace: "shop", Name: "prices", UID: "u1"}
	c.Topics = []contract.Topic{{Name: "orders"}}
	price := &c.Models[1]
	price.Indexes[3].Columns = []string{"span"} // inet has no GiST operators by default
	price.Columns = append(price.Columns, contract.Column{Name: "span", Type: "text", Native: "int4range"})
	return c
}

func TestDefinitionsReachTheDatabase(t *testing.T) {
	w, c := newWorld(t), ruledContract()
	c.Models[1].Comment = "What it's sold for."
	c.Models[1].Columns[2].Comment = "Without tax; it's in currency."
	for range 2 {
		if _, err := w.admin(w.config()).Prepare(t.Context(), c, starts(c, 1)); err != nil {
			t.Fatal(err)
		}
	}
	for sql, want := range map[string]string{
		"SELECT obj_description('shop.price'::regclass)": "What it's sold for.\n\nRead model price of projection shop/prices.",
		"SELECT obj_description('shop.price__0123456789'::regclass)": "What it's sold for.\n\nRows of model price of projection shop/prices, revision 0123456789. " +
			"Select from the view price instead: it stays when revisions change.",
		"SELECT col_description('shop.price__0123456789'::regclass, 3)":                                                             "Without tax; it's in currency.",
		"SELECT col_description('shop.price'::regclass, 3)":                                                                         "Without tax; it's in currency.",
		`SELECT col_description('shop."Order ""x"""'::regclass, 10)`:                                                                "Without tax; it's in currency.",
		"SELECT count(*) FROM pg_constraint WHERE contype = 'c' AND conrelid = 'shop.price__0123456789'::regclass AND convalidated": "5",
		"SELECT string_agg(a.amname, ',' ORDER BY a.amname) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam WHERE i.indrelid = 'shop.price__0123456789'::regclass": "brin,btree,btree,gin,gist,hash",
		"SELECT bool_and(condeferrable AND condeferred) FROM pg_constraint WHERE contype = 'u' AND conrelid = 'shop.price__0123456789'::regclass":                                                          "true",
		"SELECT count(*) FROM pg_class WHERE relkind = 'v' AND relnamespace = 'shop'::regnamespace":                                                                                                        "2",
	} {
		if got := w.text(sql); got != want {
			t.Errorf("%s\n gives %q\n  want %q", sql, got, want)
		}
	}
	// Whoever writes by hand is held to the rules.
	for _, sql := range []string{
		"INSERT INTO shop.price VALUES ('a', 1, NULL, 'EUR')",
		"INSERT INTO shop.price VALUES ('a', 1, 1, NULL)",
		"INSERT INTO shop.price VALUES ('a', 1, 1, 'DM')",
		"INSERT INTO shop.price VALUES ('a', 1, -0.01, 'EUR')",
		"INSERT INTO shop.price VALUES ('a', 1, 1, 'EUR', 101)",
		"INSERT INTO shop.price(sku, amount, seen) SELECT 'a', 1, array_agg('x'::text) FROM generate_series(1, 10001)",
	} {
		_, err := w.sql.Exec(t.Context(), sql)
		if _, code := sqlState(err); !strings.HasPrefix(code, "23") {
			t.Errorf("%s: %v", sql, err)
		}
	}
	w.exec("INSERT INTO shop.price VALUES ('a', 1, 0, 'it''s', -5)")
}

// A table that an older release made, or that a contract with other rules made, is brought to what the contract says.
func TestRulesOfATableThatIsThere(t *testing.T) {
	w, c := newWorld(t), ruledContract()
	w.prepared(c, 1)
	const constraints = "SELECT count(*) FROM pg_constraint WHERE contype IN ('c', 'u') AND conrelid = 'shop.price__0123456789'::regclass"
	w.exec("ALTER TABLE shop.price__0123456789 ADD CONSTRAINT theirs CHECK (sku <> 'x')")
	w.exec("INSERT INTO shop.price VALUES ('a', 1, 5, 'EUR', 100)")
	price := &c.Models[1]
	price.Columns[4].Max = ptr("50") // there is a row beyond it
	price.Columns[3].Enum = append(price.Columns[3].Enum, "DM")
	price.Columns[2].Min = nil
	price.Indexes = price.Indexes[1:]
	wr := w.prepared(c, 1)
	if got := w.text(constraints); got != "5" { // notnull, size, enum, one range, theirs
		t.Fatal(got, "constraints")
	}
	cl := claim(t, wr, "a", orders(0))[0]
	b := batch(t, c, fold.Effect{Model: 1, Key: key("b"), Changes: []fold.Change{change(2, fold.OpSet, money(t, "-1.00")), change(3, fold.OpSet, "DM"), change(4, fold.OpSet, int64(50))}})
	if err := wr.Commit(t.Context(), move(cl, 1, b)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"notnull", "size", "enum", "range"} {
		w.exec("DO $$ DECLARE n text; BEGIN FOR n IN SELECT conname FROM pg_constraint WHERE conname LIKE 'price%\\_" + name +
			"' LOOP EXECUTE format('ALTER TABLE shop.price__0123456789 DROP CONSTRAINT %I', n); END LOOP; END $$")
	}
	w.prepared(c, 1)
	if got := w.text(constraints); got != "5" {
		t.Fatal(got, "constraints, after those of an older release")
	}
}

func money(t *testing.T, s string) value.Value {
	t.Helper()
	v, err := value.MustParse("decimal(12,2)").ParseText(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestRefusedDefinitions(t *testing.T) {
	for name, spoil := range map[string]func(*contract.Model){
		"native key":      func(m *contract.Model) { m.Columns[0].Native = "inet" },
		"native type":     func(m *contract.Model) { m.Columns[1].Native = "int; DROP TABLE x" },
		"range":           func(m *contract.Model) { m.Columns[1].Min = ptr("five") },
		"default":         func(m *contract.Model) { m.Columns[1].Default = ptr("five") },
		"hidden column":   func(m *contract.Model) { m.Columns[1].Name = contract.DeletedColumn },
		"method":          func(m *contract.Model) { m.Indexes[1].Method = "Bitmap" },
		"unique and hash": func(m *contract.Model) { m.Indexes[0].Method = "Hash" },
		"index column":    func(m *contract.Model) { m.Indexes[0].Columns = []string{"nowhere"} },
		"empty index":     func(m *contract.Model) { m.Indexes[0].Columns = nil },
	} {
		t.Run(name, func(t *testing.T) {
			c := ruledContract()
			spoil(&c.Models[1])
			if _, err := newTables(c); err == nil || !strings.Contains(err.Error(), "models[price]") {
				t.Fatal(err)
			}
		})
	}
}
