// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"strings"
	"time"
	"unsafe"

	"github.com/cockroachdb/apd/v3"
	"github.com/valyala/fastjson"

	"github.com/projectionist-dev/projectionist/contract/value"
)

// kind is the type of an fval.
type kind uint8

const (
	kNull kind = iota
	kBool
	kInt
	kSmall // a decimal with a coefficient of 64 bits
	kDec
	kString
	kTime
	kDuration
	kJSON // an object or a list
)

// fval is a value of the fast path: what CEL would have, without memory of its own.
// It is small enough (four fields, four words) that the Go compiler keeps it in
// registers: larger ones it copies through memory at each return.
type fval struct {
	k kind
	// n is the exponent of a kSmall, the nanoseconds of a kTime.
	n int32
	// i is 0 or 1 of a kBool, a kInt, the coefficient of a kSmall, the length of a kString,
	// the seconds since the epoch of a kTime, the nanoseconds of a kDuration.
	i int64
	// x is a *byte of a kString (see log/slog.Value), an *apd.Decimal of a kDec, a *fastjson.Value of a kJSON.
	x any
}

func boolVal(b bool) fval {
	v := fval{k: kBool}
	if b {
		v.i = 1
	}
	return v
}

func intVal(i int64) fval            { return fval{k: kInt, i: i} }
func decVal(d *apd.Decimal) fval     { return fval{k: kDec, x: d} }
func timeVal(t time.Time) fval       { return fval{k: kTime, i: t.Unix(), n: int32(t.Nanosecond())} }
func jsonVal(v *fastjson.Value) fval { return fval{k: kJSON, x: v} }

// textVal may alias the event.
func textVal(s string) fval {
	return fval{k: kString, i: int64(len(s)), x: unsafe.StringData(s)} //nolint:gosec // text puts the two together again
}

func (v fval) bool() bool            { return v.i != 0 }
func (v fval) time() time.Time       { return time.Unix(v.i, int64(v.n)).UTC() }
func (v fval) big() *apd.Decimal     { return v.x.(*apd.Decimal) }
func (v fval) tree() *fastjson.Value { return v.x.(*fastjson.Value) }

// text gives the value of a kString.
func (v fval) text() string {
	return unsafe.String(v.x.(*byte), v.i) //nolint:gosec // textVal took them apart
}

// node evaluates a part of an expression.
type node func(a *Activation) (fval, *Failure)

func (v fval) describe() string {
	switch v.k {
	case kNull:
		return "null"
	case kBool:
		return "a bool"
	case kInt, kSmall, kDec:
		return "a number"
	case kString:
		return "a string"
	case kTime:
		return "a timestamp"
	case kDuration:
		return "a duration"
	default:
		return describeJSON(v.tree())
	}
}

// result gives the Go form, sharing no memory with the event.
func (v fval) result(a *Activation) (any, *Failure) {
	switch v.k {
	case kNull:
		return nil, nil
	case kBool:
		return v.bool(), nil
	case kInt:
		return v.i, nil
	case kSmall, kDec:
		return v.decimal(), nil
	case kString:
		return strings.Clone(v.text()), nil
	case kTime:
		return v.time(), nil
	case kDuration:
		return time.Duration(v.i), nil
	default:
		return fromCEL(a.toCEL(v.tree()))
	}
}

// fromJSON gives the fval of a JSON value; label names it in a failure.
func (a *Activation) fromJSON(v *fastjson.Value, label string) (fval, *Failure) {
	if v == nil {
		return fval{}, nil
	}
	switch v.Type() {
	case fastjson.TypeNull:
		return fval{}, nil
	case fastjson.TypeTrue:
		return boolVal(true), nil
	case fastjson.TypeFalse:
		return boolVal(false), nil
	case fastjson.TypeString:
		return textVal(stringOf(v)), nil
	case fastjson.TypeNumber:
		return numberVal(a.numberText(v), label)
	default:
		return jsonVal(v), nil
	}
}

// numberVal is value.JSONNumber; label names the number in a failure.
func numberVal(text, label string) (fval, *Failure) {
	if coeff, exponent, ok := value.ShortNumber(text); ok {
		if exponent == 0 {
			return intVal(coeff), nil
		}
		return fval{k: kSmall, i: coeff, n: exponent}, nil
	}
	n, err := value.JSONNumber(text)
	if err != nil {
		return fval{}, failf("%s is %v", label, err)
	}
	if i, ok := n.(int64); ok {
		return intVal(i), nil
	}
	return decVal(n.(*apd.Decimal)), nil
}
