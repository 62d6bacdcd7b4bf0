// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package fold

import (
	"math/big"
	"slices"

	"github.com/projectionist-dev/projectionist/contract/value"
)

type cellKind uint8

const (
	cellSet    cellKind = iota + 1 // val, with items appended if there are any
	cellAdd                        // null or x, plus d; prefixes lo and hi
	cellMax                        // max(val, x)
	cellAppend                     // x with items appended
	cellNumber                     // num: what does not fit cellAdd, and add mixed with max
)

// cell is the function of one column. It is a value: copies may be kept,
// provided that appends to items never write into a slice that another cell
// can see, for which every copy is clipped.
type cell struct {
	val       value.Value
	items     []value.Value
	num       *number
	d, lo, hi int64
	col       uint16
	kind      cellKind
}

func (c *cell) copied() cell {
	out := *c
	out.items = slices.Clip(out.items)
	return out
}

// constant is the value of a cellSet.
func (c *cell) constant() value.Value { return concat(c.val, c.items) }

func concat(base value.Value, items []value.Value) value.Value {
	if len(items) == 0 {
		return base
	}
	if base == nil {
		return slices.Clone(items)
	}
	head := base.([]value.Value)
	out := make([]value.Value, 0, len(head)+len(items))
	return append(append(out, head...), items...)
}

// number gives a cellAdd, a numeric cellMax or a cellNumber in its full form.
func (c *cell) number(n *numeric) *number {
	switch c.kind {
	case cellAdd:
		return addNumber(n, big.NewInt(c.d), big.NewInt(c.lo), big.NewInt(c.hi))
	case cellMax:
		return maxNumber(n.big(c.val))
	default:
		return c.num
	}
}

// numberCell is the most compact cell for f.
func numberCell(col uint16, f *number) cell {
	if f.floor == nil && f.d.IsInt64() && f.lo.IsInt64() && f.hi.IsInt64() {
		return cell{kind: cellAdd, col: col, d: f.d.Int64(), lo: f.lo.Int64(), hi: f.hi.Int64()}
	}
	return cell{kind: cellNumber, col: col, num: f}
}

// counts tells whether overwriting the cell would forget that its steps may overflow.
func (c *cell) counts() bool {
	switch c.kind {
	case cellAdd:
		return c.lo != 0 || c.hi != 0
	case cellNumber:
		return !c.num.harmless()
	default:
		return false
	}
}

// on evaluates the cell for a column's value; false means overflow.
func (c *cell) on(n *numeric, x value.Value) (value.Value, bool) {
	switch c.kind {
	case cellSet:
		return c.constant(), true
	case cellMax:
		return value.Max(x, c.val), true
	case cellAppend:
		return concat(x, c.items), true
	case cellAdd:
		var i int64
		if x != nil {
			var ok bool
			if i, ok = n.int(x); !ok {
				return c.number(n).on(n, x)
			}
		}
		lo, ok1 := addInt(i, c.lo)
		hi, ok2 := addInt(i, c.hi)
		if !ok1 || !ok2 {
			return c.number(n).on(n, x)
		}
		if lo < n.min || hi > n.max {
			return nil, false
		}
		return n.value(i + c.d), true
	default:
		return c.num.on(n, x)
	}
}

// inRange tells whether the steps of an add stay in range from x.
func (c *cell) inRange(n *numeric, x value.Value) bool {
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
	_, ok := c.on(n, x)
	return ok
}

// straight tells whether no step of an add went further than the sum.
func (c *cell) straight() bool {
	if c.kind == cellAdd {
		return c.lo == min(c.d, 0) && c.hi == max(c.d, 0)
	}
	return c.num.lo.Cmp(smaller(c.num.d, zero)) == 0 && c.num.hi.Cmp(larger(c.num.d, zero)) == 0
}

// then composes o after c. It is false when the result overflows for every row.
func (c *cell) then(n *numeric, o *cell) (cell, bool) {
	switch {
	case o.kind == cellSet:
		return o.copied(), true
	case c.kind == cellSet && o.kind == cellAppend:
		return cell{kind: cellSet, col: c.col, val: c.val, items: slices.Concat(c.items, o.items)}, true
	case c.kind == cellSet:
		v, ok := o.on(n, c.constant())
		return cell{kind: cellSet, col: c.col, val: v}, ok
	case c.kind == cellAppend:
		return cell{kind: cellAppend, col: c.col, items: slices.Concat(c.items, o.items)}, true
	case c.kind == cellMax && o.kind == cellMax:
		return cell{kind: cellMax, col: c.col, val: value.Max(c.val, o.val)}, true
	case c.kind == cellAdd && o.kind == cellAdd:
		d, ok1 := addInt(c.d, o.d)
		lo, ok2 := addInt(c.d, o.lo)
		hi, ok3 := addInt(c.d, o.hi)
		if ok1 && ok2 && ok3 {
			return cell{kind: cellAdd, col: c.col, d: d, lo: min(c.lo, lo), hi: max(c.hi, hi)}, true
		}
	}
	f, ok := c.number(n).then(n, o.number(n))
	if !ok {
		return cell{}, false
	}
	return numberCell(c.col, f), true
}

// changeCell is the function of one change, or false if it does nothing.
func changeCell(n *numeric, ch *Change) (cell, bool) {
	c := cell{col: uint16(ch.Column)}
	if ch.Op == OpSet {
		c.kind, c.val = cellSet, ch.Operand
		return c, true
	}
	if ch.Operand == nil {
		return c, false
	}
	switch ch.Op {
	case OpAdd:
		if d, ok := n.int(ch.Operand); ok {
			c.kind, c.d, c.lo, c.hi = cellAdd, d, min(d, 0), max(d, 0)
		} else {
			b := n.big(ch.Operand)
			c.kind, c.num = cellNumber, addNumber(n, b, smaller(b, zero), larger(b, zero))
		}
	case OpMax:
		c.kind, c.val = cellMax, ch.Operand
	case OpAppend:
		c.kind, c.items = cellAppend, []value.Value{ch.Operand}
	}
	return c, true
}
