// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package fold

import (
	"math/big"

	"github.com/cockroachdb/apd/v3"

	"github.com/projectionist-dev/projectionist/contract/value"
)

// numeric is the range of a column that add works on: that of its type, narrowed
// by its rules. Numbers are carried as integers in units of the column's last digit.
type numeric struct {
	// min and max are the range, cut to what an int64 holds.
	min, max       int64
	bigMin, bigMax *big.Int
	// spansZero tells whether 0 is in the range. Only then may a NULL count as 0,
	// as it does in cellAdd and in the statements of stores.
	spansZero bool
	decimal   bool
	scale     int32
}

func newNumeric(c *Column) *numeric {
	if !c.Type.CanAdd() {
		return nil
	}
	n := &numeric{decimal: c.Type.Kind == value.Decimal, scale: int32(c.Type.Scale)}
	lo, hi := c.Type.Limits()
	if c.Rules.Min != nil {
		lo = c.Rules.Min
	}
	if c.Rules.Max != nil {
		hi = c.Rules.Max
	}
	n.bigMin, n.bigMax = n.big(lo), n.big(hi)
	n.min, n.max = cut(n.bigMin), cut(n.bigMax)
	n.spansZero = n.inRange(zero)
	return n
}

func cut(b *big.Int) int64 {
	switch {
	case b.IsInt64():
		return b.Int64()
	case b.Sign() < 0:
		return -1 << 63
	default:
		return 1<<63 - 1
	}
}

// int gives a value that is not NULL in units, if an int64 holds it.
func (n *numeric) int(v value.Value) (int64, bool) {
	if !n.decimal {
		return v.(int64), true
	}
	d := v.(*apd.Decimal)
	if !d.Coeff.IsInt64() {
		return 0, false
	}
	if d.Negative {
		return -d.Coeff.Int64(), true
	}
	return d.Coeff.Int64(), true
}

func (n *numeric) big(v value.Value) *big.Int {
	if !n.decimal {
		return big.NewInt(v.(int64))
	}
	d := v.(*apd.Decimal)
	b := d.Coeff.MathBigInt()
	if d.Negative {
		b.Neg(b)
	}
	return b
}

func (n *numeric) value(i int64) value.Value {
	if !n.decimal {
		return i
	}
	return apd.New(i, -n.scale)
}

// bigValue needs b within the range of the column's type.
func (n *numeric) bigValue(b *big.Int) value.Value {
	if !n.decimal {
		return b.Int64()
	}
	d := &apd.Decimal{Exponent: -n.scale, Negative: b.Sign() < 0}
	d.Coeff.SetMathBigInt(new(big.Int).Abs(b))
	return d
}

func (n *numeric) inRange(b *big.Int) bool { return b.Cmp(n.bigMin) >= 0 && b.Cmp(n.bigMax) <= 0 }

// number is the numeric column function in full: `null` where the column is
// NULL, otherwise min(ceil, max(floor, x+d)). The steps that led to it stayed in
// range if lo+x and hi+x are in range, and if x was not NULL or nullErr is false.
// All numbers are immutable; floor <= ceil, and lo <= 0 <= hi because the
// untouched row counts as a step.
type number struct {
	null        *big.Int
	nullErr     bool
	floor, ceil *big.Int // nil: none
	d, lo, hi   *big.Int
}

var zero = new(big.Int)

func addNumber(d, lo, hi *big.Int, nullErr bool) *number {
	return &number{null: d, nullErr: nullErr, d: d, lo: lo, hi: hi}
}

func maxNumber(v *big.Int) *number { return &number{null: v, floor: v, d: zero, lo: zero, hi: zero} }

func minNumber(v *big.Int) *number { return &number{null: v, ceil: v, d: zero, lo: zero, hi: zero} }

// counts is false when no row can make the steps overflow.
func (f *number) counts() bool { return f.nullErr || f.lo.Sign() != 0 || f.hi.Sign() != 0 }

func (f *number) bytes() int { return 8 * cellBytes }

// then composes g after f. It is false when the steps overflow whatever the row holds.
func (f *number) then(n *numeric, g *number) (*number, bool) {
	out := &number{d: sum(f.d, g.d), lo: f.lo, hi: f.hi, floor: g.floor, ceil: g.ceil, nullErr: f.nullErr}
	// f's result lies between floor and ceil. Where such an end cannot stand g's
	// steps, no row can; where it can, it holds the result within them.
	if f.floor != nil && sum(f.floor, g.hi).Cmp(n.bigMax) > 0 || f.ceil != nil && sum(f.ceil, g.lo).Cmp(n.bigMin) < 0 {
		return nil, false
	}
	if f.floor == nil || sum(f.floor, g.lo).Cmp(n.bigMin) < 0 {
		out.lo = smaller(f.lo, sum(f.d, g.lo))
	}
	if f.ceil == nil || sum(f.ceil, g.hi).Cmp(n.bigMax) > 0 {
		out.hi = larger(f.hi, sum(f.d, g.hi))
	}
	if f.floor != nil {
		out.floor = g.clamp(sum(f.floor, g.d))
	}
	if f.ceil != nil {
		out.ceil = g.clamp(sum(f.ceil, g.d))
	}
	out.null = g.clamp(sum(f.null, g.d))
	if !n.inRange(sum(f.null, g.lo)) || !n.inRange(sum(f.null, g.hi)) {
		out.nullErr = true
	}
	return out, true
}

func (f *number) clamp(b *big.Int) *big.Int {
	if f.floor != nil {
		b = larger(b, f.floor)
	}
	if f.ceil != nil {
		b = smaller(b, f.ceil)
	}
	return b
}

func (f *number) on(k *column, x value.Value) (value.Value, bool) {
	n := k.numeric
	if x == nil {
		if f.nullErr {
			return nil, false
		}
		return n.bigValue(f.null), true
	}
	b := n.big(x)
	if sum(b, f.lo).Cmp(n.bigMin) < 0 || sum(b, f.hi).Cmp(n.bigMax) > 0 {
		return nil, false
	}
	return n.bigValue(f.clamp(sum(b, f.d))), true
}

func sum(a, b *big.Int) *big.Int { return new(big.Int).Add(a, b) }

func larger(a, b *big.Int) *big.Int {
	if a.Cmp(b) >= 0 {
		return a
	}
	return b
}

func smaller(a, b *big.Int) *big.Int {
	if a.Cmp(b) <= 0 {
		return a
	}
	return b
}

// addInt is a+b, and whether it did not overflow.
func addInt(a, b int64) (int64, bool) {
	s := a + b
	return s, (s > a) == (b > 0)
}
