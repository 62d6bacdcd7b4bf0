// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package fold

import (
	"math/big"

	"github.com/cockroachdb/apd/v3"

	"github.com/projectionist-dev/projectionist/contract/value"
)

// numeric is the range of a column that add works on. Numbers are carried as
// integers in units of the column's last digit.
type numeric struct {
	// min and max are the range, cut to what an int64 holds.
	min, max       int64
	bigMin, bigMax *big.Int
	decimal        bool
	scale          int32
}

func newNumeric(t value.Type) *numeric {
	if !t.CanAdd() {
		return nil
	}
	n := &numeric{decimal: t.Kind == value.Decimal, scale: int32(t.Scale)}
	lo, hi := t.Limits()
	n.bigMin, n.bigMax = n.big(lo), n.big(hi)
	n.min, n.max = cut(n.bigMin), cut(n.bigMax)
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

// bigValue needs b within the column's range.
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
// NULL, otherwise max(floor, x+d). The steps that led to it stayed in range if
// lo+x and hi+x are in range, and if x was not NULL or nullErr is false. All
// numbers are immutable; lo <= 0 <= hi because the untouched row counts as a step.
type number struct {
	null      *big.Int
	nullErr   bool
	floor     *big.Int // nil: none
	d, lo, hi *big.Int
}

var zero = new(big.Int)

func addNumber(n *numeric, d, lo, hi *big.Int) *number {
	return &number{null: d, nullErr: !n.inRange(lo) || !n.inRange(hi), d: d, lo: lo, hi: hi}
}

func maxNumber(v *big.Int) *number { return &number{null: v, floor: v, d: zero, lo: zero, hi: zero} }

// harmless is true when no row can make the steps overflow.
func (f *number) harmless() bool { return !f.nullErr && f.lo.Sign() == 0 && f.hi.Sign() == 0 }

// then composes g after f. It is false when the steps overflow whatever the row holds.
func (f *number) then(n *numeric, g *number) (*number, bool) {
	out := &number{d: sum(f.d, g.d), lo: f.lo, hi: larger(f.hi, sum(f.d, g.hi)), floor: g.floor, nullErr: f.nullErr}
	if f.floor != nil {
		if sum(f.floor, g.hi).Cmp(n.bigMax) > 0 {
			return nil, false
		}
		fl := sum(f.floor, g.d)
		if g.floor == nil || fl.Cmp(g.floor) > 0 {
			out.floor = fl
		}
	}
	// A floor that stays in range through g's steps holds the value up.
	if f.floor == nil || sum(f.floor, g.lo).Cmp(n.bigMin) < 0 {
		out.lo = smaller(f.lo, sum(f.d, g.lo))
	}
	out.null = sum(f.null, g.d)
	if g.floor != nil {
		out.null = larger(out.null, g.floor)
	}
	if !n.inRange(sum(f.null, g.lo)) || !n.inRange(sum(f.null, g.hi)) {
		out.nullErr = true
	}
	return out, true
}

// on evaluates f for a column's value; false means overflow.
func (f *number) on(n *numeric, x value.Value) (value.Value, bool) {
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
	b = sum(b, f.d)
	if f.floor != nil {
		b = larger(b, f.floor)
	}
	return n.bigValue(b), true
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
