// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// An expression is checked against a schema in a copy whose paths are replaced by
// variables of the types that the schema says; these have names that no expression
// can spell. They are all nullable: a schema knows little of null, and orValue(null)
// is how optional fields are read.

const typedPrefix = "@"

// typedName is the variable for a type; elem is that of a list's elements.
func typedName(t, elem Type, optional bool) string {
	name := typedPrefix + string(t)
	if t == TypeList {
		name += "_" + string(elem)
	}
	if optional {
		name += "_optional"
	}
	return name
}

func schemaVariables() []cel.EnvOption {
	scalars := map[Type]*cel.Type{
		TypeDyn: cel.DynType, TypeString: types.NewNullableType(cel.StringType), TypeBool: types.NewNullableType(cel.BoolType),
		TypeInt: types.NewNullableType(cel.IntType), TypeDecimal: decimalType, TypeMap: types.NewNullableType(cel.MapType(cel.StringType, cel.DynType)),
	}
	var out []cel.EnvOption
	declare := func(t, elem Type, typ *cel.Type) {
		out = append(out, cel.Variable(typedName(t, elem, false), typ), cel.Variable(typedName(t, elem, true), cel.OptionalType(typ)))
	}
	for t, typ := range scalars {
		declare(t, "", typ)
		if t == TypeMap {
			typ = cel.DynType
		}
		declare(TypeList, t, types.NewNullableType(cel.ListType(typ)))
	}
	declare(TypeList, TypeList, types.NewNullableType(cel.ListType(cel.DynType)))
	return out
}

// known is what a schema says about an expression.
type known struct {
	typ      Type
	advice   []string
	elements *Schema
}

// readings are how numbers are taken, one after the other, until the types fit: a JSON
// number may be an int or a decimal, and an int may stand for a decimal.
var readings = []map[Type]Type{
	{},
	{TypeDecimal: TypeInt},
	{TypeInt: TypeDecimal},
}

func (v *vocabulary) checkSchema(env *cel.Env, src string, o Options) (known, *Error) {
	var first *Error
	var out known
	for i, reading := range readings {
		parsed, iss := env.Parse(src)
		if iss != nil && iss.Err() != nil {
			return known{}, v.firstIssue(iss)
		}
		a := parsed.NativeRep()
		if e := decimalLiterals(a, src); e != nil {
			return known{}, e
		}
		if e := v.rowRule(a); e != nil {
			return known{}, e
		}
		vars := &typedVar{"event", o.Schema, &typedVar{"item", o.ItemSchema, nil, true}, true}
		s := &schemaChecker{ast: a, reading: reading, globals: vars, fac: ast.NewExprFactory()}
		root, _, _ := s.resolve(a.Expr(), vars)
		s.replace(a.Expr(), vars)
		if s.failed != nil {
			return known{}, s.failed
		}
		checked, iss := env.Check(parsed)
		var e *Error
		if iss != nil && iss.Err() != nil {
			e = v.firstIssue(iss)
		} else if e = comparableRule(checked.NativeRep()); e == nil {
			out = known{typ: typeOf(checked.OutputType()), advice: s.advice}
			if root != nil {
				out.elements = root.Elements()
			}
			return out, nil
		}
		if i == 0 {
			first, out.advice = e, s.advice
		}
	}
	out.typ = TypeDyn
	if strings.HasPrefix(first.Message, "_?_:_") || strings.HasPrefix(first.Message, "?:") || strings.HasPrefix(first.Message, "orValue") {
		// Results of two types are what a json column may want.
		out.advice = append(out.advice, "by the schema, the expression has results of several types: "+first.Message)
		return out, nil
	}
	first.Message = "by the schema, " + first.Message
	return out, first
}

// typedVar is a variable with a schema, nil where nothing is known of it.
type typedVar struct {
	name   string
	schema *Schema
	outer  *typedVar
	// global is unset for what a macro binds: that has the type of what it stands for.
	global bool
}

func (t *typedVar) find(name string) (of *Schema, global bool) {
	for ; t != nil; t = t.outer {
		if t.name == name {
			return t.schema, t.global
		}
	}
	return nil, false
}

func (t *typedVar) and(name string, s *Schema) *typedVar {
	if name == "" {
		return t
	}
	return &typedVar{name: name, schema: s, outer: t}
}

type schemaChecker struct {
	ast     *ast.AST
	fac     ast.ExprFactory
	reading map[Type]Type
	globals *typedVar
	advice  []string
	failed  *Error
}

// resolve gives the schema of a path with its text, nil where it is none or nothing is known.
func (s *schemaChecker) resolve(e ast.Expr, vars *typedVar) (of *Schema, label string, optional bool) {
	switch e.Kind() {
	case ast.IdentKind:
		of, _ = s.variable(e, vars)
		return of, strings.TrimPrefix(e.AsIdent(), "."), false
	case ast.SelectKind:
		of, label, optional = s.resolve(e.AsSelect().Operand(), vars)
		of, label = s.member(e, of, label, e.AsSelect().FieldName())
		return of, label, optional
	case ast.CallKind:
		for _, op := range []string{operators.Index, operators.OptSelect, operators.OptIndex} {
			if name, operand, ok := textIndex(e, op); ok {
				of, label, optional = s.resolve(operand, vars)
				of, label = s.member(e, of, label, name)
				return of, label, optional || op != operators.Index
			}
		}
		c := e.AsCall()
		if name := c.FunctionName(); (name == operators.Index || name == operators.OptIndex) && len(c.Args()) == 2 {
			of, label, optional = s.resolve(c.Args()[0], vars)
			if of == nil || of.typ != TypeList {
				return nil, "", false
			}
			return of.items, label + "[...]", optional || name == operators.OptIndex
		}
	}
	return nil, "", false
}

func (s *schemaChecker) variable(e ast.Expr, vars *typedVar) (of *Schema, global bool) {
	name, absolute := strings.CutPrefix(e.AsIdent(), ".")
	if absolute {
		vars = s.globals
	}
	return vars.find(name)
}

// member looks up a member; a failure and an advice are noted.
func (s *schemaChecker) member(e ast.Expr, of *Schema, label, name string) (*Schema, string) {
	if of == nil {
		return nil, ""
	}
	text := path{root: label, names: []string{name}}.String()
	switch of.typ {
	case TypeDyn:
		if of.properties == nil {
			return nil, ""
		}
	case TypeMap:
	default:
		s.fail(e, fmt.Sprintf("%s is %s in the schema and has no field %s", label, schemaWord[of.typ], name))
		return nil, ""
	}
	m, is := of.member(name)
	if is == possible {
		return m, text
	}
	message := text + " is not in the schema" + didYouMean(name, of.names(), func(n string) string { return path{root: label, names: []string{n}}.String() })
	if is == forbidden {
		s.fail(e, message)
	} else {
		s.advise(message)
	}
	return m, text
}

func (s *schemaChecker) advise(message string) {
	if !slices.Contains(s.advice, message) {
		s.advice = append(s.advice, message)
	}
}

var schemaWord = map[Type]string{TypeString: "a string", TypeBool: "a bool", TypeInt: "an integer", TypeDecimal: "a number", TypeList: "a list"}

func (s *schemaChecker) fail(e ast.Expr, message string) {
	if s.failed == nil {
		line, col := place(s.ast, e.ID())
		s.failed = &Error{line, col, message}
	}
}

// replace puts variables of the schema's types in the place of paths.
func (s *schemaChecker) replace(e ast.Expr, vars *typedVar) {
	if s.failed != nil {
		return
	}
	if e.Kind() == ast.CallKind {
		s.enums(e, vars)
	}
	if e.Kind() == ast.IdentKind {
		if of, global := s.variable(e, vars); of != nil && global {
			e.SetKindCase(s.fac.NewIdent(e.ID(), s.name(of, false)))
		}
		return
	}
	if of, _, optional := s.resolve(e, vars); of != nil {
		name := s.name(of, optional)
		if e.Kind() == ast.SelectKind && e.AsSelect().IsTestOnly() {
			name = typedName(TypeBool, "", false)
		}
		e.SetKindCase(s.fac.NewIdent(e.ID(), name))
		return
	}
	if e.Kind() != ast.ComprehensionKind {
		for _, c := range children(e) {
			s.replace(c, vars)
		}
		return
	}
	c := e.AsComprehension()
	// What the macro's variables stand for is known before paths are replaced.
	over, _, optional := s.resolve(c.IterRange(), vars)
	init, _, initOptional := s.resolve(c.AccuInit(), vars)
	if initOptional {
		init = nil
	}
	var element *Schema
	if over != nil && !optional && over.typ == TypeList && c.IterVar2() == "" {
		element = over.items
	}
	inner := vars.and(c.AccuVar(), init)
	step := inner.and(c.IterVar(), element).and(c.IterVar2(), nil)
	s.replace(c.IterRange(), vars)
	s.replace(c.AccuInit(), vars)
	s.replace(c.LoopCondition(), step)
	s.replace(c.LoopStep(), step)
	s.replace(c.Result(), inner)
}

func (s *schemaChecker) name(of *Schema, optional bool) string {
	read := func(t Type) Type {
		if to, ok := s.reading[t]; ok {
			return to
		}
		return t
	}
	elem := TypeDyn
	if of.items != nil {
		elem = read(of.items.typ)
	}
	return typedName(read(of.typ), elem, optional)
}

// enums advises where a path is compared with a string that its enum does not have.
func (s *schemaChecker) enums(e ast.Expr, vars *typedVar) {
	c := e.AsCall()
	if len(c.Args()) != 2 {
		return
	}
	l, r := c.Args()[0], c.Args()[1]
	switch c.FunctionName() {
	case operators.Equals, operators.NotEquals:
		s.enum(l, r, vars)
		s.enum(r, l, vars)
	case operators.In:
		if r.Kind() == ast.ListKind {
			for _, el := range r.AsList().Elements() {
				s.enum(l, el, vars)
			}
		}
	}
}

func (s *schemaChecker) enum(p, literal ast.Expr, vars *typedVar) {
	if literal.Kind() != ast.LiteralKind {
		return
	}
	text, ok := literal.AsLiteral().(types.String)
	if !ok {
		return
	}
	of, label, _ := s.resolve(p, vars)
	if of == nil || of.enum == nil || slices.Contains(of.enum, string(text)) {
		return
	}
	s.advise(fmt.Sprintf("%s is never %q by the schema%s", label, string(text), didYouMean(string(text), of.enum, strconv.Quote)))
}
