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
	s, c := fmt.Sprintf("u.c%d", col), t.columns[col]
	if c.native != "" || c.typ.Array {
		s += "::" + c.cast()
	}
	return s
}

func (t *table) params(cols []int) []param {
	out := make([]param, len(cols))
	for i, c := range cols {
		out[i] = param{c, t.columns[c].wire()}
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
	return "SELECT " + t.read() + " FROM " + quote(schema, t.name) + " t JOIN " + source(t.params(t.key)) +
		" ON " + t.onKey() + " " + t.orderByKey() + " FOR UPDATE OF t"
}

// read lists all columns of t in their logical types.
func (t *table) read() string {
	cols := make([]string, len(t.columns))
	for i, c := range t.columns {
		cols[i] = c.read("t")
	}
	return strings.Join(cols, ", ")
}

// sqlMatch reads the rows that a fan-out touches, locked, in the order of their
// keys: the first ones, or those after a key. Tombstones are among them: what they are is
// the Loader's to say. Parameters: the values of where, the key if after, how many.
func (t *table) sqlMatch(schema string, where []int, after bool) string {
	var conds []string
	n := 0
	param := func(c column) string {
		n++
		s := fmt.Sprintf("$%d::%s", n, c.scalar())
		if c.typ.Array {
			s = "(" + s + ")::" + cast(c.typ)
		}
		return s
	}
	for _, i := range where {
		c := t.columns[i]
		conds = append(conds, c.read("t")+" = "+param(c))
	}
	if after {
		from, key := make([]string, len(t.key)), make([]string, len(t.key))
		for i, k := range t.key {
			from[i], key[i] = "t."+quote(t.columns[k].name), param(t.columns[k])
		}
		conds = append(conds, "("+strings.Join(from, ", ")+") > ("+strings.Join(key, ", ")+")")
	}
	return "SELECT " + t.read() + " FROM " + quote(schema, t.name) + " t WHERE " + strings.Join(conds, " AND ") + " " + t.orderByKey() +
		fmt.Sprintf(" LIMIT $%d::bigint FOR UPDATE OF t", n+1)
}

// scalar is the type of a parameter that carries one value of the column.
func (c column) scalar() string {
	if c.typ.Array {
		return "text"
	}
	return baseType(c.typ)
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

// change is the new value of a column, given SQL for the operand. A NULL counts as
// not there for greatest and least, too.
func (t *table) change(col int, touch fold.Touch, in string) string {
	c := t.columns[col]
	old := "t." + quote(c.name)
	switch touch {
	case fold.Add:
		return "coalesce(" + old + ", 0) + " + in
	case fold.SetOnce:
		return "coalesce(" + old + ", " + in + ")"
	case fold.Max:
		return "greatest(" + old + ", " + bytewise(c, in) + ")"
	case fold.Min:
		return "least(" + old + ", " + bytewise(c, in) + ")"
	case fold.Concat:
		list := "coalesce(" + old + ", '{}') || " + in
		if c.maxItems == 0 {
			return list
		}
		// The newest ones: the cap comes after the appending.
		return fmt.Sprintf("(%s)[greatest(coalesce(pg_catalog.cardinality(%s), 0) + pg_catalog.cardinality(%s) - %d, 0) + 1:]", list, old, in, c.maxItems)
	default:
		return in
	}
}

// bytewise makes a comparison of texts that of their bytes.
func bytewise(c column, in string) string {
	if c.typ.Kind == value.Text {
		in += ` COLLATE "C"`
	}
	return in
}
