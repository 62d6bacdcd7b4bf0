// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"fmt"
	"slices"

	"github.com/projectionist-dev/projectionist/contract/value"
)

// Convert evaluates the expression to a value of a column's type. An error is a
// *Failure that names the expression: "event.price is a string, expected a number".
func (p *Program) Convert(a *Activation, t value.Type) (value.Value, error) {
	return p.convert(a, t, false)
}

// ConvertKey is Convert for a key column, by value.Type.ConvertKey.
func (p *Program) ConvertKey(a *Activation, t value.Type) (value.Value, error) {
	return p.convert(a, t, true)
}

func (p *Program) convert(a *Activation, t value.Type, key bool) (value.Value, error) {
	var in any
	f := errFallback
	if p.fast != nil {
		var v fval
		if v, f = p.fast(a); f == nil {
			if out, ok := a.columnValue(&v, t, key); ok {
				return out, nil
			}
			in, f = v.result(a)
		}
	}
	if f == errFallback {
		in, f = p.evalCEL(a)
	}
	if f != nil {
		return nil, f
	}
	by := t.Convert
	if key {
		by = t.ConvertKey
	}
	out, err := by(in)
	if err != nil {
		return nil, failf("%s is %v", p.subject(), err)
	}
	return out, nil
}

// CheckColumn tells whether the result can be a value of a column, as far as the
// types are known; nil, or an error to show beside the field's path.
func (p *Program) CheckColumn(t value.Type) error {
	if p.typ == TypeDyn {
		return nil
	}
	if p.IsConstant() {
		if _, err := t.Convert(p.constant); err != nil {
			return fmt.Errorf("type mismatch: the column is %s, and %s is %w", t, p.subject(), err)
		}
		return nil
	}
	ok := p.typ == TypeNull
	if t.Array {
		ok = ok || p.typ == TypeList
	} else {
		ok = ok || slices.Contains(accepted[t.Kind], p.typ)
	}
	if ok {
		return nil
	}
	hint := hints[t.Kind]
	if t.Array {
		hint = "write a list"
	}
	return fmt.Errorf("type mismatch: the column is %s, the expression is %s; %s", t, p.typ, hint)
}

var accepted = map[value.Kind][]Type{
	value.Text:      {TypeString},
	value.Bool:      {TypeBool},
	value.Int32:     {TypeInt, TypeUint, TypeDecimal},
	value.Int64:     {TypeInt, TypeUint, TypeDecimal},
	value.Float64:   {TypeInt, TypeUint, TypeDecimal, TypeDouble},
	value.Decimal:   {TypeInt, TypeUint, TypeDecimal},
	value.Timestamp: {TypeTimestamp, TypeString},
	value.Date:      {TypeTimestamp, TypeString},
	value.UUID:      {TypeString},
	value.Time:      {TypeString},
	value.JSONKind:  {TypeBool, TypeInt, TypeUint, TypeDecimal, TypeDouble, TypeString, TypeTimestamp, TypeList, TypeMap},
	value.Bytes:     {TypeBytes},
}

var hints = map[value.Kind]string{
	value.Text:      "write string(...), or change the column's type",
	value.Bool:      "write a comparison, or change the column's type",
	value.Int32:     "write int(...), or change the column's type",
	value.Int64:     "write int(...), or change the column's type",
	value.Float64:   "write double(...), or change the column's type",
	value.Decimal:   "write decimal(...), or change the column's type",
	value.Timestamp: "write timestamp(...), or change the column's type",
	value.Date:      "write date(...) or a string such as 2006-01-02, or change the column's type",
	value.UUID:      "write a string in the 8-4-4-4-12 form, or change the column's type",
	value.Time:      "write a string such as 15:04:05, or change the column's type",
	value.JSONKind:  "write something that JSON can hold, or change the column's type",
	value.Bytes:     "write base64.decode(...) or bytes(...), or change the column's type",
}
