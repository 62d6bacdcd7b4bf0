// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package fold

import "github.com/projectionist-dev/projectionist/contract/value"

// maxFastChanges bounds the changes of an effect that is folded in place.
const maxFastChanges = 32

// applyFast folds an effect into a mutation in place where that cannot fail and
// needs nothing rare: nearly always. It gives the growth of Bytes, and false,
// having changed nothing, where the composition in full is needed. It must agree
// with then; a property test holds them equal.
func (t *table) applyFast(m *mutation, e *Effect) (grown int, ok bool) {
	if m.rare != nil || m.base == failed || len(e.Changes) > maxFastChanges {
		return 0, false
	}
	if e.Delete {
		for i := range m.cells {
			if m.base == own && m.cells[i].counts() {
				return 0, false
			}
		}
		grown = -m.bytes()
		m.base, m.absent, m.cells = gone, same, nil
		return grown, true
	}
	if m.base == gone && e.IgnoreAbsent {
		return 0, true
	}
	first := m.base == own && len(m.cells) == 0 && m.absent == stays
	if m.absent == stays && !e.IgnoreAbsent && !first {
		return 0, false
	}
	if m.base == gone {
		// A new row after a delete: let the composition take the defaults.
		return 0, false
	}
	var at [maxFastChanges]int8
	added := 0
	for i := range e.Changes {
		ch := &e.Changes[i]
		j := find(m.cells, ch.Column)
		if j > 126 {
			return 0, false
		}
		at[i] = int8(j)
		if j < 0 {
			if m.base != own {
				return 0, false
			}
			added++
		} else if !m.cells[j].takes(&t.columns[ch.Column], ch) {
			return 0, false
		}
	}
	if first && !e.IgnoreAbsent {
		m.absent = same
	}
	if added > cap(m.cells)-len(m.cells) {
		m.cells = t.grow(m.cells, added)
	}
	for i := range e.Changes {
		ch := &e.Changes[i]
		if at[i] >= 0 {
			grown += m.cells[at[i]].take(&t.columns[ch.Column], ch)
			continue
		}
		if c, does := changeCell(&t.columns[ch.Column], ch); does {
			m.cells = append(m.cells, c)
			grown += c.bytes()
		}
	}
	return grown, true
}

// grow gives cells room for n more, cut from the slab.
func (t *table) grow(cells []cell, n int) []cell {
	need := len(cells) + n
	if len(t.slab) < need {
		t.slab = make([]cell, max(slabCells, need))
	}
	out := t.slab[:len(cells):need]
	t.slab = t.slab[need:]
	copy(out, cells)
	return out
}

// takes tells whether take can fold the change in.
func (c *cell) takes(k *column, ch *Change) bool {
	if ch.Op == OpSet {
		return !c.counts()
	}
	if ch.Operand == nil {
		return true
	}
	switch ch.Op {
	case OpSetOnce:
		return true
	case OpAppend:
		switch c.kind {
		case cellAppend:
			return !k.tooLong(len(c.items) + 1)
		case cellSet:
			list, _ := c.val.([]value.Value)
			return !k.Rules.Distinct && !k.tooLong(len(list)+len(c.items)+1)
		}
	case OpMerge:
		return c.kind == cellMerge
	case OpMax:
		return c.kind == cellMax || c.kind == cellSet
	case OpMin:
		return c.kind == cellMin || c.kind == cellSet
	case OpAdd:
		d, ok := k.numeric.int(ch.Operand)
		switch {
		case !ok:
		case c.kind == cellAdd:
			_, ok = addInt(c.d, d)
			return ok
		case c.kind == cellSet:
			_, ok = c.sum(k.numeric, d)
			return ok
		}
	}
	return false
}

// take folds the change into the cell and gives the growth of Bytes.
func (c *cell) take(k *column, ch *Change) int {
	switch {
	case ch.Op == OpSet:
		was := c.bytes()
		*c = setCell(k, ch)
		return c.bytes() - was
	case ch.Operand == nil:
	case ch.Op == OpSetOnce:
		// All functions but a set to NULL make a value of NULL.
		if c.kind == cellSet && c.val == nil && len(c.items) == 0 {
			c.hold(k.Normal(ch.Operand))
			return c.size() - sizeOf(nil)
		}
	case ch.Op == OpAppend:
		c.items = append(c.items, ch.Operand)
		if n := k.Rules.MaxItems; n > 0 && !k.Rules.Distinct && len(c.items) > n {
			oldest := c.items[0]
			c.items = c.items[1:]
			return sizeOf(ch.Operand) - sizeOf(oldest)
		}
		return 24 + sizeOf(ch.Operand)
	case ch.Op == OpMerge:
		c.items = append(c.items, ch.Operand)
		return 24 + sizeOf(ch.Operand)
	case ch.Op == OpMin:
		was := c.size()
		c.hold(value.Min(c.val, ch.Operand))
		return c.size() - was
	case ch.Op == OpMax:
		was := c.size()
		c.hold(value.Max(c.val, ch.Operand))
		return c.size() - was
	case ch.Op == OpAdd:
		d, _ := k.numeric.int(ch.Operand)
		if c.kind == cellSet {
			s, _ := c.sum(k.numeric, d)
			c.hold(k.numeric.value(s))
			return 0
		}
		c.d += d
		c.lo, c.hi = min(c.lo, c.d), max(c.hi, c.d)
	}
	return 0
}

// sum is a cellSet's number plus d, and whether that is in the column's range.
func (c *cell) sum(n *numeric, d int64) (int64, bool) {
	x := int64(0)
	if c.val != nil {
		var ok bool
		if x, ok = n.int(c.val); !ok {
			return 0, false
		}
	}
	s, ok := addInt(x, d)
	return s, ok && s >= n.min && s <= n.max
}
