// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package fold

import (
	"cmp"
	"slices"

	"github.com/projectionist-dev/projectionist/contract/value"
)

// Arms is the kind of statement that a mutation needs.
type Arms uint8

const (
	// Delete removes the row if it is there.
	Delete Arms = iota + 1
	// Update changes the touched columns of a row if it is there.
	Update
	// Replace writes all columns (Mutation.Inserted), row there or not.
	Replace
	// Upsert writes Mutation.Inserted where there is no row, and otherwise
	// changes the touched columns. It may touch none: then it only creates.
	Upsert
	// Load is what one statement cannot say: read the row locked, give it to
	// Mutation.Apply, write back what comes out.
	Load
)

func (a Arms) String() string {
	return [...]string{"none", "delete", "update", "replace", "upsert", "load"}[a]
}

// Touch is what an Update or Upsert does to one column of a row that is there.
type Touch uint8

const (
	// Keep leaves the column alone.
	Keep Touch = iota
	// Set writes Operand.
	Set
	// Add writes coalesce(column, 0) + Operand, which the database has to
	// refuse when it leaves the column's range.
	Add
	// AddChecked is Add whose steps went further than their sum: in addition
	// coalesce(column, 0) + Prefix, both of them, have to be in range.
	AddChecked
	// Max writes greatest(column, Operand), bytewise on text; NULL is less than all.
	Max
	// Concat writes coalesce(column, '{}') || Operand, an array.
	Concat
)

// Shape says which mutations one statement can carry. Shapes compare with ==.
type Shape struct {
	Arms Arms
	// touches holds a Touch for each column of the model, for Update and Upsert.
	touches string
}

// Touch is what the shape does to a column of the model; Keep for other arms than Update and Upsert.
func (s Shape) Touch(column int) Touch {
	if s.touches == "" {
		return Keep
	}
	return Touch(s.touches[column])
}

// Compare is an arbitrary fixed order: Delete first, Load last.
func (s Shape) Compare(o Shape) int {
	return cmp.Or(cmp.Compare(s.Arms, o.Arms), cmp.Compare(s.touches, o.touches))
}

// Group is the mutations of one shape, in key order.
type Group struct {
	Shape Shape
	Rows  []Mutation
}

// GroupByShape splits rows, keeping their order within a group. Groups come in
// the order of Shape.Compare.
func GroupByShape(rows []Mutation) []Group {
	var out []Group
	at := make(map[Shape]int)
	for _, r := range rows {
		s := r.Shape()
		i, ok := at[s]
		if !ok {
			i = len(out)
			at[s] = i
			out = append(out, Group{Shape: s})
		}
		out[i].Rows = append(out[i].Rows, r)
	}
	slices.SortFunc(out, func(a, b Group) int { return a.Shape.Compare(b.Shape) })
	return out
}

// Mutation is what a batch does to one row. It is a small handle, valid until
// the batch changes.
type Mutation struct {
	t   *table
	m   *mutation
	key []value.Value
}

// Key holds the values of the key columns in the order of Model.Key.
func (u Mutation) Key() []value.Value { return u.key }

// Shape says which statement the mutation needs.
func (u Mutation) Shape() Shape {
	switch {
	case u.m.rare != nil:
		return Shape{Arms: Load}
	case u.m.base == gone:
		return Shape{Arms: Delete}
	case u.m.base == fresh:
		return Shape{Arms: Replace}
	}
	s := Shape{Arms: Update}
	if u.m.absent == same {
		s.Arms = Upsert
	}
	if len(u.m.cells) == 0 {
		return s
	}
	var buf [64]byte
	touches := buf[:min(len(buf), len(u.t.model.Columns))]
	if len(u.t.model.Columns) > len(buf) {
		touches = make([]byte, len(u.t.model.Columns))
	}
	for i := range u.m.cells {
		c := &u.m.cells[i]
		touch, ok := u.t.touch(c, s.Arms)
		if !ok {
			return Shape{Arms: Load}
		}
		touches[c.col] = byte(touch)
	}
	s.touches = u.t.intern(touches)
	return s
}

// intern saves a string per mutation: a batch has few shapes.
func (t *table) intern(touches []byte) string {
	if s, ok := t.shapes[string(touches)]; ok {
		return s
	}
	if t.shapes == nil {
		t.shapes = make(map[string]string)
	}
	s := string(touches)
	t.shapes[s] = s
	return s
}

// touch gives a cell's Touch; false where only loading the row is exact.
func (t *table) touch(c *cell, arms Arms) (Touch, bool) {
	n, def := t.numeric[c.col], t.model.Columns[c.col].Default
	switch c.kind {
	case cellSet:
		return Set, true
	case cellAppend:
		return Concat, true
	case cellMax:
		// The new row's value stands for the operand in an upsert.
		return Max, arms != Upsert || value.Compare(def, c.val) <= 0
	case cellNumber:
		if c.num.floor != nil {
			return 0, false
		}
	}
	// A NULL counts as 0, so the steps must stay in range from there, and from the default.
	if !c.inRange(n, nil) || arms == Upsert && !c.inRange(n, def) {
		return 0, false
	}
	if c.straight() {
		return Add, true
	}
	return AddChecked, true
}

// Inserted is the value of a column, key columns included, in the row that a
// Replace writes, or that an Upsert creates.
func (u Mutation) Inserted(column int) value.Value {
	if k := slices.Index(u.t.model.Key, column); k >= 0 {
		return u.key[k]
	}
	def := u.t.model.Columns[column].Default
	i := find(u.m.cells, column)
	if i < 0 {
		return def
	}
	v, _ := u.m.cells[i].on(u.t.numeric[column], def)
	return v
}

// Operand is the operand of the column's Touch in an Update or Upsert; nil for Keep.
func (u Mutation) Operand(column int) value.Value {
	i := find(u.m.cells, column)
	if i < 0 {
		return nil
	}
	c := &u.m.cells[i]
	switch c.kind {
	case cellSet:
		return c.constant()
	case cellMax:
		return c.val
	case cellAppend:
		return c.items
	}
	n := u.t.numeric[column]
	if c.kind == cellAdd {
		return n.value(c.d)
	}
	return n.bigValue(c.num.d)
}

// Prefix gives the least and the greatest sum on the way to an AddChecked's Operand.
func (u Mutation) Prefix(column int) (lo, hi value.Value) {
	i, n := find(u.m.cells, column), u.t.numeric[column]
	f := u.m.cells[i].number(n)
	return n.bigValue(f.lo), n.bigValue(f.hi)
}

// Apply gives the row that the mutation makes of row, which it does not
// modify. Rows hold a value for each column of the model; nil is an absent row.
// It fails with *OverflowError when an add has left its column's range on the way.
func (u Mutation) Apply(row []value.Value) ([]value.Value, error) {
	a := u.m.arm()
	if row == nil {
		a = u.t.absentArm(u.m)
	} else if u.m.rare != nil {
		for i := range u.m.rare.guards {
			g := &u.m.rare.guards[i]
			if _, ok := g.on(u.t.numeric[g.col], row[g.col]); !ok {
				return nil, u.t.overflow(int(g.col))
			}
		}
	}
	switch a.base {
	case failed:
		return nil, u.t.overflow(a.col)
	case gone:
		return nil, nil
	case fresh:
		row = make([]value.Value, len(u.t.model.Columns))
		for i := range row {
			row[i] = u.t.model.Columns[i].Default
		}
		for i, c := range u.t.model.Key {
			row[c] = u.key[i]
		}
	default:
		row = slices.Clone(row)
	}
	for i := range a.cells {
		c := &a.cells[i]
		v, ok := c.on(u.t.numeric[c.col], row[c.col])
		if !ok {
			return nil, u.t.overflow(int(c.col))
		}
		row[c.col] = v
	}
	return row, nil
}

func (t *table) overflow(col int) error {
	return &OverflowError{Model: t.model.Name, Column: t.model.Columns[col].Name}
}
