// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"github.com/projectionist-dev/projectionist/contract/value"
)

// fastPart is a part of an expression as a closure.
type fastPart struct {
	eval node
	// label is how messages name it; "" where it is not a plain path.
	label string
	// constant holds the value of a literal.
	constant *fval
}

// compileFast gives the closures of an expression, nil if CEL has to evaluate it.
// It knows literals, paths, has, event.?x.orValue(y), comparisons, + - *, in over
// a list of literals, && || ! ?:, the conversions string, int, decimal, timestamp,
// duration, and scalarFuncs.
func (v *vocabulary) compileFast(checked *cel.Ast) node {
	c := fastCompiler{checked.NativeRep(), v}
	p, ok := c.part(checked.NativeRep().Expr())
	if !ok {
		return nil
	}
	return p.eval
}

type fastCompiler struct {
	ast        *ast.AST
	vocabulary *vocabulary
}

func constantPart(v fval) (fastPart, bool) {
	return fastPart{eval: func(*Activation) (fval, *Failure) { return v, nil }, constant: &v}, true
}

func (c fastCompiler) part(e ast.Expr) (fastPart, bool) {
	// Values of other types occur in CEL only.
	if !slices.Contains([]Type{TypeDyn, TypeNull, TypeBool, TypeInt, TypeDecimal, TypeString, TypeTimestamp, TypeDuration}, typeOf(c.ast.GetType(e.ID()))) {
		return fastPart{}, false
	}
	if p, ok := c.vocabulary.pathOf(e); ok {
		return fastPart{eval: c.pathNode(p), label: p.String()}, true
	}
	switch e.Kind() {
	case ast.LiteralKind:
		switch x := e.AsLiteral().(type) {
		case types.Null:
			return constantPart(fval{})
		case types.Bool:
			return constantPart(boolVal(bool(x)))
		case types.Int:
			return constantPart(intVal(int64(x)))
		case types.String:
			return constantPart(textVal(string(x)))
		}
	case ast.IdentKind:
		return c.ident(e.AsIdent())
	case ast.SelectKind:
		s := e.AsSelect()
		if s.Operand().Kind() == ast.IdentKind && s.Operand().AsIdent() == "headers" && !s.IsTestOnly() {
			return headerPart(s.FieldName()), true
		}
		if p, ok := c.vocabulary.pathOf(s.Operand()); ok && s.IsTestOnly() {
			p.names = append(p.names, s.FieldName())
			return fastPart{eval: c.hasNode(p)}, true
		}
	case ast.CallKind:
		return c.call(e)
	}
	return fastPart{}, false
}

func (c fastCompiler) ident(name string) (fastPart, bool) {
	var eval node
	switch name {
	case "key":
		eval = func(a *Activation) (fval, *Failure) {
			s, f := a.keyText()
			return textVal(s), f
		}
	case "meta.topic":
		eval = func(a *Activation) (fval, *Failure) { return textVal(a.Topic), nil }
	case "meta.partition":
		eval = func(a *Activation) (fval, *Failure) { return intVal(int64(a.Partition)), nil }
	case "meta.time":
		eval = func(a *Activation) (fval, *Failure) { return timeVal(a.Time), nil }
	case "meta.type":
		eval = func(a *Activation) (fval, *Failure) { return textVal(a.Type), nil }
	case "meta.id":
		eval = func(a *Activation) (fval, *Failure) { return textVal(a.ID), nil }
	case "index":
		eval = func(a *Activation) (fval, *Failure) { return intVal(a.Index), nil }
	default:
		if ns, ok := uuidNamespaces[name]; ok {
			return constantPart(textVal(ns))
		}
		col, ok := c.vocabulary.column(name)
		if ok {
			eval, ok = c.rowNode(col)
		}
		return fastPart{eval: eval, label: variableText(name)}, ok
	}
	return fastPart{eval: eval, label: name}, true
}

func headerPart(name string) fastPart {
	return fastPart{label: "headers." + name, eval: func(a *Activation) (fval, *Failure) {
		s, ok, f := a.header(name)
		if f != nil {
			return fval{}, f
		}
		if !ok {
			return fval{}, failf("the record has no header %q", name)
		}
		return textVal(s), nil
	}}
}

func (c fastCompiler) call(e ast.Expr) (fastPart, bool) {
	call := e.AsCall()
	if call.IsMemberFunction() {
		if call.FunctionName() == "orValue" && len(call.Args()) == 1 {
			return c.orValue(call)
		}
		return fastPart{}, false
	}
	args := call.Args()
	name := call.FunctionName()
	switch {
	case name == operators.Index && len(args) == 2 && args[0].Kind() == ast.IdentKind && args[0].AsIdent() == "headers" && args[1].Kind() == ast.LiteralKind:
		if s, ok := args[1].AsLiteral().(types.String); ok {
			return headerPart(string(s)), true
		}
		return fastPart{}, false
	case name == operators.In && len(args) == 2:
		return c.in(args[0], args[1])
	case len(args) == 1 && slices.Contains([]string{"string", "int", "decimal", "timestamp", "duration"}, name):
		return c.convert(name, args[0])
	}
	parts := make([]fastPart, len(args))
	for i, arg := range args {
		var ok bool
		if parts[i], ok = c.part(arg); !ok {
			return fastPart{}, false
		}
	}
	var eval node
	switch name {
	case operators.Equals:
		eval = equalsNode(parts[0], parts[1], true)
	case operators.NotEquals:
		eval = equalsNode(parts[0], parts[1], false)
	case operators.Less:
		eval = orderNode(parts[0], parts[1], func(n int) bool { return n < 0 })
	case operators.LessEquals:
		eval = orderNode(parts[0], parts[1], func(n int) bool { return n <= 0 })
	case operators.Greater:
		eval = orderNode(parts[0], parts[1], func(n int) bool { return n > 0 })
	case operators.GreaterEquals:
		eval = orderNode(parts[0], parts[1], func(n int) bool { return n >= 0 })
	case operators.Add:
		eval = arithNode('+', parts[0], parts[1])
	case operators.Subtract:
		eval = arithNode('-', parts[0], parts[1])
	case operators.Multiply:
		eval = arithNode('*', parts[0], parts[1])
	case operators.Negate:
		eval = negateNode(parts[0])
	case operators.LogicalAnd:
		eval = logicNode(parts, false)
	case operators.LogicalOr:
		eval = logicNode(parts, true)
	case operators.LogicalNot:
		eval = notNode(parts[0])
	case operators.Conditional:
		eval = conditionalNode(parts[0], parts[1], parts[2])
	default:
		fn, ok := findScalar(name, len(parts))
		if !ok {
			return fastPart{}, false
		}
		eval = c.scalar(fn, parts)
	}
	return fastPart{eval: eval}, true
}

// orValue is event.?a.b.orValue(y).
func (c fastCompiler) orValue(call ast.CallExpr) (fastPart, bool) {
	p, fixed, ok := c.vocabulary.optionalPath(call.Target())
	if !ok {
		return fastPart{}, false
	}
	alt, ok := c.part(call.Args()[0])
	if !ok {
		return fastPart{}, false
	}
	label, s := p.String(), c.vocabulary.spot(p)
	return fastPart{label: label, eval: func(a *Activation) (fval, *Failure) {
		if d := s.in(a); d != nil {
			if v, ok, f := scalar(d, s.end, label); ok {
				return v, f
			}
			if s.absent(d, fixed) {
				return alt.eval(a)
			}
		}
		v, f := a.follow(p, fixed)
		if f != nil {
			return fval{}, f
		}
		for _, name := range p.names[fixed:] {
			if isArray(v) || isNumber(v) {
				return fval{}, errFallback // CEL takes an index, and refuses a number beyond the limits
			}
			if v = a.memberOrNil(v, name); v == nil {
				return alt.eval(a)
			}
		}
		return a.fromJSON(v, label)
	}}, true
}

// in is x in [literals].
func (c fastCompiler) in(x, list ast.Expr) (fastPart, bool) {
	if list.Kind() != ast.ListKind || len(list.AsList().OptionalIndices()) > 0 {
		return fastPart{}, false
	}
	p, ok := c.part(x)
	if !ok {
		return fastPart{}, false
	}
	var consts []fval
	for _, el := range list.AsList().Elements() {
		ep, ok := c.part(el)
		if !ok || ep.constant == nil {
			return fastPart{}, false
		}
		consts = append(consts, *ep.constant)
	}
	return fastPart{eval: func(a *Activation) (fval, *Failure) {
		v, f := p.eval(a)
		if f != nil {
			return fval{}, f
		}
		for _, k := range consts {
			if a.equalFast(v, k) {
				return boolVal(true), nil
			}
		}
		return boolVal(false), nil
	}}, true
}

func (c fastCompiler) convert(name string, arg ast.Expr) (fastPart, bool) {
	p, ok := c.part(arg)
	if !ok {
		return fastPart{}, false
	}
	by := map[string]func(fval) (fval, *Failure){
		"string": stringFast, "int": intFast, "decimal": decimalFast, "timestamp": timestampFast, "duration": durationFast,
	}[name]
	eval := func(a *Activation) (fval, *Failure) {
		v, f := p.eval(a)
		if f != nil {
			return fval{}, f
		}
		out, f := by(v)
		if f != nil && f != errFallback {
			of := "the operand of " + name + "(...)"
			if p.label != "" {
				of = p.label
			}
			return fval{}, failf("%s is %s", of, f.Message)
		}
		return out, f
	}
	if p.constant != nil {
		if v, f := by(*p.constant); f == nil {
			return constantPart(v)
		}
	}
	return fastPart{eval: eval}, true
}

// stringFast and its like give failures that follow "is".
func stringFast(v fval) (fval, *Failure) {
	switch v.k {
	case kString:
		return v, nil
	case kInt:
		return textVal(strconv.FormatInt(v.i, 10)), nil
	case kSmall, kDec:
		return textVal(decimalText(v.decimal())), nil
	case kBool:
		return textVal(strconv.FormatBool(v.bool())), nil
	case kTime, kDuration:
		return fval{}, errFallback
	}
	return fval{}, failf("%s, which string(...) does not work on", v.describe())
}

func intFast(v fval) (fval, *Failure) {
	switch v.k {
	case kInt:
		return v, nil
	case kSmall, kDec:
		n, ok := decimalToInt(dec{v.decimal()}).(types.Int)
		if !ok {
			return fval{}, failf("a number with a fraction, or out of the range of an int")
		}
		return intVal(int64(n)), nil
	case kString:
		n, ok := types.String(v.text()).ConvertToType(types.IntType).(types.Int)
		if !ok {
			return fval{}, failf("a string that is not an int")
		}
		return intVal(int64(n)), nil
	case kTime, kDuration:
		return fval{}, errFallback
	}
	return fval{}, failf("%s, which int(...) does not work on", v.describe())
}

func decimalFast(v fval) (fval, *Failure) {
	switch v.k {
	case kSmall, kDec:
		return v, nil
	case kInt:
		return fval{k: kSmall, i: v.i}, nil
	case kString:
		d, f := parseDecimal(v.text())
		if f != nil {
			return fval{}, failf("a string that is not a number, or beyond the limits of a decimal")
		}
		return decVal(d), nil
	}
	return fval{}, failf("%s, which decimal(...) does not work on", v.describe())
}

// CEL's timestamps are those of the years 1 to 9999.
const minUnix, maxUnix = -62135596800, 253402300799

func timestampFast(v fval) (fval, *Failure) {
	switch v.k {
	case kTime:
		return v, nil
	case kString:
		// As strict as CEL's own conversion: RFC 3339 to the letter.
		t, ok := value.ParseTimestamp(v.text())
		if !ok || t.Unix() < minUnix || t.Unix() > maxUnix {
			return fval{}, failf("a string that is not a timestamp in RFC 3339 form")
		}
		return timeVal(t), nil
	case kInt:
		return fval{}, errFallback
	}
	return fval{}, failf("%s, which timestamp(...) does not work on", strings.TrimSpace(v.describe()))
}

// durationFast is for literals: the rest of duration's forms is CEL's.
func durationFast(v fval) (fval, *Failure) {
	if v.k == kDuration {
		return v, nil
	}
	if v.k != kString {
		return fval{}, errFallback
	}
	d, ok := types.String(v.text()).ConvertToType(types.DurationType).(types.Duration)
	if !ok {
		return fval{}, errFallback
	}
	return fval{k: kDuration, i: int64(d.Duration)}, nil
}
