// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"cmp"
	"math"

	"github.com/cockroachdb/apd/v3"

	"github.com/projectionist-dev/projectionist/contract/value"
)

// Numbers of the fast path. Nearly all decimals of events have a coefficient of 64
// bits (kSmall): these are added, multiplied and compared without big integers.
// Results have the exponents that arith gives.

func (v fval) isNumber() bool { return v.k >= kInt && v.k <= kDec }

// decimal gives a number as a decimal.
func (v fval) decimal() *apd.Decimal {
	if v.k == kDec {
		return v.big()
	}
	return apd.New(v.i, v.n)
}

// small gives a number as coefficient and exponent, where these are small.
func (v fval) small() (coeff int64, exponent int32, ok bool) {
	if v.k != kDec {
		return v.i, v.n, true
	}
	if !v.big().Coeff.IsInt64() {
		return 0, 0, false
	}
	coeff = v.big().Coeff.Int64()
	if v.big().Negative {
		coeff = -coeff
	}
	return coeff, v.big().Exponent, true
}

// powers holds the powers of ten of 64 bits.
var powers = func() (p [19]int64) {
	for i, n := 0, int64(1); i < len(p); i, n = i+1, n*10 {
		p[i] = n
	}
	return p
}()

// lower gives coeff times ten to the exponent with a lower exponent.
func lower(coeff int64, exponent, to int32) (int64, bool) {
	by := int64(exponent) - int64(to)
	if by >= int64(len(powers)) {
		return 0, coeff == 0
	}
	return mulInt(coeff, powers[by])
}

// align brings two numbers to the lesser of their exponents.
func align(x, y fval) (a, b int64, exponent int32, ok bool) {
	a, ea, ok1 := x.small()
	b, eb, ok2 := y.small()
	if !ok1 || !ok2 {
		return 0, 0, 0, false
	}
	switch {
	case ea > eb:
		a, ok1 = lower(a, ea, eb)
	case eb > ea:
		b, ok1 = lower(b, eb, ea)
	}
	return a, b, min(ea, eb), ok1
}

func compareNumbers(x, y fval) int {
	if a, b, _, ok := align(x, y); ok {
		return cmp.Compare(a, b)
	}
	return x.decimal().Cmp(y.decimal())
}

// arithNumbers is x op y for op one of + - *.
func arithNumbers(op byte, x, y fval) (fval, *Failure) {
	n, exponent, ok := arithSmall(op, x, y)
	switch {
	case x.k == kInt && y.k == kInt:
		if !ok {
			return fval{}, failf("the result of %c is out of the range of an int", op)
		}
		return intVal(n), nil
	case ok && exponent >= -value.MaxExponent && exponent <= value.MaxExponent && n != math.MinInt64:
		return fval{k: kSmall, i: n, n: exponent}, nil
	}
	d, f := arith(op, x.decimal(), y.decimal())
	return decVal(d), f
}

func arithSmall(op byte, x, y fval) (n int64, exponent int32, ok bool) {
	if op == '*' {
		a, ea, ok1 := x.small()
		b, eb, ok2 := y.small()
		n, ok = mulInt(a, b)
		return n, ea + eb, ok && ok1 && ok2
	}
	a, b, exponent, ok := align(x, y)
	if !ok {
		return 0, 0, false
	}
	if op == '+' {
		n, ok = addInt(a, b)
	} else {
		n, ok = subInt(a, b)
	}
	return n, exponent, ok
}

// integral gives the integer that a number is, if it is one of 64 bits.
func (v fval) integral() (int64, bool) {
	if v.k == kInt {
		return v.i, true
	}
	return value.Integral(v.decimal())
}

func (v fval) sign() int {
	if v.k == kDec {
		return v.big().Sign()
	}
	return cmp.Compare(v.i, 0)
}

func negateNumber(v fval) (fval, *Failure) {
	switch {
	case v.k == kInt && v.i == math.MinInt64:
		return fval{}, failf("the result of - is out of the range of an int")
	case v.k == kDec || v.i == math.MinInt64:
		return decVal(negate(dec{v.decimal()}).(dec).d), nil
	}
	v.i = -v.i
	return v, nil
}

// roundNumber gives a number with at most so many digits after the point.
func roundNumber(v fval, digits int32, how apd.Rounder) (fval, *Failure) {
	if v.k == kInt || v.k == kSmall && v.n >= -digits || v.k == kDec && v.big().Exponent >= -digits {
		return v, nil
	}
	ctx := exactCtx
	ctx.Rounding = how
	out := new(apd.Decimal)
	if _, err := ctx.Quantize(out, v.decimal(), -digits); err != nil {
		return fval{}, failf("a number is beyond %d digits", value.MaxDigits)
	}
	if out.Coeff.Sign() == 0 {
		out.Negative = false
	}
	return decVal(out), nil
}
