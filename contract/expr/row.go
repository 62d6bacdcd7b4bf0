// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"github.com/cockroachdb/apd/v3"
	"github.com/valyala/fastjson"

	"github.com/projectionist-dev/projectionist/contract/value"
)

// keywords cannot follow a point in CEL.
var keywords = []string{"in", "true", "false", "null"}

// variableText writes a variable as an expression would: row["in"] is row.in in the checked expression.
func variableText(variable string) string {
	if name, ok := strings.CutPrefix(variable, "row."); ok && slices.Contains(keywords, name) {
		return "row[" + strconv.Quote(name) + "]"
	}
	return variable
}

func isJSON(t value.Type) bool { return t.Kind == value.JSONKind && !t.Array }

// celType is the type of row.x. A column that may be NULL has a nullable type: it
// works wherever its type does, and with null.
func (c Column) celType() *cel.Type {
	if isJSON(c.Type) {
		return cel.DynType
	}
	var t *cel.Type
	switch c.Type.Kind {
	case value.Bool:
		t = cel.BoolType
	case value.Int32, value.Int64:
		t = cel.IntType
	case value.Float64:
		t = cel.DoubleType
	case value.Decimal:
		t = decimalType
	case value.Timestamp, value.Date:
		t = cel.TimestampType
	case value.Bytes:
		t = cel.BytesType
	default:
		t = cel.StringType
	}
	if c.Type.Array {
		t = cel.ListType(t)
	}
	// To CEL's checker, decimals (opaque) and timestamps are nullable as they are.
	if c.NotNull || t == decimalType || t == cel.TimestampType {
		return t
	}
	return types.NewNullableType(t)
}

// rowEnvironments holds the environments of rows by their shape: making one takes far
// longer than compiling an expression in it.
var rowEnvironments = struct {
	sync.Mutex
	byShape map[string]*cel.Env
}{byShape: map[string]*cel.Env{}}

// maxRowEnvironments bounds it; beyond, all are made anew.
const maxRowEnvironments = 64

// environment gives the environment with the vocabulary's row.
func (v *vocabulary) environment() (*cel.Env, error) {
	base, err := environment()
	if err != nil || len(v.columns) == 0 {
		return base, err
	}
	var shape strings.Builder
	opts := make([]cel.EnvOption, 0, len(v.columns))
	for _, c := range v.columns {
		fmt.Fprintf(&shape, "%q %s %t,", v.prefix()+c.Name, c.Type, c.NotNull)
		opts = append(opts, cel.Variable(v.prefix()+c.Name, c.celType()))
	}
	rowEnvironments.Lock()
	defer rowEnvironments.Unlock()
	if env, ok := rowEnvironments.byShape[shape.String()]; ok {
		return env, nil
	}
	env, err := base.Extend(opts...)
	if err != nil {
		return nil, err
	}
	if len(rowEnvironments.byShape) >= maxRowEnvironments {
		clear(rowEnvironments.byShape)
	}
	rowEnvironments.byShape[shape.String()] = env
	return env, nil
}

// rowRule makes row.x of row["x"], and refuses row as a whole and columns that are not there.
func (v *vocabulary) rowRule(a *ast.AST) *Error {
	switch {
	case v.scope == ScopeTable:
		return v.tableRule(a)
	case v.index == nil:
		return nil
	}
	fac := ast.NewExprFactory()
	var failed *Error
	walk(a.Expr(), func(e, parent ast.Expr, bound *binding) bool {
		if failed != nil || e.Kind() != ast.IdentKind {
			return failed == nil
		}
		if name := e.AsIdent(); name != ".row" && (name != "row" || bound.has("row")) {
			return false
		}
		line, col := place(a, e.ID())
		name, why := rowMember(parent)
		switch _, ok := v.index[name]; {
		case name == "":
			failed = &Error{line, col, "row as a whole is not a value: name a column, such as " + v.example()}
		case !ok:
			failed = &Error{line, col, fmt.Sprintf("there is no column %s in the row%s; there are %s", name,
				didYouMean(name, v.columnNames(), func(s string) string { return variableText("row." + s) }), strings.Join(v.columnNames(), ", "))}
		case why != "":
			failed = &Error{line, col, fmt.Sprintf(why, variableText("row."+name))}
		case parent.Kind() == ast.CallKind:
			parent.SetKindCase(fac.NewSelect(parent.ID(), fac.CopyExpr(e), name))
		}
		return false
	})
	return failed
}

// rowMember gives the column that the expression around row names, and why that form is refused.
func rowMember(parent ast.Expr) (name, why string) {
	const always = "a row always has every column: compare %s with null"
	if parent == nil {
		return "", ""
	}
	if parent.Kind() == ast.SelectKind {
		if parent.AsSelect().IsTestOnly() {
			why = always
		}
		return parent.AsSelect().FieldName(), why
	}
	if name, _, ok := textIndex(parent, operators.Index); ok {
		return name, ""
	}
	for _, op := range []string{operators.OptSelect, operators.OptIndex} {
		if name, _, ok := textIndex(parent, op); ok {
			return name, always
		}
	}
	return "", ""
}

func (v *vocabulary) columnNames() []string {
	out := make([]string, len(v.columns))
	for i, c := range v.columns {
		out[i] = c.Name
	}
	return out
}

func (v *vocabulary) example() string {
	if len(v.columns) == 0 {
		return "row.status"
	}
	return variableText("row." + v.columns[len(v.columns)-1].Name)
}

// canonicalText writes a checked expression so that Compile reads it back.
func canonicalText(checked *cel.Ast) (string, error) {
	fac := ast.NewExprFactory()
	a := ast.Copy(checked.NativeRep())
	next := ast.MaxID(a)
	walk(a.Expr(), func(e, _ ast.Expr, _ *binding) bool {
		if e.Kind() != ast.IdentKind {
			return true
		}
		if name := e.AsIdent(); variableText(name) != name {
			_, column, _ := strings.Cut(name, ".")
			e.SetKindCase(fac.NewCall(e.ID(), operators.Index, fac.NewIdent(next+1, "row"), fac.NewLiteral(next+2, types.String(column))))
			next += 2
		}
		return false
	})
	return cel.ExprToString(a.Expr(), a.SourceInfo())
}

// rowDoc is a json column's value, parsed; kept while the column's text is the same.
type rowDoc struct {
	text   value.JSON
	parser fastjson.Parser
	v      *fastjson.Value
}

// rowJSON parses a json column.
func (a *Activation) rowJSON(col int) (*fastjson.Value, *Failure) {
	in, f := a.rowValue(col)
	if f != nil || in == nil {
		return nil, f
	}
	text, ok := in.(value.JSON)
	if !ok {
		return nil, failf("a json column of the row holds no JSON")
	}
	for len(a.rowDocs) <= col {
		a.rowDocs = append(a.rowDocs, rowDoc{})
	}
	d := &a.rowDocs[col]
	if d.v != nil && d.text == text {
		return d.v, nil
	}
	v, err := d.parser.Parse(string(text))
	if err != nil {
		d.v = nil
		return nil, failf("a json column of the row cannot be read: it is nested deeper than %d levels", fastjson.MaxDepth)
	}
	if strings.IndexByte(string(text), '\\') >= 0 {
		unescapeKeys(v)
	}
	d.text, d.v = text, v
	return v, nil
}

// unescapeKeys makes lookups compare what keys mean and not how they are spelled (see member).
func unescapeKeys(v *fastjson.Value) {
	switch v.Type() {
	case fastjson.TypeObject:
		v.GetObject().Visit(func(_ []byte, e *fastjson.Value) { unescapeKeys(e) })
	case fastjson.TypeArray:
		for _, e := range v.GetArray() {
			unescapeKeys(e)
		}
	}
}

func (a *Activation) rowValue(col int) (value.Value, *Failure) {
	if col >= len(a.Row) {
		return nil, failf("there is no row to read")
	}
	return a.Row[col], nil
}

// rowCEL gives the CEL value of a column.
func (a *Activation) rowCEL(col int) ref.Val {
	v, f := a.rowValue(col)
	if f != nil {
		return celErr(f)
	}
	if _, ok := v.(value.JSON); ok {
		doc, f := a.rowJSON(col)
		if f != nil {
			return celErr(f)
		}
		return a.toCEL(doc)
	}
	return columnCEL(v)
}

func columnCEL(v value.Value) ref.Val {
	switch x := v.(type) {
	case nil:
		return types.NullValue
	case string:
		return types.String(x)
	case bool:
		return types.Bool(x)
	case int64:
		return types.Int(x)
	case float64:
		return types.Double(x)
	case *apd.Decimal:
		return dec{x}
	case time.Time:
		return types.Timestamp{Time: x}
	case value.TimeOfDay:
		return types.String(x.String())
	case [16]byte:
		return types.String(uuidText(x))
	case []byte:
		return types.Bytes(x)
	case []value.Value:
		out := make([]ref.Val, len(x))
		for i, e := range x {
			out[i] = columnCEL(e)
		}
		return types.NewRefValList(types.DefaultTypeAdapter, out)
	}
	return celErr(failf("a column of the row is of a type that no expression reads"))
}

func uuidText(u [16]byte) string { return value.Type{Kind: value.UUID}.Format(u) }

// rowNode reads a column in the fast path; false where CEL has to.
func (c fastCompiler) rowNode(col int) (node, bool) {
	t := c.vocabulary.columns[col].Type
	if t.Array || t.Kind == value.Float64 || t.Kind == value.Bytes {
		return nil, false
	}
	if isJSON(t) {
		return c.pathNode(path{root: "row." + c.vocabulary.columns[col].Name, from: source(col)}), true
	}
	return func(a *Activation) (fval, *Failure) {
		v, f := a.rowValue(col)
		if f != nil {
			return fval{}, f
		}
		switch x := v.(type) {
		case nil:
			return fval{}, nil
		case string:
			return textVal(x), nil
		case bool:
			return boolVal(x), nil
		case int64:
			return intVal(x), nil
		case *apd.Decimal:
			return decVal(x), nil
		case time.Time:
			return timeVal(x), nil
		case value.TimeOfDay:
			return textVal(x.String()), nil
		case [16]byte:
			return textVal(uuidText(x)), nil
		}
		return fval{}, errFallback
	}, true
}
