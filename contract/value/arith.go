// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package value

import (
	"bytes"
	"cmp"
	"errors"
	"math"
	"strings"
	"time"

	"github.com/cockroachdb/apd/v3"
)

// ErrRange is what Add and Fits give when a value does not fit its type.
var ErrRange = errors.New("out of the range of its type")

// Add is a + b in a type with CanAdd; NULL + x is x. It fails with ErrRange when
// the sum does not fit the type.
func (t Type) Add(a, b Value) (Value, error) {
	s, err := t.AddWide(a, b)
	if err != nil {
		return nil, err
	}
	if err := t.Fits(s); err != nil {
		return nil, err
	}
	return s, nil
}

// AddWide is Add without the range of the type, so that sums of operands can be
// carried: integers overflow at 64 bits (ErrRange), decimals do not.
func (t Type) AddWide(a, b Value) (Value, error) {
	if a == nil {
		return b, nil
	}
	if b == nil {
		return a, nil
	}
	switch x := a.(type) {
	case int64:
		y := b.(int64)
		s := x + y
		if (s > x) != (y > 0) && y != 0 {
			return nil, ErrRange
		}
		return s, nil
	case *apd.Decimal:
		y := b.(*apd.Decimal)
		out := new(apd.Decimal)
		if x.Exponent == y.Exponent && x.Negative == y.Negative {
			out.Coeff.Add(&x.Coeff, &y.Coeff)
			out.Exponent, out.Negative = x.Exponent, x.Negative
			return out, nil
		}
		if _, err := roundCtx.Add(out, x, y); err != nil {
			return nil, ErrRange
		}
		if out.Coeff.Sign() == 0 {
			out.Negative = false
		}
		return out, nil
	}
	return nil, errf("of a type that add does not work on")
}

// Fits tells whether a number is in the range of the type; nil, or ErrRange.
func (t Type) Fits(v Value) error {
	switch x := v.(type) {
	case int64:
		if t.Kind == Int32 && (x < math.MinInt32 || x > math.MaxInt32) {
			return ErrRange
		}
	case *apd.Decimal:
		if x.NumDigits() > int64(t.Precision) {
			return ErrRange
		}
	}
	return nil
}

// Limits gives the smallest and the largest value of a type with CanAdd.
func (t Type) Limits() (lo, hi Value) {
	switch t.Kind {
	case Int32:
		return int64(math.MinInt32), int64(math.MaxInt32)
	case Int64:
		return int64(math.MinInt64), int64(math.MaxInt64)
	case Decimal:
		h := &apd.Decimal{Exponent: -int32(t.Scale)}
		h.Coeff.SetString(strings.Repeat("9", int(t.Precision)), 10)
		return new(apd.Decimal).Neg(h), h
	default:
		return nil, nil
	}
}

// Max is the greater of a and b by Compare; NULL is less than everything.
func Max(a, b Value) Value {
	if Compare(a, b) < 0 {
		return b
	}
	return a
}

// Min is the lesser of a and b by Compare, or the one that is not NULL.
func Min(a, b Value) Value {
	if a == nil || b != nil && Compare(b, a) < 0 {
		return b
	}
	return a
}

// Compare orders two values of one type: negative, zero or positive. NULL comes
// first, false before true, text and json bytewise, arrays element by element
// and then by length. Values of different types compare in an arbitrary but
// fixed order.
func Compare(a, b Value) int {
	if c := cmp.Compare(tagOf(a), tagOf(b)); c != 0 {
		return c
	}
	switch x := a.(type) {
	case string:
		return strings.Compare(x, b.(string))
	case int64:
		return cmp.Compare(x, b.(int64))
	case bool:
		y := b.(bool)
		switch {
		case x == y:
			return 0
		case y:
			return -1
		}
		return 1
	case float64:
		return cmp.Compare(x, b.(float64))
	case *apd.Decimal:
		return x.Cmp(b.(*apd.Decimal))
	case time.Time:
		return x.Compare(b.(time.Time))
	case [16]byte:
		y := b.([16]byte)
		return bytes.Compare(x[:], y[:])
	case TimeOfDay:
		return cmp.Compare(x, b.(TimeOfDay))
	case JSON:
		return strings.Compare(string(x), string(b.(JSON)))
	case []byte:
		return bytes.Compare(x, b.([]byte))
	case []Value:
		y := b.([]Value)
		for i := range min(len(x), len(y)) {
			if c := Compare(x[i], y[i]); c != 0 {
				return c
			}
		}
		return cmp.Compare(len(x), len(y))
	}
	return 0
}

const (
	tagNull byte = iota
	tagEnd       // ends an array; less than any element's tag but that of NULL, which no array holds
	tagBool
	tagInt
	tagFloat
	tagDecimal
	tagTime
	tagUUID
	tagText
	tagJSON
	tagBytes
	tagArray
	tagTimeOfDay
	tagUnknown
)

func tagOf(v Value) byte {
	switch v.(type) {
	case nil:
		return tagNull
	case bool:
		return tagBool
	case int64:
		return tagInt
	case float64:
		return tagFloat
	case *apd.Decimal:
		return tagDecimal
	case time.Time:
		return tagTime
	case [16]byte:
		return tagUUID
	case string:
		return tagText
	case JSON:
		return tagJSON
	case []byte:
		return tagBytes
	case []Value:
		return tagArray
	case TimeOfDay:
		return tagTimeOfDay
	default:
		return tagUnknown
	}
}
