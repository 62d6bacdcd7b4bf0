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
	// refuse when it leaves the column's range: that of its type, narrowed by
	// Rules.Min and Rules.Max.
	Add
	// AddChecked is Add whose steps went further than their sum: in addition
	// coalesce(column, 0) + Prefix, both of them, have to be in range.
	AddChecked
	// Max writes greatest(column, Operand), bytewise on text; NULL is less than all.
	Max
	// Concat writes coalesce(column, '{}') || Operand, an array: of that the newest
	// Rules.MaxItems elements. Without MaxItems the database has to refuse a list
	// longer than value.MaxArrayElements.
	Concat
	// SetOnce writes coalesce(column, Operand).
	SetOnce
	// Min writes least(column, Operand), bytewise on text, and Operand where the column is NULL.
	Min
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
	case u.m.rare != nil, u.m.seq != nil:
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
	k := &t.columns[c.col]
	def := k.Default
	switch c.kind {
	case cellSet:
		return Set, true
	case cellMax:
		// The new row's value stands for the operand in an upsert.
		return Max, arms != Upsert || value.Compare(def, c.val) <= 0
	case cellMin:
		return Min, arms != Upsert || def == nil || value.Compare(def, c.val) >= 0
	case cellAppend:
		if k.Rules.Distinct {
			return 0, false
		}
		head, _ := def.([]value.Value)
		_, fits := c.on(k, def)
		// The new row's list, less the default, stands for the operand in an upsert.
		whole := len(head) == 0 || k.Rules.MaxItems == 0 || len(head)+len(c.items) <= k.Rules.MaxItems
		return Concat, arms != Upsert || fits && whole
	case cellMerge:
		return 0, false
	case cellRare:
		switch f := c.fn.(type) {
		case *once:
			return SetOnce, f.next == nil && (arms != Upsert || def == nil)
		case *clamp:
			return 0, false
		case *number:
			if f.floor != nil || f.ceil != nil {
				return 0, false
			}
		}
	}
	// A NULL counts as 0, so the steps must stay in range from there, and from the default.
	if !k.numeric.spansZero || !c.inRange(k, nil) || arms == Upsert && !c.inRange(k, def) {
		return 0, false
	}
	if c.straight() {
		return Add, true
	}
	return AddChecked, true
}

// inRange tells whether the steps of an add stay in range from x.
func (c *cell) inRange(k *column, x value.Value) bool {
	n := k.numeric
	if c.kind == cellAdd {
		if x == nil {
			return c.lo >= n.min && c.hi <= n.max
		}
		if i, ok := n.int(x); ok {
			lo, ok1 := addInt(i, c.lo)
			hi, ok2 := addInt(i, c.hi)
			if ok1 && ok2 {
				return lo >= n.min && hi <= n.max
			}
		}
	}
	_, ok := c.on(k, x)
	return ok
}

// straight tells whether no step of an add went further than the sum.
func (c *cell) straight() bool {
	if c.kind == cellAdd {
		return c.lo == min(c.d, 0) && c.hi == max(c.d, 0)
	}
	f := c.fn.(*number)
	return f.lo.Cmp(smaller(f.d, zero)) == 0 && f.hi.Cmp(larger(f.d, zero)) == 0
}

// Inserted is the value of a column, key columns included, in the row that a
// Replace writes, or that an Upsert creates.
func (u Mutation) Inserted(column int) value.Value {
	if k := slices.Index(u.t.model.Key, column); k >= 0 {
		return u.key[k]
	}
	k := &u.t.columns[column]
	i := find(u.m.cells, column)
	if i < 0 {
		return k.Default
	}
	v, _ := u.m.cells[i].on(k, k.Default)
	return v
}

// Operand is the operand of the column's Touch in an Update or Upsert; nil for Keep.
func (u Mutation) Operand(column int) value.Value {
	i := find(u.m.cells, column)
	if i < 0 {
		return nil
	}
	c, k := &u.m.cells[i], &u.t.columns[column]
	switch c.kind {
	case cellSet:
		return c.constant(k)
	case cellMax, cellMin:
		return c.val
	case cellAppend:
		return c.items
	case cellAdd:
		return k.numeric.value(c.d)
	}
	if f, ok := c.fn.(*once); ok {
		return f.null
	}
	return k.numeric.bigValue(c.fn.(*number).d)
}

// Prefix gives the least and the greatest sum on the way to an AddChecked's Operand.
func (u Mutation) Prefix(column int) (lo, hi value.Value) {
	i, n := find(u.m.cells, column), u.t.columns[column].numeric
	f := u.m.cells[i].number(n)
	return n.bigValue(f.lo), n.bigValue(f.hi)
}
