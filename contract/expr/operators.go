// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"math"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/functions"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
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
		return std(l, r)
	}
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

// equal is == on any two values: ints and decimals by value, lists and maps by
// element, everything else as CEL does. Values of unlike types differ.
func equal(l, r ref.Val) bool {
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
		return !x.HasValue() || equal(x.GetValue(), y.GetValue())
	case traits.Mapper:
		return equalMaps(x, r)
	case traits.Lister:
		y, ok := r.(traits.Lister)
		if !ok || x.Size() != y.Size() {
			return false
		}
		n := x.Size().(types.Int)
		for i := range n {
			if !equal(x.Get(i), y.Get(i)) {
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

func equalMaps(x traits.Mapper, r ref.Val) bool {
	y, ok := r.(traits.Mapper)
	if !ok || x.Size() != y.Size() {
		return false
	}
	for it := x.Iterator(); it.HasNext() == types.True; {
		k := it.Next()
		v, ok := y.Find(k)
		if !ok || !equal(x.Get(k), v) {
			return false
		}
	}
	return true
}

// contains is `v in aggregate`.
func contains(aggregate, v ref.Val) bool {
	switch x := aggregate.(type) {
	case traits.Mapper:
		_, ok := x.Find(v)
		return ok
	case traits.Lister:
		for it := x.Iterator(); it.HasNext() == types.True; {
			if equal(it.Next(), v) {
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

// own replaces the nodes that CEL plans by itself, past any binding: == != and in.
func own() cel.ProgramOption {
	return cel.CustomDecoratorV2(func(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
		call, ok := i.(interpreter.InterpretableCall)
		if !ok || len(call.Args()) != 2 {
			return i, nil
		}
		switch call.Function() {
		case operators.Equals, operators.NotEquals, operators.In:
			return &ownCall{InterpretableCall: call, op: redeclared[call.Function()]}, nil
		}
		return i, nil
	})
}

// ownCall evaluates its operands and then op.
type ownCall struct {
	interpreter.InterpretableCall
	op functions.BinaryOp
}

// Exec implements interpreter.InterpretableV2.
func (c *ownCall) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	args := c.Args()
	l := args[0].Exec(frame)
	if types.IsError(l) {
		return l
	}
	r := args[1].Exec(frame)
	if types.IsError(r) {
		return r
	}
	if c.Function() == operators.In {
		switch r.(type) {
		case traits.Mapper, traits.Lister:
		default:
			return celErr(failf("in needs a list or an object on its right, and got %s", describeCEL(r)))
		}
	}
	res := c.op(l, r)
	if costs := frame.CostTracker(); costs != nil {
		costs.EvalBinary(frame, c.ID(), c, l, r, res)
	}
	return res
}

// Eval implements interpreter.Interpretable.
func (c *ownCall) Eval(vars interpreter.Activation) ref.Val {
	return interpreter.EvalActivation(vars, c.Exec)
}
