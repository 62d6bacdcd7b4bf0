// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
)

// binding is a variable that a macro binds (the x of list.map(x, ...)), and those around it.
type binding struct {
	name  string
	outer *binding
}

// has tells whether a name, or the first part of a qualified one, is bound.
func (b *binding) has(name string) bool {
	name, _, _ = strings.Cut(name, ".")
	for ; b != nil; b = b.outer {
		if b.name == name {
			return true
		}
	}
	return false
}

// and binds more names.
func (b *binding) and(names ...string) *binding {
	for _, name := range names {
		if name != "" {
			b = &binding{name, b}
		}
	}
	return b
}

// walk visits an expression and, where visit says so, its parts, from the left; parent is
// nil at the root.
func walk(root ast.Expr, visit func(e, parent ast.Expr, bound *binding) bool) {
	var each func(e, parent ast.Expr, bound *binding)
	each = func(e, parent ast.Expr, bound *binding) {
		if !visit(e, parent, bound) {
			return
		}
		if e.Kind() != ast.ComprehensionKind {
			for _, c := range children(e) {
				each(c, e, bound)
			}
			return
		}
		c := e.AsComprehension()
		inner := bound.and(c.AccuVar())
		step := inner.and(c.IterVar(), c.IterVar2())
		each(c.IterRange(), e, bound)
		each(c.AccuInit(), e, bound)
		each(c.LoopCondition(), e, step)
		each(c.LoopStep(), e, step)
		each(c.Result(), e, inner)
	}
	each(root, nil, nil)
}

// children gives the parts of an expression that is no comprehension, from the left.
func children(e ast.Expr) []ast.Expr {
	switch e.Kind() {
	case ast.CallKind:
		c := e.AsCall()
		if c.IsMemberFunction() {
			return append([]ast.Expr{c.Target()}, c.Args()...)
		}
		return slices.Clone(c.Args())
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
	}
	return nil
}
