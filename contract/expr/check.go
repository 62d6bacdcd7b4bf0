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

const variablesHelp = "there are event, key, headers, and meta.topic, .partition, .position, .time, .type, .id"

// check parses, makes decimals of literals with a point, checks types and the
// rules of this project. It gives the variables that the expression reads.
func check(env *cel.Env, src string, scope Scope) (*cel.Ast, map[string]bool, *Error) {
	switch {
	case strings.TrimSpace(src) == "":
		return nil, nil, &Error{1, 1, "the expression is empty"}
	case len(src) > MaxSource:
		return nil, nil, &Error{1, 1, fmt.Sprintf("the expression is longer than %d bytes", MaxSource)}
	}
	parsed, iss := env.Parse(src)
	if iss != nil && iss.Err() != nil {
		return nil, nil, firstIssue(iss)
	}
	if e := decimalLiterals(parsed.NativeRep(), src); e != nil {
		return nil, nil, e
	}
	checked, iss := env.Check(parsed)
	if iss != nil && iss.Err() != nil {
		return nil, nil, firstIssue(iss)
	}
	a := checked.NativeRep()
	if e := divisionRule(a); e != nil {
		return nil, nil, e
	}
	if e := comparableRule(a); e != nil {
		return nil, nil, e
	}
	vars := variables(a)
	if scope == ScopeTopic {
		for v := range vars {
			if strings.HasPrefix(v, "meta.") {
				return nil, nil, &Error{1, 1, v + " is not there yet: an EventTopic's expressions read event, key and headers only"}
			}
		}
	}
	return checked, vars, nil
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
// JSON cannot tell 5.0 from 5, and 5 / 2 is not 5.0 / 2.
func divisionRule(a *ast.AST) *Error {
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
			if settled(a, arg) {
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
		return e.AsIdent() == "meta.partition"
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

// variables collects the declared variables that an expression reads.
func variables(a *ast.AST) map[string]bool {
	vars := map[string]bool{}
	ast.PreOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.IdentKind {
			return
		}
		switch name := strings.TrimPrefix(e.AsIdent(), "."); name {
		case "event", "key", "headers", "meta.topic", "meta.partition", "meta.position", "meta.time", "meta.type", "meta.id":
			vars[name] = true
		}
	}))
	return vars
}

// pathOf gives the member names of a chain event.a.b or event["a"].b.
func pathOf(e ast.Expr) (names []string, ok bool) {
	for {
		switch e.Kind() {
		case ast.IdentKind:
			slices.Reverse(names)
			return names, e.AsIdent() == "event"
		case ast.SelectKind:
			if e.AsSelect().IsTestOnly() {
				return nil, false
			}
			names, e = append(names, e.AsSelect().FieldName()), e.AsSelect().Operand()
		case ast.CallKind:
			c := e.AsCall()
			if c.FunctionName() != operators.Index || len(c.Args()) != 2 || c.Args()[1].Kind() != ast.LiteralKind {
				return nil, false
			}
			s, isString := c.Args()[1].AsLiteral().(types.String)
			if !isString {
				return nil, false
			}
			names, e = append(names, string(s)), c.Args()[0]
		default:
			return nil, false
		}
	}
}

var identifier = regexp.MustCompile(`^[_a-zA-Z][_a-zA-Z0-9]*$`)

// pathText writes a path as an expression would.
func pathText(names []string) string {
	var b strings.Builder
	b.WriteString("event")
	for _, n := range names {
		if identifier.MatchString(n) {
			b.WriteString("." + n)
		} else {
			b.WriteString("[" + strconv.Quote(n) + "]")
		}
	}
	return b.String()
}

func eventPaths(checked *cel.Ast) []string {
	set := map[string]bool{}
	for _, p := range staticPaths(checked.NativeRep().Expr()) {
		set[pathText(p)] = true
	}
	out := make([]string, 0, len(set))
	for p := range set {
		out = append(out, p)
	}
	slices.Sort(out)
	return out
}

// staticPaths finds the longest paths from event, tests and optional selects
// included.
func staticPaths(root ast.Expr) [][]string {
	var out [][]string
	var walk func(e ast.Expr)
	walk = func(e ast.Expr) {
		if names, ok := pathOf(e); ok {
			out = append(out, names)
			return
		}
		if e.Kind() == ast.SelectKind && e.AsSelect().IsTestOnly() {
			if names, ok := pathOf(e.AsSelect().Operand()); ok {
				out = append(out, append(names, e.AsSelect().FieldName()))
				return
			}
		}
		if names, ok := optionalPath(e); ok {
			out = append(out, names)
			return
		}
		for _, c := range children(e) {
			walk(c)
		}
	}
	walk(root)
	return out
}

// optionalPath is pathOf for event.?a.b, whose result is an optional.
func optionalPath(e ast.Expr) ([]string, bool) {
	switch {
	case e.Kind() == ast.CallKind && e.AsCall().FunctionName() == operators.OptSelect && len(e.AsCall().Args()) == 2:
		args := e.AsCall().Args()
		if args[1].Kind() != ast.LiteralKind {
			return nil, false
		}
		name, ok := args[1].AsLiteral().(types.String)
		if !ok {
			return nil, false
		}
		names, found := pathOf(args[0])
		if !found {
			names, found = optionalPath(args[0])
		}
		return append(names, string(name)), found
	case e.Kind() == ast.SelectKind && !e.AsSelect().IsTestOnly():
		names, ok := optionalPath(e.AsSelect().Operand())
		return append(names, e.AsSelect().FieldName()), ok
	}
	return nil, false
}

func children(e ast.Expr) []ast.Expr {
	switch e.Kind() {
	case ast.CallKind:
		c := e.AsCall()
		out := slices.Clone(c.Args())
		if c.IsMemberFunction() {
			out = append(out, c.Target())
		}
		return out
	case ast.SelectKind:
		return []ast.Expr{e.AsSelect().Operand()}
	case ast.ListKind:
		return e.AsList().Elements()
	case ast.MapKind:
		var out []ast.Expr
		for _, entry := range e.AsMap().Entries() {
			out = append(out, entry.AsMapEntry().Key(), entry.AsMapEntry().Value())
		}
		return out
	case ast.ComprehensionKind:
		c := e.AsComprehension()
		return []ast.Expr{c.IterRange(), c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result()}
	}
	return nil
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
