// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package value

import (
	"math"

	"github.com/cockroachdb/apd/v3"
)

// roundCtx rounds half away from zero, as PostgreSQL's numeric does.
var roundCtx = apd.Context{
	Precision: 2*MaxPrecision + 200, MaxExponent: apd.MaxExponent, MinExponent: apd.MinExponent, Rounding: apd.RoundHalfUp,
}

var pow10 = [...]int64{
	1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
}

func (t Type) convertDecimal(in any) (Value, error) {
	switch x := in.(type) {
	case int64:
		if f := pow10[min(int(t.Scale), len(pow10)-1)]; int(t.Scale) < len(pow10) && x <= math.MaxInt64/f && x >= -(math.MaxInt64/f) {
			return t.checkDigits(apd.New(x*f, -int32(t.Scale)))
		}
		return t.rescale(apd.New(x, 0))
	case uint64:
		var d apd.Decimal
		d.Coeff.SetUint64(x)
		return t.rescale(&d)
	case *apd.Decimal:
		return t.rescale(x)
	case float64:
		return nil, errf("a double, expected a decimal: a double has already lost digits")
	}
	return nil, t.mismatch(in)
}

// RescaleSmall is Convert to a decimal type of the number coeff times ten to the
// exponent, where that needs 64 bits only: it gives the coefficient of the
// value, whose exponent is minus Scale. ok is false where Convert is to decide.
func (t Type) RescaleSmall(coeff int64, exponent int32) (out int64, ok bool) {
	up := int64(exponent) + int64(t.Scale)
	switch {
	case up >= 0 && up < int64(len(pow10)):
		f := pow10[up]
		if coeff > math.MaxInt64/f || coeff < -(math.MaxInt64/f) {
			return 0, false
		}
		out = coeff * f
	case up < 0 && -up < int64(len(pow10)):
		f := pow10[-up]
		out = coeff / f
		// Half away from zero; the rest is less than f, so that twice it may only just overflow.
		if rest := coeff % f; rest >= f-rest {
			out++
		} else if -rest >= f+rest {
			out--
		}
	default:
		return 0, false
	}
	if int(t.Precision) < len(pow10) && (out >= pow10[t.Precision] || out <= -pow10[t.Precision]) {
		return 0, false
	}
	return out, true
}

// rescale gives d with exactly Scale digits after the point.
func (t Type) rescale(d *apd.Decimal) (Value, error) {
	if d.Form != apd.Finite {
		return nil, errf("not a finite number")
	}
	scale := int32(t.Scale)
	// Both ends are settled without building a huge power of ten.
	if d.Sign() != 0 && d.NumDigits()+int64(d.Exponent) > int64(t.Precision)-int64(scale) {
		return nil, t.tooLarge()
	}
	if d.Sign() == 0 || d.NumDigits()+int64(d.Exponent) < -int64(scale) {
		return &apd.Decimal{Exponent: -scale}, nil
	}
	out := new(apd.Decimal)
	if up := int64(d.Exponent) + int64(scale); up >= 0 && up < int64(len(pow10)) {
		// No digit is lost: a multiplication does it, without a context.
		f := apd.NewBigInt(pow10[up])
		out.Coeff.Mul(&d.Coeff, f)
		out.Exponent, out.Negative = -scale, d.Negative
	} else if _, err := roundCtx.Quantize(out, d, -scale); err != nil {
		return nil, t.tooLarge()
	}
	if out.Coeff.Sign() == 0 {
		out.Negative = false
	}
	return t.checkDigits(out)
}

func (t Type) tooLarge() error { return errf("too large for %s", t) }

func (t Type) checkDigits(d *apd.Decimal) (Value, error) {
	if d.NumDigits() > int64(t.Precision) {
		return nil, t.tooLarge()
	}
	return d, nil
}
