// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"strings"
	"time"

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
	kDec
	kString
	kTime
	kJSON // an object or a list
)

// fval is a value of the fast path: what CEL would have, without the interface.
type fval struct {
	k kind
	b bool
	i int64
	// s may alias the event.
	s string
	d *apd.Decimal
	t time.Time
	j *fastjson.Value
}

// node evaluates a part of an expression.
type node func(a *Activation) (fval, *Failure)

func (v fval) describe() string {
	switch v.k {
	case kNull:
		return "null"
	case kBool:
		return "a bool"
	case kInt, kDec:
		return "a number"
	case kString:
		return "a string"
	case kTime:
		return "a timestamp"
	default:
		return describeJSON(v.j)
	}
}

// result gives the Go form, sharing no memory with the event.
func (v fval) result(a *Activation) (any, *Failure) {
	switch v.k {
	case kNull:
		return nil, nil
	case kBool:
		return v.b, nil
	case kInt:
		return v.i, nil
	case kDec:
		return v.d, nil
	case kString:
		return strings.Clone(v.s), nil
	case kTime:
		return v.t.UTC(), nil
	default:
		return fromCEL(a.toCEL(v.j))
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
		return fval{k: kBool, b: true}, nil
	case fastjson.TypeFalse:
		return fval{k: kBool}, nil
	case fastjson.TypeString:
		return fval{k: kString, s: stringOf(v)}, nil
	case fastjson.TypeNumber:
		n, err := value.JSONNumber(a.numberText(v))
		if err != nil {
			return fval{}, failf("%s is %v", label, err)
		}
		if i, ok := n.(int64); ok {
			return fval{k: kInt, i: i}, nil
		}
		return fval{k: kDec, d: n.(*apd.Decimal)}, nil
	default:
		return fval{k: kJSON, j: v}, nil
	}
}
