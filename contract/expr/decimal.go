// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"fmt"
	"math"
	"reflect"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"github.com/cockroachdb/apd/v3"

	"github.com/projectionist-dev/projectionist/contract/value"
)

// DivisionDigits is the number of significant digits of a quotient of decimals.
const DivisionDigits = 40

var decimalType = types.NewOpaqueType("decimal")

// dec is a decimal in CEL. Its Decimal is never modified.
type dec struct{ d *apd.Decimal }

// ConvertToNative implements ref.Val.
func (d dec) ConvertToNative(t reflect.Type) (any, error) {
	if t == reflect.TypeFor[*apd.Decimal]() {
		return d.d, nil
	}
	return nil, fmt.Errorf("a decimal has no native form %v", t)
}

// ConvertToType implements ref.Val.
func (d dec) ConvertToType(t ref.Type) ref.Val {
	if t == types.TypeType {
		return decimalType
	}
	return celErr(failf("a decimal cannot be converted to %s", t.TypeName()))
}

// Equal implements ref.Val.
func (d dec) Equal(o ref.Val) ref.Val { return types.Bool(equal(d, o)) }

// Type implements ref.Val.
func (d dec) Type() ref.Type { return decimalType }

// Value implements ref.Val.
func (d dec) Value() any { return d.d }

var (
	exactCtx = apd.Context{
		Precision: 2*value.MaxExponent + 4*value.MaxDigits, MaxExponent: apd.MaxExponent, MinExponent: apd.MinExponent, Rounding: apd.RoundHalfUp,
	}
	divCtx = apd.Context{
		Precision: DivisionDigits, MaxExponent: apd.MaxExponent, MinExponent: apd.MinExponent, Rounding: apd.RoundHalfUp,
	}
)

// arith is x op y for op one of + - * / with at least one decimal.
func arith(op byte, x, y *apd.Decimal) (*apd.Decimal, *Failure) {
	out := new(apd.Decimal)
	var err error
	switch op {
	case '*':
		out.Coeff.Mul(&x.Coeff, &y.Coeff)
		out.Exponent, out.Negative = x.Exponent+y.Exponent, x.Negative != y.Negative
	case '+':
		_, err = exactCtx.Add(out, x, y)
	case '-':
		_, err = exactCtx.Sub(out, x, y)
	case '/':
		if y.Sign() == 0 {
			return nil, failf("a division by zero")
		}
		if _, err = divCtx.Quo(out, x, y); err == nil {
			out.Reduce(out)
		}
	}
	if err == nil {
		err = value.CheckNumber(out)
	}
	if err != nil {
		return nil, failf("the result of %c has more than %d digits", op, value.MaxDigits)
	}
	if out.Coeff.Sign() == 0 {
		out.Negative = false
	}
	return out, nil
}

func intDec(n int64) *apd.Decimal { return apd.New(n, 0) }

// addInt, subInt and mulInt report overflow.
func addInt(x, y int64) (int64, bool) { s := x + y; return s, (x^s)&(y^s) >= 0 }
func subInt(x, y int64) (int64, bool) { s := x - y; return s, (x^y)&(x^s) >= 0 }

func mulInt(x, y int64) (int64, bool) {
	if x == 0 || y == 0 {
		return 0, true
	}
	p := x * y
	return p, p/y == x && (x != -1 || y != math.MinInt64) && (y != -1 || x != math.MinInt64)
}

// parseDecimal is decimal(string).
func parseDecimal(s string) (*apd.Decimal, *Failure) {
	d, err := value.ParseNumber(s)
	if err != nil {
		return nil, failf("the operand of decimal(...) is %v", err)
	}
	return d, nil
}

// decimalText is string(decimal): plain digits, no trailing zeros after the
// point, so that equal decimals have one text.
func decimalText(d *apd.Decimal) string {
	s := d.Text('f')
	if strings.IndexByte(s, '.') >= 0 {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	if s == "-0" {
		s = "0"
	}
	return s
}
