// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package fold

import "github.com/projectionist-dev/projectionist/contract/value"

// function is a column function that no compact cell says: a number, a clamp or a once.
type function interface {
	// on evaluates it for a column's value; false means overflow.
	on(k *column, x value.Value) (value.Value, bool)
	// counts tells whether some row may make it overflow.
	counts() bool
	// bytes estimates its memory.
	bytes() int
}

// clamp mixes min and max on a type without sums: `null` where the column is
// NULL, otherwise min(ceil, max(floor, x)); floor <= ceil, nil is none.
type clamp struct{ null, floor, ceil value.Value }

func clampOf(c *cell) *clamp {
	switch c.kind {
	case cellMax:
		return &clamp{null: c.val, floor: c.val}
	case cellMin:
		return &clamp{null: c.val, ceil: c.val}
	default:
		return c.fn.(*clamp)
	}
}

func (f *clamp) then(g *clamp) *clamp {
	out := &clamp{null: g.bound(f.null), floor: g.floor, ceil: g.ceil}
	if f.floor != nil {
		out.floor = g.bound(f.floor)
	}
	if f.ceil != nil {
		out.ceil = g.bound(f.ceil)
	}
	return out
}

// bound is f of a value that is not NULL.
func (f *clamp) bound(x value.Value) value.Value {
	x = value.Max(x, f.floor)
	if f.ceil != nil {
		x = value.Min(x, f.ceil)
	}
	return x
}

func (f *clamp) on(_ *column, x value.Value) (value.Value, bool) {
	if x == nil {
		return f.null, true
	}
	return f.bound(x), true
}

func (f *clamp) counts() bool { return false }

func (f *clamp) bytes() int { return sizeOf(f.null) + sizeOf(f.floor) + sizeOf(f.ceil) }

// once is a setOnce and what came after it: `null` where the column is NULL,
// which is never NULL itself, otherwise next of the value. Since every function
// but a set makes a value of NULL, a setOnce after one of them does nothing, and
// once is only ever the outermost.
type once struct {
	null    value.Value
	nullErr bool  // what came after overflows where the column was NULL
	next    *cell // nil is the identity
}

// then composes a function that is no set after f.
func (f *once) then(k *column, o *cell) (*once, bool) {
	out := &once{null: f.null, nullErr: f.nullErr, next: f.next}
	if !out.nullErr {
		v, ok := o.on(k, f.null)
		out.null, out.nullErr = v, !ok
	}
	if later, ok := o.fn.(*once); ok {
		o = later.next // what f leaves is not NULL
	}
	switch {
	case o == nil:
	case out.next == nil:
		c := o.copied()
		out.next = &c
	default:
		c, ok := out.next.then(k, o)
		if !ok {
			return nil, false // so does f.null, which is a value like another
		}
		out.next = &c
	}
	return out, true
}

func (f *once) on(k *column, x value.Value) (value.Value, bool) {
	switch {
	case x == nil:
		return f.null, !f.nullErr
	case f.next == nil:
		return x, true
	default:
		return f.next.on(k, x)
	}
}

func (f *once) counts() bool { return f.nullErr || f.next != nil && f.next.counts() }

func (f *once) bytes() int {
	n := sizeOf(f.null)
	if f.next != nil {
		n += f.next.bytes()
	}
	return n
}
