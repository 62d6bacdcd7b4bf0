// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"fmt"
	"strings"

	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
)

// param is a column that a statement takes as an array.
type param struct {
	column int
	typ    value.Type
}

// source builds the FROM item that turns array parameters into rows:
// u(c0, c3, ...) with a column c<i> per table column i.
func source(params []param) string {
	funcs, names := make([]string, len(params)), make([]string, len(params))
	for i, p := range params {
		typ := baseType(p.typ)
		if p.typ.Array {
			typ = "text"
		}
		funcs[i] = fmt.Sprintf("pg_catalog.unnest($%d::%s[])", 1+i, typ)
		names[i] = fmt.Sprintf("c%d", p.column)
	}
	return "ROWS FROM (" + strings.Join(funcs, ", ") + ") AS u(" + strings.Join(names, ", ") + ")"
}

// operand is a column of u, in the column's type.
func (t *table) operand(col int) string {
	s := fmt.Sprintf("u.c%d", col)
	if typ := t.columns[col].typ; typ.Array {
		s += "::" + cast(typ)
	}
	return s
}

func (t *table) params(cols []int) []param {
	out := make([]param, len(cols))
	for i, c := range cols {
		out[i] = param{c, t.columns[c].typ}
	}
	return out
}

func (t *table) allColumns() []int {
	out := make([]int, len(t.columns))
	for i := range out {
		out[i] = i
	}
	return out
}

func (t *table) names(cols []int) string {
	out := make([]string, len(cols))
	for i, c := range cols {
		out[i] = quote(t.columns[c].name)
	}
	return strings.Join(out, ", ")
}

func (t *table) onKey() string {
	out := make([]string, len(t.key))
	for i, k := range t.key {
		out[i] = fmt.Sprintf("t.%s = u.c%d", quote(t.columns[k].name), k)
	}
	return strings.Join(out, " AND ")
}

func (t *table) orderByKey() string {
	out := make([]string, len(t.key))
	for i, k := range t.key {
		out[i] = "t." + quote(t.columns[k].name)
	}
	return "ORDER BY " + strings.Join(out, ", ")
}

// touched gives the columns that a shape changes, without those of the key.
func (t *table) touched(s fold.Shape) []int {
	var out []int
	for i := range t.columns {
		if s.Touch(i) != fold.Keep && !t.isKey(i) {
			out = append(out, i)
		}
	}
	return out
}

// sqlLock locks rows in key order, alone in its statement: UPDATE FROM would lock
// in the order of its plan.
func (t *table) sqlLock(schema string) string {
	return "SELECT pg_catalog.count(*) FROM (SELECT 1 FROM " + quote(schema, t.name) + " t JOIN " + source(t.params(t.key)) +
		" ON " + t.onKey() + " " + t.orderByKey() + " FOR UPDATE OF t) l"
}

// sqlLoad is sqlLock that gives the rows.
func (t *table) sqlLoad(schema string) string {
	cols := make([]string, len(t.columns))
	for i, c := range t.columns {
		cols[i] = "t." + quote(c.name)
	}
	return "SELECT " + strings.Join(cols, ", ") + " FROM " + quote(schema, t.name) + " t JOIN " + source(t.params(t.key)) +
		" ON " + t.onKey() + " " + t.orderByKey() + " FOR UPDATE OF t"
}

func (t *table) sqlDelete(schema string) string {
	return "DELETE FROM " + quote(schema, t.name) + " t USING " + source(t.params(t.key)) + " WHERE " + t.onKey()
}

// updateParams are the key's columns and then the touched ones.
func (t *table) updateParams(cols []int) []param {
	return t.params(append(append([]int{}, t.key...), cols...))
}

func (t *table) sqlUpdate(schema string, s fold.Shape) string {
	cols := t.touched(s)
	set := make([]string, len(cols))
	for i, c := range cols {
		name := quote(t.columns[c].name)
		set[i] = name + " = " + t.change(c, s.Touch(c), t.operand(c))
	}
	return "UPDATE " + quote(schema, t.name) + " t SET " + strings.Join(set, ", ") + " FROM " + source(t.updateParams(cols)) + " WHERE " + t.onKey()
}

// sqlWriteBack is the update of rows that were loaded: all columns outside the key.
func (t *table) sqlWriteBack(schema string) string {
	var set []string
	for i, c := range t.columns {
		if !t.isKey(i) {
			set = append(set, quote(c.name)+" = "+t.operand(i))
		}
	}
	return "UPDATE " + quote(schema, t.name) + " t SET " + strings.Join(set, ", ") + " FROM " + source(t.params(t.allColumns())) + " WHERE " + t.onKey()
}

// sqlCreate inserts rows that were read as absent and raises (22012) when one
// has come into being since: two transactions that both saw none would
// otherwise lose one effect (CORRECTNESS 2). The last parameter is the number of rows.
func (t *table) sqlCreate(schema string) string {
	cols := t.allColumns()
	return "WITH w AS (" + t.insert(schema, cols, nil) + " DO NOTHING RETURNING 1) " +
		fmt.Sprintf("SELECT 1 / ((SELECT pg_catalog.count(*) FROM w) = $%d::bigint)::int", len(cols)+1)
}

// insert is INSERT ... ON CONFLICT (key); given come from parameters, in the
// order of keys, which is the order of locking; the rest are their defaults.
func (t *table) insert(schema string, given, defaults []int) string {
	sel := make([]string, 0, len(given)+len(defaults))
	for _, c := range given {
		sel = append(sel, t.operand(c))
	}
	for _, c := range defaults {
		sel = append(sel, t.columns[c].literal(t.columns[c].def))
	}
	all := append(append([]int{}, given...), defaults...)
	return "INSERT INTO " + quote(schema, t.name) + " AS t (" + t.names(all) + ") SELECT " + strings.Join(sel, ", ") +
		" FROM " + source(t.params(given)) + " ON CONFLICT (" + t.names(t.key) + ")"
}

func (t *table) sqlReplace(schema string) string {
	var set []string
	for i, c := range t.columns {
		if !t.isKey(i) {
			set = append(set, quote(c.name)+" = EXCLUDED."+quote(c.name))
		}
	}
	return t.insert(schema, t.allColumns(), nil) + doUpdate(set)
}

// upsertColumns are those that an upsert takes as parameters: the key's, then the touched.
func (t *table) upsertColumns(s fold.Shape) []int {
	return append(append([]int{}, t.key...), t.touched(s)...)
}

// sqlUpsert works on what a new row would hold (EXCLUDED): the operand of an add
// is that less the default.
func (t *table) sqlUpsert(schema string, s fold.Shape) string {
	given := t.upsertColumns(s)
	var defaults []int
	for i, c := range t.columns {
		if c.def != nil && s.Touch(i) == fold.Keep && !t.isKey(i) {
			defaults = append(defaults, i)
		}
	}
	var set []string
	for _, c := range t.touched(s) {
		col := t.columns[c]
		name := quote(col.name)
		in := "EXCLUDED." + name
		if col.def != nil {
			switch s.Touch(c) {
			case fold.Add:
				in = "(" + in + " - " + col.literal(col.def) + ")"
			case fold.Concat:
				if n := len(col.def.([]value.Value)); n > 0 {
					in = fmt.Sprintf("%s[%d:]", in, n+1)
				}
			}
		}
		set = append(set, name+" = "+t.change(c, s.Touch(c), in))
	}
	return t.insert(schema, given, defaults) + doUpdate(set)
}

func doUpdate(set []string) string {
	if len(set) == 0 {
		return " DO NOTHING"
	}
	return " DO UPDATE SET " + strings.Join(set, ", ")
}

// change is the new value of a column, given SQL for the operand.
func (t *table) change(col int, touch fold.Touch, in string) string {
	c := t.columns[col]
	old := "t." + quote(c.name)
	switch touch {
	case fold.Add:
		return "coalesce(" + old + ", 0) + " + in
	case fold.Max:
		if c.typ.Kind == value.Text {
			in += ` COLLATE "C"`
		}
		return "greatest(" + old + ", " + in + ")"
	case fold.Concat:
		return "coalesce(" + old + ", '{}') || " + in
	default:
		return in
	}
}
