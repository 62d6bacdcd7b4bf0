// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"
	"strings"

	"github.com/projectionist-dev/projectionist/contract/expr"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
)

// role is what an operand is for.
type role uint8

const (
	// roleChange is an operand of a Change.
	roleChange role = iota
	// roleKey is a key column: converted injectively.
	roleKey
	// roleMatch is a condition of a fan-out: NULL is no error, it matches nothing.
	roleMatch
	// roleVersion is the version of versionBy.
	roleVersion
	// roleGenerated is a generated column.
	roleGenerated
)

// operand is one expression, and the column that its result is for.
type operand struct {
	path string
	// prg is nil for unset.
	prg    *expr.Program
	role   role
	index  int
	column *fold.Column
	op     fold.Op // of roleChange
	// typ is the type that the result is converted to: the column's, or that of its elements.
	typ value.Type
	// injective converts as key columns are.
	injective bool
	// spelled is true for int(key): 07 is another message key than 7, and would be the same row.
	spelled bool
	// ruled is true where the result has to be looked at after it was converted.
	ruled bool
	// loads is true where the expression reads row.
	loads bool
	// constant holds the converted value where isConstant.
	constant   value.Value
	isConstant bool
}

// eval evaluates the expression to a value that obeys the column's rules.
func (o *operand) eval(a *expr.Activation) (value.Value, *EventError) {
	if o.isConstant {
		return o.constant, nil
	}
	v, err := o.convert(a)
	if err != nil {
		return nil, handlerError(o.path, err)
	}
	if o.ruled {
		return o.check(v)
	}
	return v, nil
}

func (o *operand) convert(a *expr.Activation) (value.Value, error) {
	if !o.injective {
		return o.prg.Convert(a, o.typ)
	}
	if o.role == roleMatch {
		// The one use of a key column that may be null.
		if v, err := o.prg.Eval(a); err != nil || v == nil {
			return nil, err
		}
	}
	v, err := o.prg.ConvertKey(a, o.typ)
	if err == nil && o.spelled && o.typ.Format(v) != string(a.Key) {
		return nil, fmt.Errorf("%s is not written as that number usually is, so that two message keys could become one row: use key, in a text column", subject(o.prg))
	}
	return v, err
}

// settle converts a constant when the spec is compiled.
func (o *operand) settle() *EventError {
	v, err := o.convert(&expr.Activation{})
	if err != nil {
		return handlerError(o.path, err)
	}
	if o.ruled {
		var bad *EventError
		if v, bad = o.check(v); bad != nil {
			return bad
		}
	}
	o.constant, o.isConstant = v, true
	return nil
}

// hasRules tells whether check has anything to do.
func (o *operand) hasRules() bool {
	r := &o.column.Rules
	switch {
	case o.role == roleVersion || o.op == fold.OpMerge:
		return true
	case !o.becomesValue():
		return false
	}
	return r.NotNull || r.Enum != nil || r.Min != nil || r.Max != nil || r.MaxItems > 0 || r.Distinct
}

// becomesValue tells whether the operand may become the column's value as it is:
// what sums, lists and objects become is held to the rules in the fold.
func (o *operand) becomesValue() bool {
	return o.role != roleMatch && o.op != fold.OpAdd && o.op != fold.OpAppend && o.op != fold.OpMerge
}

// check holds a converted value to the rules of its column.
func (o *operand) check(v value.Value) (value.Value, *EventError) {
	switch {
	case v == nil && o.role == roleVersion:
		return nil, handlerError(o.path, fmt.Errorf("%s is null, and a version is never null", subject(o.prg)))
	case v == nil && o.role == roleChange && o.op != fold.OpSet:
		return nil, nil // it does nothing
	case !o.becomesValue():
		if j, ok := v.(value.JSON); ok && o.op == fold.OpMerge && !strings.HasPrefix(string(j), "{") {
			return nil, handlerError(o.path, fmt.Errorf("%s is not an object, and merge takes the members of one", subject(o.prg)))
		}
		return v, nil
	}
	if err := o.column.Obeys(v); err != nil {
		return nil, &EventError{ReasonConstraintViolation, o.path, fmt.Sprintf("%s is %v (column %s)", subject(o.prg), err, o.column.Name)}
	}
	return o.column.Normal(v), nil
}

// subject names an expression in a message: itself where it is short.
func subject(p *expr.Program) string {
	if s := p.Canonical(); len(s) <= 60 {
		return s
	}
	return "the result"
}
