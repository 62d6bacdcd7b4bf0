// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"github.com/cockroachdb/apd/v3"

	"github.com/projectionist-dev/projectionist/contract/value"
)

// check parses, makes decimals of literals with a point, checks types and the
// rules of this project. It gives the variables that the expression reads.
func (v *vocabulary) check(env *cel.Env, src string) (*cel.Ast, map[string]bool, *Error) {
	switch {
	case strings.TrimSpace(src) == "":
		return nil, nil, &Error{1, 1, "the expression is empty"}
	case len(src) > MaxSource:
		return nil, nil, &Error{1, 1, fmt.Sprintf("the expression is longer than %d bytes", MaxSource)}
	}
	parsed, iss := env.Parse(src)
	if iss != nil && iss.Err() != nil {
		return nil, nil, v.firstIssue(iss)
	}
	if e := decimalLiterals(parsed.NativeRep(), src); e != nil {
		return nil, nil, e
	}
	if e := v.rowRule(parsed.NativeRep()); e != nil {
		return nil, nil, e
	}
	checked, iss := env.Check(parsed)
	if iss != nil && iss.Err() != nil {
		return nil, nil, v.firstIssue(iss)
	}
	a := checked.NativeRep()
	if e := divisionRule(a, v.scope == ScopeTable); e != nil {
		return nil, nil, e
	}
	if e := comparableRule(a); e != nil {
		return nil, nil, e
	}
	if e := patternRule(a); e != nil {
		return nil, nil, e
	}
	vars, e := v.variables(a)
	return checked, vars, e
}

func place(a *ast.AST, id int64) (line, column int) {
	loc := a.SourceInfo().GetStartLocation(id)
	if loc.Line() < 1 {
		return 1, 1
	}
	return loc.Line(), loc.Column() + 1
}

var numberLiteral = regexp.MustCompile(`^-?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][+-]?\d+)?`)

// decimalLiterals turns each literal that CEL calls a double into
// decimal("..."), with the digits as they are written: 0.1 is a tenth.
func decimalLiterals(a *ast.AST, src string) *Error {
	fac := ast.NewExprFactory()
	next := ast.MaxID(a)
	var failed *Error
	ast.PostOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.LiteralKind {
			return
		}
		f, ok := e.AsLiteral().(types.Double)
		if !ok {
			return
		}
		text := strconv.FormatFloat(float64(f), 'f', -1, 64)
		if r, ok := a.SourceInfo().GetOffsetRange(e.ID()); ok {
			if runes := []rune(src); int(r.Start) < len(runes) {
				written := numberLiteral.FindString(string(runes[r.Start:]))
				if w, err := strconv.ParseFloat(written, 64); err == nil && w == float64(f) {
					text = written
				}
			}
		}
		d, err := value.ParseNumber(strings.TrimSuffix(text, "."))
		if err != nil {
			line, col := place(a, e.ID())
			failed = &Error{line, col, fmt.Sprintf("the literal is %v", err)}
			return
		}
		next++
		if r, ok := a.SourceInfo().GetOffsetRange(e.ID()); ok {
			a.SourceInfo().SetOffsetRange(next, r)
		}
		e.SetKindCase(fac.NewCall(e.ID(), "decimal", fac.NewLiteral(next, types.String(literalText(d)))))
	}))
	return failed
}

// literalText is plain digits, or an exponent where these would be long.
func literalText(d *apd.Decimal) string {
	if d.Exponent > 40 || d.Exponent < -40 {
		return d.Text('E')
	}
	return decimalText(d)
}

// divisionRule refuses / and % where an operand may be an int or a decimal:
// JSON cannot tell 5.0 from 5, and 5 / 2 is not 5.0 / 2. Where nothing comes from
// JSON, the checker's type is enough.
func divisionRule(a *ast.AST, typed bool) *Error {
	var failed *Error
	ast.PreOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind || failed != nil {
			return
		}
		op := map[string]string{operators.Divide: "/", operators.Modulo: "%"}[e.AsCall().FunctionName()]
		if op == "" {
			return
		}
		for _, arg := range e.AsCall().Args() {
			if settled(a, arg) || typed && a.GetType(arg.ID()).Kind() != types.DynKind {
				continue
			}
			line, col := place(a, arg.ID())
			msg := "the left or right side of / may be an int or a decimal, and they divide differently: write decimal(...) to keep the fraction, int(...) to drop it"
			if op == "%" {
				msg = "% works on ints: write int(...) around the operand"
			}
			failed = &Error{line, col, msg}
			return
		}
	}))
	return failed
}

// settled tells whether an expression's own text makes it an int, a decimal or a
// double. The checker's type is not enough: it calls event[?"a"].orValue(1) an
// int, whatever the event has there.
func settled(a *ast.AST, e ast.Expr) bool {
	if a.GetType(e.ID()).Kind() == types.DynKind {
		return false
	}
	switch e.Kind() {
	case ast.LiteralKind:
		return true
	case ast.IdentKind:
		// A column of the row is of its type or null, which divides nothing.
		name := e.AsIdent()
		return name == "meta.partition" || name == "index" || strings.HasPrefix(name, "row.")
	case ast.CallKind:
		c := e.AsCall()
		args := c.Args()
		switch name := c.FunctionName(); {
		case slices.Contains([]string{"int", "decimal", "double", "uint", "size", "indexOf", "lastIndexOf"}, name):
			return true
		case c.IsMemberFunction():
			return strings.HasPrefix(name, "get") // parts of a timestamp
		case name == operators.Conditional:
			args = args[1:]
		case strings.HasPrefix(name, "math."):
		case !slices.Contains([]string{operators.Add, operators.Subtract, operators.Multiply, operators.Divide, operators.Modulo, operators.Negate}, name):
			return false
		}
		return !slices.ContainsFunc(args, func(arg ast.Expr) bool { return !settled(a, arg) })
	}
	return false
}

// comparableRule refuses == and != between types that are never equal.
func comparableRule(a *ast.AST) *Error {
	var failed *Error
	ast.PreOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if failed != nil || e.Kind() != ast.CallKind || !isEquality(e.AsCall().FunctionName()) || len(e.AsCall().Args()) != 2 {
			return
		}
		l, r := typeOf(a.GetType(e.AsCall().Args()[0].ID())), typeOf(a.GetType(e.AsCall().Args()[1].ID()))
		if l == r || slices.ContainsFunc([]Type{l, r}, func(t Type) bool { return t == TypeDyn || t == TypeNull || t == TypeOther }) {
			return
		}
		if exact := []Type{TypeInt, TypeUint, TypeDecimal}; slices.Contains(exact, l) && slices.Contains(exact, r) {
			return
		}
		line, col := place(a, e.ID())
		failed = &Error{line, col, fmt.Sprintf("%s and %s are never equal; convert a side with int(...), decimal(...) or string(...)", l, r)}
	}))
	return failed
}

func typeOf(t *cel.Type) Type {
	switch t.Kind() {
	case types.DynKind, types.AnyKind, types.TypeParamKind:
		return TypeDyn
	case types.NullTypeKind:
		return TypeNull
	case types.BoolKind:
		return TypeBool
	case types.IntKind:
		return TypeInt
	case types.UintKind:
		return TypeUint
	case types.DoubleKind:
		return TypeDouble
	case types.StringKind:
		return TypeString
	case types.BytesKind:
		return TypeBytes
	case types.TimestampKind:
		return TypeTimestamp
	case types.DurationKind:
		return TypeDuration
	case types.ListKind:
		return TypeList
	case types.MapKind:
		return TypeMap
	case types.OpaqueKind:
		switch t.TypeName() {
		case decimalType.TypeName():
			return TypeDecimal
		case "optional_type":
			return TypeOptional
		}
	}
	return TypeOther
}
