// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"math"

	"cel.dev/cel-go/common/functions"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"github.com/cockroachdb/apd/v3"

	"github.com/projectionist-dev/projectionist/contract/value"
)

// asDecimal gives an int or a decimal as a decimal.
func asDecimal(v ref.Val) (*apd.Decimal, bool) {
	switch x := v.(type) {
	case dec:
		return x.d, true
	case types.Int:
		return intDec(int64(x)), true
	}
	return nil, false
}

func isDec(v ref.Val) bool { _, ok := v.(dec); return ok }

// binary binds an arithmetic operator: decimals and ints exactly, anything else as CEL does.
func binary(op byte, std functions.BinaryOp) functions.BinaryOp {
	return func(l, r ref.Val) ref.Val {
		if isDec(l) || isDec(r) {
			x, okX := asDecimal(l)
			y, okY := asDecimal(r)
			if !okX || !okY {
				return celErr(mixed(string(op), describeCEL(l), describeCEL(r)))
			}
			d, f := arith(op, x, y)
			if f != nil {
				return celErr(f)
			}
			return dec{d}
		}
		if !arithmeticOperand(op, l) || !arithmeticOperand(op, r) {
			return celErr(mixed(string(op), describeCEL(l), describeCEL(r)))
		}
		if op == '+' && !withinBounds(l, r) {
			return celErr(tooLong())
		}
		return std(l, r)
	}
}

func tooLong() *Failure {
	return failf("a string of more than %d bytes or a list of more than %d elements is built", maxBuilt, maxElements)
}

// withinBounds tells whether two strings or lists may be put together: CEL counts
// the cost of that only when it is done.
func withinBounds(l, r ref.Val) bool {
	switch x := l.(type) {
	case types.String:
		y, _ := r.(types.String)
		return len(x)+len(y) <= maxBuilt
	case types.Bytes:
		y, _ := r.(types.Bytes)
		return len(x)+len(y) <= maxBuilt
	case traits.Lister:
		y, ok := r.(traits.Lister)
		return !ok || x.Size().(types.Int)+y.Size().(types.Int) <= maxElements
	}
	return true
}

// arithmeticOperand tells whether v has the trait that CEL's operator asserts.
func arithmeticOperand(op byte, v ref.Val) bool {
	switch v.(type) {
	case types.Int, types.Uint, types.Double:
		return true
	case types.String, types.Bytes, traits.Lister:
		return op == '+'
	case types.Timestamp, types.Duration:
		return op == '+' || op == '-'
	}
	return false
}

func mixed(op, l, r string) *Failure {
	return failf("%s does not work on %s and %s", op, l, r)
}

// ordering binds a comparison.
func ordering(is func(int) bool) functions.BinaryOp {
	return func(l, r ref.Val) ref.Val {
		c, ok := compare(l, r)
		if !ok {
			return celErr(mixed("an order comparison", describeCEL(l), describeCEL(r)))
		}
		return types.Bool(is(c))
	}
}

// compare orders two values of one type; ints and decimals are one type here,
// doubles are not.
func compare(l, r ref.Val) (int, bool) {
	if isDec(l) || isDec(r) {
		x, okX := asDecimal(l)
		y, okY := asDecimal(r)
		if !okX || !okY {
			return 0, false
		}
		return x.Cmp(y), true
	}
	if l.Type() != r.Type() {
		return 0, false
	}
	if d, ok := l.(types.Double); ok && (math.IsNaN(float64(d)) || math.IsNaN(float64(r.(types.Double)))) {
		return 0, false
	}
	cmp, ok := l.(traits.Comparer)
	if !ok {
		return 0, false
	}
	c, ok := cmp.Compare(r).(types.Int)
	return int(c), ok
}

// budget is what is left to look at; below zero it is spent.
type budget int

func (b *budget) take() bool { *b--; return *b >= 0 }

// bounded binds a comparison that walks through lists and objects. Shared parts
// can make these exponentially larger than the expression.
func bounded(op func(l, r ref.Val, b *budget) bool) functions.BinaryOp {
	return func(l, r ref.Val) ref.Val {
		b := budget(maxElements)
		res := op(l, r, &b)
		if b < 0 {
			return celErr(failf("a comparison looks at more than %d elements", maxElements))
		}
		return types.Bool(res)
	}
}

func equal(l, r ref.Val) bool {
	b := budget(maxElements)
	return equalWithin(l, r, &b)
}

func contains(aggregate, v ref.Val) bool {
	b := budget(maxElements)
	return containsWithin(aggregate, v, &b)
}

// equalWithin is == on any two values: ints and decimals by value, lists and maps by
// element, everything else as CEL does. Values of unlike types differ.
func equalWithin(l, r ref.Val, b *budget) bool {
	if !b.take() {
		return false
	}
	switch x := l.(type) {
	case dec:
		y, ok := asDecimal(r)
		return ok && x.d.Cmp(y) == 0
	case types.Int:
		if y, ok := r.(dec); ok {
			return intDec(int64(x)).Cmp(y.d) == 0
		}
		if _, ok := r.(types.Double); ok {
			return false
		}
	case types.Double:
		y, ok := r.(types.Double)
		return ok && x == y
	case *types.Optional:
		y, ok := r.(*types.Optional)
		if !ok || x.HasValue() != y.HasValue() {
			return false
		}
		return !x.HasValue() || equalWithin(x.GetValue(), y.GetValue(), b)
	case traits.Mapper:
		return equalMaps(x, r, b)
	case traits.Lister:
		y, ok := r.(traits.Lister)
		if !ok || x.Size() != y.Size() {
			return false
		}
		n := x.Size().(types.Int)
		for i := range n {
			if !equalWithin(x.Get(i), y.Get(i), b) {
				return false
			}
		}
		return true
	}
	if isDec(r) {
		return false
	}
	return types.Equal(l, r) == types.True
}

func equalMaps(x traits.Mapper, r ref.Val, b *budget) bool {
	y, ok := r.(traits.Mapper)
	if !ok || x.Size() != y.Size() {
		return false
	}
	for it := x.Iterator(); it.HasNext() == types.True; {
		k := it.Next()
		v, ok := y.Find(k)
		if !ok || !equalWithin(x.Get(k), v, b) {
			return false
		}
	}
	return true
}

// containsWithin is `v in aggregate`.
func containsWithin(aggregate, v ref.Val, b *budget) bool {
	switch x := aggregate.(type) {
	case traits.Mapper:
		_, ok := x.Find(v)
		return ok
	case traits.Lister:
		for it := x.Iterator(); it.HasNext() == types.True; {
			if equalWithin(it.Next(), v, b) {
				return true
			}
		}
	}
	return false
}

func negate(v ref.Val) ref.Val {
	switch x := v.(type) {
	case dec:
		d := new(apd.Decimal).Neg(x.d)
		if d.Coeff.Sign() == 0 {
			d.Negative = false
		}
		return dec{d}
	case types.Int:
		return x.Negate()
	case types.Double:
		return x.Negate()
	}
	return celErr(failf("- does not work on %s", describeCEL(v)))
}

func toDecimal(v ref.Val) ref.Val {
	switch x := v.(type) {
	case dec:
		return x
	case types.Int:
		return dec{intDec(int64(x))}
	case types.String:
		d, f := parseDecimal(string(x))
		if f != nil {
			return celErr(f)
		}
		return dec{d}
	}
	return celErr(failf("decimal(...) does not work on %s", describeCEL(v)))
}

func decimalToInt(v ref.Val) ref.Val {
	n, ok := value.Integral(v.(dec).d)
	if !ok {
		return celErr(failf("the operand of int(...) has a fraction or is out of range"))
	}
	return types.Int(n)
}

// describeCEL names the type of a value with its article.
func describeCEL(v ref.Val) string {
	switch v.(type) {
	case types.Null:
		return "null"
	case types.Int, types.Uint, dec:
		return "a number"
	case types.String:
		return "a string"
	case types.Bool:
		return "a bool"
	case types.Double:
		return "a double"
	case types.Timestamp:
		return "a timestamp"
	case types.Duration:
		return "a duration"
	case types.Bytes:
		return "bytes"
	case traits.Mapper:
		return "an object"
	case traits.Lister:
		return "a list"
	case *types.Optional:
		return "an optional (add .orValue(...))"
	}
	return "a value of another type"
}
