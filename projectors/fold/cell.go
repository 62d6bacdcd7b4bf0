// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package fold

import (
	"math"
	"math/big"
	"slices"

	"github.com/projectionist-dev/projectionist/contract/value"
)

// column is a column of a model as the fold needs it.
type column struct {
	*Column
	numeric *numeric // nil where add does not work
}

type cellKind uint8

const (
	cellSet    cellKind = iota + 1 // val, with items appended if there are any
	cellAdd                        // null or x, plus d; prefixes lo and hi
	cellMax                        // max(val, x)
	cellMin                        // min(val, x), val where x is NULL
	cellAppend                     // x with items appended
	cellMerge                      // x with items merged into it
	cellRare                       // fn
)

// cell is the function of one column. It is a value: copies may be kept,
// provided that appends to items never write into a slice that another cell
// can see, for which every copy is clipped.
type cell struct {
	val       value.Value
	items     []value.Value
	fn        function
	d, lo, hi int64
	// weight is sizeOf(val)+1 of a value that an event brought, 0 where it is not known: val lies elsewhere in memory, and where a column is
	// only ever set, it is not read until the end.
	weight uint32
	col    uint16
	kind   cellKind
}

// size is sizeOf(val).
func (c *cell) size() int {
	if c.weight > 0 {
		return int(c.weight) - 1
	}
	return sizeOf(c.val)
}

// hold makes v the value.
func (c *cell) hold(v value.Value) {
	c.val, c.weight = v, uint32(min(uint64(sizeOf(v)), math.MaxUint32-1))+1
}

// setCell is the function of a set.
func setCell(k *column, ch *Change) cell {
	c := cell{kind: cellSet, col: uint16(ch.Column)}
	c.hold(k.Normal(ch.Operand))
	return c
}

func (c *cell) copied() cell {
	out := *c
	out.items = slices.Clip(out.items)
	return out
}

// number gives an add, min or max in its full form.
func (c *cell) number(n *numeric) *number {
	switch c.kind {
	case cellAdd:
		lo, hi := big.NewInt(c.lo), big.NewInt(c.hi)
		return addNumber(big.NewInt(c.d), lo, hi, !n.inRange(lo) || !n.inRange(hi))
	case cellMax:
		return maxNumber(n.big(c.val))
	case cellMin:
		return minNumber(n.big(c.val))
	default:
		return c.fn.(*number)
	}
}

// numberCell is the most compact cell for f.
func numberCell(n *numeric, col uint16, f *number) cell {
	if n.spansZero && f.floor == nil && f.ceil == nil && f.d.IsInt64() && f.lo.IsInt64() && f.hi.IsInt64() {
		return cell{kind: cellAdd, col: col, d: f.d.Int64(), lo: f.lo.Int64(), hi: f.hi.Int64()}
	}
	return cell{kind: cellRare, col: col, fn: f}
}

// counts tells whether overwriting the cell would forget that its steps may overflow.
func (c *cell) counts() bool {
	switch c.kind {
	case cellAdd:
		return c.lo != 0 || c.hi != 0
	case cellAppend, cellMerge:
		return true
	case cellRare:
		return c.fn.counts()
	default:
		return false
	}
}

// on evaluates the cell for a column's value; false means overflow.
func (c *cell) on(k *column, x value.Value) (value.Value, bool) {
	switch c.kind {
	case cellSet:
		return k.appended(c.val, c.items)
	case cellMax:
		return value.Max(x, c.val), true
	case cellMin:
		return value.Min(x, c.val), true
	case cellAppend:
		return k.appended(x, c.items)
	case cellMerge:
		return merged(x, c.items)
	case cellAdd:
		n := k.numeric
		var i int64
		if x != nil {
			var ok bool
			if i, ok = n.int(x); !ok {
				return c.number(n).on(k, x)
			}
		}
		lo, ok1 := addInt(i, c.lo)
		hi, ok2 := addInt(i, c.hi)
		if !ok1 || !ok2 {
			return c.number(n).on(k, x)
		}
		if lo < n.min || hi > n.max {
			return nil, false
		}
		return n.value(i + c.d), true
	default:
		return c.fn.on(k, x)
	}
}

// constant is the value of a cellSet, whose items were seen to fit when they came.
func (c *cell) constant(k *column) value.Value {
	v, _ := c.on(k, nil)
	return v
}

func (k *column) appended(x value.Value, items []value.Value) (value.Value, bool) {
	if len(items) == 0 {
		return x, true
	}
	list, _ := x.([]value.Value)
	out, ok := k.grown(list, items)
	if !ok {
		return nil, false
	}
	return out, true
}

func merged(x value.Value, patches []value.Value) (value.Value, bool) {
	o := value.NewObject(x)
	for _, p := range patches {
		if o.Merge(p) != nil {
			return nil, false
		}
	}
	return o.JSON(), true
}

// pending gives items with more of them, as one clipped slice. Of a list that
// keeps the newest, older ones than it can keep are dropped.
func (k *column) pending(items, more []value.Value) []value.Value {
	out := slices.Concat(items, more)
	if n := k.Rules.MaxItems; n > 0 && !k.Rules.Distinct && len(out) > n {
		out = slices.Clip(out[len(out)-n:])
	}
	return out
}

// tooLong tells whether n elements, appended as they are, exceed what a list may hold.
func (k *column) tooLong(n int) bool {
	return n > value.MaxArrayElements && k.Rules.MaxItems == 0 && !k.Rules.Distinct
}

// then composes o after c. It is false when the result overflows for every row.
func (c *cell) then(k *column, o *cell) (cell, bool) {
	if o.kind == cellSet {
		return o.copied(), true
	}
	if c.kind == cellSet {
		if o.kind == cellAppend && !k.Rules.Distinct {
			items := k.pending(c.items, o.items)
			head, _ := c.val.([]value.Value)
			return cell{kind: cellSet, col: c.col, val: c.val, items: items}, !k.tooLong(len(head) + len(items))
		}
		v, ok := o.on(k, c.constant(k))
		return cell{kind: cellSet, col: c.col, val: v}, ok
	}
	if f, ok := c.fn.(*once); ok {
		f, ok = f.then(k, o)
		return cell{kind: cellRare, col: c.col, fn: f}, ok
	}
	if f, ok := o.fn.(*once); ok {
		// c has made a value of every NULL.
		if o = f.next; o == nil {
			return c.copied(), true
		}
	}
	switch {
	case c.kind == cellAppend:
		items := k.pending(c.items, o.items)
		return cell{kind: cellAppend, col: c.col, items: items}, !k.tooLong(len(items))
	case c.kind == cellMerge:
		return cell{kind: cellMerge, col: c.col, items: slices.Concat(c.items, o.items)}, true
	case c.kind == cellMax && o.kind == cellMax:
		return cell{kind: cellMax, col: c.col, val: value.Max(c.val, o.val)}, true
	case c.kind == cellMin && o.kind == cellMin:
		return cell{kind: cellMin, col: c.col, val: value.Min(c.val, o.val)}, true
	case k.numeric == nil:
		return cell{kind: cellRare, col: c.col, fn: clampOf(c).then(clampOf(o))}, true
	case c.kind == cellAdd && o.kind == cellAdd:
		d, ok1 := addInt(c.d, o.d)
		lo, ok2 := addInt(c.d, o.lo)
		hi, ok3 := addInt(c.d, o.hi)
		if ok1 && ok2 && ok3 {
			return cell{kind: cellAdd, col: c.col, d: d, lo: min(c.lo, lo), hi: max(c.hi, hi)}, true
		}
	}
	f, ok := c.number(k.numeric).then(k.numeric, o.number(k.numeric))
	if !ok {
		return cell{}, false
	}
	return numberCell(k.numeric, c.col, f), true
}

// changeCell is the function of one change, or false if it does nothing.
func changeCell(k *column, ch *Change) (cell, bool) {
	if ch.Op == OpSet {
		return setCell(k, ch), true
	}
	c := cell{col: uint16(ch.Column)}
	if ch.Operand == nil {
		return c, false
	}
	switch ch.Op {
	case OpAdd:
		n := k.numeric
		if d, ok := n.int(ch.Operand); ok && n.spansZero {
			c.kind, c.d, c.lo, c.hi = cellAdd, d, min(d, 0), max(d, 0)
		} else {
			b := n.big(ch.Operand)
			c.kind, c.fn = cellRare, addNumber(b, smaller(b, zero), larger(b, zero), !n.inRange(b))
		}
	case OpMax:
		c.kind, c.val = cellMax, ch.Operand
	case OpMin:
		c.kind, c.val = cellMin, ch.Operand
	case OpAppend:
		c.kind, c.items = cellAppend, []value.Value{ch.Operand}
	case OpMerge:
		c.kind, c.items = cellMerge, []value.Value{ch.Operand}
	case OpSetOnce:
		c.kind, c.fn = cellRare, &once{null: k.Normal(ch.Operand)}
	}
	return c, true
}

// bytes estimates the memory of a cell.
func (c *cell) bytes() int {
	n := cellBytes + c.size() + sizeOf(c.items)
	if c.fn != nil {
		n += c.fn.bytes()
	}
	return n
}
