// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"github.com/valyala/fastjson"
)

// path is a chain of members from a variable that holds JSON: event.a.b,
// item["odd name"], row.doc.a.
type path struct {
	// root is "event", "item" or "row." and a json column.
	root  string
	names []string
	// from is where root's value is.
	from source
	// absolute paths (.event.a) mean the variable, whatever a macro calls its own.
	absolute bool
}

// source is a place in an Activation that holds JSON: the index of a column of
// the row, or one of these.
type source int

const (
	fromEvent source = -1 - iota
	fromItem
)

// json gives the value at a source; nil is null.
func (a *Activation) json(s source) (*fastjson.Value, *Failure) {
	switch s {
	case fromEvent:
		return a.Payload(), nil
	case fromItem:
		return a.Item, nil
	}
	return a.rowJSON(int(s))
}

// sourceOf tells what a variable's source is, if it holds JSON.
func (v *vocabulary) sourceOf(variable string) (source, bool) {
	switch variable {
	case "event":
		return fromEvent, true
	case "item":
		return fromItem, true
	}
	if i, ok := v.column(variable); ok && isJSON(v.columns[i].Type) {
		return source(i), true
	}
	return 0, false
}

// pathOf gives the path that a chain such as event.a.b or event["a"].b is. It
// knows nothing of variables that the expression itself binds: see isBound.
func (v *vocabulary) pathOf(e ast.Expr) (p path, ok bool) {
	for {
		switch e.Kind() {
		case ast.IdentKind:
			p.root, p.absolute = strings.CutPrefix(e.AsIdent(), ".")
			p.from, ok = v.sourceOf(p.root)
			slices.Reverse(p.names)
			return p, ok
		case ast.SelectKind:
			if e.AsSelect().IsTestOnly() {
				return path{}, false
			}
			p.names, e = append(p.names, e.AsSelect().FieldName()), e.AsSelect().Operand()
		case ast.CallKind:
			name, operand, isIndex := textIndex(e, operators.Index)
			if !isIndex {
				return path{}, false
			}
			p.names, e = append(p.names, name), operand
		default:
			return path{}, false
		}
	}
}

// textIndex takes operand["name"] apart, or with operators.OptSelect operand.?name.
func textIndex(e ast.Expr, operator string) (name string, operand ast.Expr, ok bool) {
	if e.Kind() != ast.CallKind {
		return "", nil, false
	}
	c := e.AsCall()
	if c.FunctionName() != operator || len(c.Args()) != 2 || c.Args()[1].Kind() != ast.LiteralKind {
		return "", nil, false
	}
	s, ok := c.Args()[1].AsLiteral().(types.String)
	return string(s), c.Args()[0], ok
}

// optionalPath is pathOf for event.?a.b, whose result is an optional; fixed counts
// the names before the first optional one.
func (v *vocabulary) optionalPath(e ast.Expr) (p path, fixed int, ok bool) {
	if name, operand, isOpt := textIndex(e, operators.OptSelect); isOpt {
		if p, ok = v.pathOf(operand); ok {
			fixed = len(p.names)
		} else {
			p, fixed, ok = v.optionalPath(operand)
		}
		p.names = append(p.names, name)
		return p, fixed, ok
	}
	if e.Kind() == ast.SelectKind && !e.AsSelect().IsTestOnly() {
		p, fixed, ok = v.optionalPath(e.AsSelect().Operand())
		p.names = append(p.names, e.AsSelect().FieldName())
	}
	return p, fixed, ok
}

var identifier = regexp.MustCompile(`^[_a-zA-Z][_a-zA-Z0-9]*$`)

// String writes the path as an expression would.
func (p path) String() string { return p.text(len(p.names)) }

// text writes the first n names.
func (p path) text(n int) string {
	var b strings.Builder
	b.WriteString(variableText(p.root))
	for _, name := range p.names[:n] {
		if identifier.MatchString(name) {
			b.WriteString("." + name)
		} else {
			b.WriteString("[" + strconv.Quote(name) + "]")
		}
	}
	return b.String()
}

// optionalText writes the first n names, the last of them as one that may be missing.
func (p path) optionalText(n int) string {
	last := p.names[n-1]
	if !identifier.MatchString(last) {
		return p.text(n-1) + "[?" + strconv.Quote(last) + "]"
	}
	return p.text(n-1) + ".?" + last
}

// follow follows the first n names from the path's root; a missing member is a Failure.
func (a *Activation) follow(p path, n int) (*fastjson.Value, *Failure) {
	v, f := a.json(p.from)
	if f != nil {
		return nil, f
	}
	for i, name := range p.names[:n] {
		if v == nil || v.Type() != fastjson.TypeObject {
			return nil, failf("%s is %s, expected an object with the field %s", p.text(i), describeJSON(v), name)
		}
		if v = a.member(v, name); v == nil {
			return nil, failf("%s is missing (write %s.orValue(...) if it may be)", p.text(i+1), p.optionalText(i+1))
		}
	}
	return v, nil
}

// eventPaths gives the texts of the paths from event, sorted.
func (v *vocabulary) eventPaths(root ast.Expr) []string {
	out := []string{}
	for _, p := range v.staticPaths(root) {
		if p.from == fromEvent {
			out = append(out, p.String())
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// staticPaths finds the longest paths, tests and optional selects included.
func (v *vocabulary) staticPaths(root ast.Expr) []path {
	var out []path
	walk(root, func(e, _ ast.Expr, bound *binding) bool {
		p, ok := v.readPath(e)
		if !ok || !p.absolute && bound.has(p.root) {
			return true
		}
		out = append(out, p)
		return false
	})
	return out
}

// readPath is the path that an expression reads or tests.
func (v *vocabulary) readPath(e ast.Expr) (path, bool) {
	if p, ok := v.pathOf(e); ok {
		return p, true
	}
	if e.Kind() == ast.SelectKind && e.AsSelect().IsTestOnly() {
		if p, ok := v.pathOf(e.AsSelect().Operand()); ok {
			p.names = append(p.names, e.AsSelect().FieldName())
			return p, true
		}
	}
	p, _, ok := v.optionalPath(e)
	return p, ok
}
