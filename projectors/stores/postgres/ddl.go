// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
)

// rule is what a named constraint of a table checks, for messages.
type rule struct {
	columns []string
	reason  string
	message string
	// path is the field path where it is not that of a column.
	path string
	// check is the condition of a CHECK; "" for a unique constraint.
	check string
}

// index is a secondary index, or the constraint behind a unique one.
type index struct {
	name    string
	columns []string
	method  string
	unique  bool
}

// indexMethods are the server's names of contract.Index.Method.
var indexMethods = map[string]string{"": "", "BTree": "", "Hash": "hash", "GIN": "gin", "GiST": "gist", "BRIN": "brin"}

// Purposes of constraints, which their names end in.
const (
	purposeUnique  = "unique"
	purposeNotNull = "notnull"
	purposeEnum    = "enum"
	purposeRange   = "range"
	purposeSize    = "size"
)

// addIndex names an index after what it is: another method, or uniqueness, is
// another index, which Prepare makes beside the one that is there.
func (t *table) addIndex(in contract.Index, columns map[string]int) error {
	path := "models[" + t.model + "].indexes[" + strings.Join(in.Columns, ",") + "]"
	method, known := indexMethods[in.Method]
	switch {
	case !known:
		return fmt.Errorf("%s.method: there is no method %q", path, in.Method)
	case in.Unique && method != "":
		return fmt.Errorf("%s.method: a unique index is a BTree", path)
	case len(in.Columns) == 0:
		return fmt.Errorf("%s: has no columns", path)
	}
	for _, name := range in.Columns {
		if _, ok := columns[name]; !ok {
			return fmt.Errorf("%s: no column %q", path, name)
		}
	}
	purpose := "idx"
	switch {
	case in.Unique:
		purpose = purposeUnique
	case method != "":
		purpose = method
	}
	t.indexes = append(t.indexes, index{
		name: constraintName(t.name, purpose, in.Columns), columns: in.Columns, method: method, unique: in.Unique,
	})
	return nil
}

// addRules names what the server checks. The fold has tested it already, but for
// what depends on a row that it has not read, and for values that two rows may not share;
// the rest is for those who write to the table by hand. Checks in CEL are the fold's alone.
func (t *table) addRules() {
	t.rules = map[string]rule{}
	for i, c := range t.columns {
		add := func(purpose, reason, message, check string) {
			// The condition is in the name: another one is another constraint.
			t.rules[constraintName(t.name, purpose, []string{c.name, check})] = rule{
				columns: []string{c.name}, reason: reason, message: message, check: check,
			}
		}
		if c.notNull && t.nullWhenDeleted(i) {
			add(purposeNotNull, reasonConstraint, messageNotNull, quote(c.name)+" IS NOT NULL OR "+quote(t.columns[t.deleted].name))
		}
		if c.native != "" {
			continue // the order and the spellings of a native type are its own
		}
		if len(c.enum) > 0 {
			values := make([]string, len(c.enum))
			for j, v := range c.enum {
				values[j] = literal(v)
			}
			add(purposeEnum, reasonConstraint, "a value is none of those in the column's enum", quote(c.name)+" IN ("+strings.Join(values, ", ")+")")
		}
		if s := c.inRange(); s != "" {
			add(purposeRange, reasonOutOfRange, "a value leaves the range of the column", s)
		}
		if c.typ.Array && c.maxItems == 0 {
			add(purposeSize, reasonOutOfRange,
				fmt.Sprintf("the list would hold more than %d elements: give the column list.maxItems, or append less", value.MaxArrayElements),
				fmt.Sprintf("pg_catalog.cardinality(%s) <= %d", quote(c.name), value.MaxArrayElements))
		}
	}
	for _, ix := range t.indexes {
		if !ix.unique {
			continue
		}
		r := rule{
			columns: ix.columns, reason: reasonConstraint,
			path:    "models[" + t.model + "].indexes[" + strings.Join(ix.columns, ",") + "]",
			message: "two rows would have the same " + strings.Join(ix.columns, ", ") + ", which are unique: correct the events, or make the index an ordinary one",
		}
		t.rules[ix.name] = r
	}
}

// nullWhenDeleted: a tombstone keeps its key and its version; the rest is at the defaults.
func (t *table) nullWhenDeleted(col int) bool {
	return t.deleted >= 0 && col != t.deleted && !t.isKey(col) && t.columns[col].def == nil
}

// inRange is the condition of the column's range, "" where it has none.
func (c column) inRange() string {
	var out []string
	for _, end := range []struct {
		op string
		v  value.Value
	}{{" >= ", c.min}, {" <= ", c.max}} {
		if end.v != nil {
			out = append(out, quote(c.name)+end.op+c.literal(end.v))
		}
	}
	return strings.Join(out, " AND ")
}

// definition is a column in CREATE TABLE. Defaults are the fold's business:
// the table has them too, for whoever reads its definition.
func (t *table) definition(col int) string {
	c := t.columns[col]
	s := quote(c.name) + " " + c.columnType()
	if t.isKey(col) || c.notNull && !t.nullWhenDeleted(col) {
		s += " NOT NULL"
	}
	if c.def != nil {
		s += " DEFAULT " + c.literal(c.def)
	}
	return s
}

func (t *table) keyNames() []string {
	out := make([]string, len(t.key))
	for i, k := range t.key {
		out[i] = t.columns[k].name
	}
	return out
}

func (t *table) keyName() string { return constraintName(t.name, "key", t.keyNames()) }

// primaryKey is the table's key as a constraint.
func (t *table) primaryKey() string {
	return "CONSTRAINT " + quote(t.keyName()) + " PRIMARY KEY (" + quoteAll(t.keyNames()) + ")"
}

func createTable(schema string, t *table) string {
	defs := make([]string, 0, len(t.columns)+1+len(t.rules))
	for i := range t.columns {
		defs = append(defs, t.definition(i))
	}
	defs = append(defs, t.primaryKey())
	for _, name := range slices.Sorted(maps.Keys(t.rules)) {
		if r := t.rules[name]; r.check != "" {
			defs = append(defs, "CONSTRAINT "+quote(name)+" CHECK ("+r.check+")")
		}
	}
	// Room in each page lets an update stay in it, without touching the indexes.
	return "CREATE TABLE " + quote(schema, t.name) + " (\n  " + strings.Join(defs, ",\n  ") + "\n) WITH (fillfactor = 85)"
}

// createIndex makes an index. A unique one is a constraint that is checked at
// COMMIT, so that a value may move from one row to another within a batch (CORRECTNESS 2).
func createIndex(schema string, t *table, ix index) string {
	on := quote(schema, t.name)
	if ix.unique {
		return "ALTER TABLE " + on + " ADD CONSTRAINT " + quote(ix.name) + " UNIQUE (" + quoteAll(ix.columns) + ") DEFERRABLE INITIALLY DEFERRED"
	}
	using := ""
	if ix.method != "" {
		using = " USING " + ix.method
	}
	return "CREATE INDEX " + quote(ix.name) + " ON " + on + using + " (" + quoteAll(ix.columns) + ")"
}

func quoteAll(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = quote(n)
	}
	return strings.Join(out, ", ")
}

// view is what readers of a model select from.
type view struct {
	columns []viewColumn
	// from is the query without its columns.
	from string
}

// viewColumn is a column of the view by its name there.
type viewColumn struct {
	name string
	column
	// table is the physical table that it is a column of, expr how the query reads it.
	table, expr string
}

// newView joins the tables of one revision. Tombstones are left out on both sides (CORRECTNESS 2).
func newView(schema string, c *contract.Contract, tables []*table, model int) view {
	t := tables[model]
	var v view
	add := func(alias, table, name string, col column) {
		expr := alias + "." + quote(col.name)
		if name != col.name {
			expr += " AS " + quote(name)
		}
		v.columns = append(v.columns, viewColumn{name: name, column: col, table: table, expr: expr})
	}
	for i, col := range t.columns {
		if i != t.deleted {
			add("t", t.name, col.name, col)
		}
	}
	from := []string{" FROM " + quote(schema, t.name) + " t"}
	for n, j := range c.Models[model].Joins {
		at := slices.IndexFunc(tables, func(o *table) bool { return o.model == j.Model })
		if at < 0 {
			continue
		}
		other, alias := tables[at], fmt.Sprintf("j%d", n)
		var on []string
		for _, k := range other.key {
			name := other.columns[k].name
			on = append(on, alias+"."+quote(name)+" = t."+quote(j.Match[name]))
		}
		if other.deleted >= 0 {
			on = append(on, "NOT "+alias+"."+quote(other.columns[other.deleted].name))
		}
		from = append(from, " LEFT JOIN "+quote(schema, other.name)+" "+alias+" ON "+strings.Join(on, " AND "))
		for _, name := range slices.Sorted(maps.Keys(j.Set)) {
			if i := slices.IndexFunc(other.columns, func(o column) bool { return o.name == j.Set[name] }); i >= 0 {
				add(alias, other.name, name, other.columns[i])
			}
		}
	}
	v.from = strings.Join(from, "")
	if t.deleted >= 0 {
		v.from += " WHERE NOT t." + quote(t.columns[t.deleted].name)
	}
	return v
}

func (v view) query() string {
	selected := make([]string, len(v.columns))
	for i, c := range v.columns {
		selected[i] = c.expr
	}
	return "SELECT " + strings.Join(selected, ", ") + v.from
}

// following gives the view with the columns that are there already in their
// places and the others after them: CREATE OR REPLACE VIEW can only append.
// Columns that it does not have are left out.
func (v view) following(there []string) view {
	place := func(c viewColumn) int {
		if i := slices.Index(there, c.name); i >= 0 {
			return i
		}
		return len(there)
	}
	v.columns = slices.Clone(v.columns)
	slices.SortStableFunc(v.columns, func(a, b viewColumn) int { return place(a) - place(b) })
	return v
}

// createView makes or replaces a view. options are those of pg_class.reloptions,
// name=value: without them a replacement would lose what an administrator has set.
func createView(schema, name string, v view, options ...string) string {
	with, set := "", make([]string, len(options))
	for i, o := range options {
		key, value, _ := strings.Cut(o, "=")
		set[i] = quote(key) + " = " + literal(value)
	}
	if len(set) > 0 {
		with = " WITH (" + strings.Join(set, ", ") + ")"
	}
	return "CREATE OR REPLACE VIEW " + quote(schema, name) + with + " AS " + v.query()
}
