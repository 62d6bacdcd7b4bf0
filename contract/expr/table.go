// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"

	"github.com/projectionist-dev/projectionist/contract/value"
)

// Aggregate is what a variable of ScopeTable stands for.
type Aggregate struct {
	// Of is "count", "sum", "min" or "max".
	Of string
	// Column is the index of the column that it is over, -1 for count.
	Column int
}

// aggregates are the variables of ScopeTable that are over a column.
var aggregates = []string{"sum", "min", "max"}

// TableColumns gives the variables of ScopeTable over a table's columns, as Options.Row, and what
// Activation.Row holds at the same index: count, sum.x of numbers that add up exactly, min.x and max.x of what has an order.
func TableColumns(columns []Column) ([]Column, []Aggregate) {
	out, of := []Column{{"count", value.Type{Kind: value.Int64}, true}}, []Aggregate{{"count", -1}}
	add := func(name string, i int, t value.Type, notNull bool) {
		out, of = append(out, Column{name + "." + columns[i].Name, t, notNull}), append(of, Aggregate{name, i})
	}
	for i, c := range columns {
		if Sums(c.Type) {
			add("sum", i, value.Type{Kind: value.Decimal}, true)
		}
		if c.Type.CanMax() {
			add("min", i, c.Type, false)
			add("max", i, c.Type, false)
		}
	}
	return out, of
}

// Sums tells whether a column of the type has a sum: a sum of floats depends on the order of its terms.
func Sums(t value.Type) bool {
	return !t.Array && (t.Kind == value.Int32 || t.Kind == value.Int64 || t.Kind == value.Decimal)
}

// tableRule explains what is no variable of ScopeTable, where CEL would know of undeclared references only.
func (v *vocabulary) tableRule(a *ast.AST) *Error {
	var failed *Error
	walk(a.Expr(), func(e, parent ast.Expr, bound *binding) bool {
		if failed != nil || e.Kind() != ast.IdentKind || bound.has(e.AsIdent()) {
			return failed == nil
		}
		name, why := e.AsIdent(), ""
		switch {
		case name == "row":
			why = "row is one row, and this is over all of them: name count, sum.x, min.x or max.x, or write the condition as row instead of all"
		case !slices.Contains(aggregates, name):
			return false
		case parent == nil || parent.Kind() != ast.SelectKind || parent.AsSelect().IsTestOnly():
			why = fmt.Sprintf("%s as a whole is not a value: name a column, such as %s.%s", name, name, v.summed(name))
		default:
			column := parent.AsSelect().FieldName()
			if _, ok := v.index[name+"."+column]; !ok {
				why = fmt.Sprintf("there is no %s.%s%s; there are %s", name, column,
					didYouMean(name+"."+column, v.columnNames(), func(s string) string { return s }), v.tableHelp())
			}
		}
		if why != "" {
			line, col := place(a, e.ID())
			failed = &Error{line, col, why}
		}
		return false
	})
	return failed
}

// tableHelp names what there is, each column once for each aggregate that it has.
func (v *vocabulary) tableHelp() string {
	of := map[string][]string{}
	for _, c := range v.columns {
		name, column, _ := strings.Cut(c.Name, ".")
		of[name] = append(of[name], column)
	}
	out := "count"
	if len(of["sum"]) > 0 {
		out += ", sum of " + strings.Join(of["sum"], ", ")
	}
	if len(of["min"]) > 0 {
		out += ", min and max of " + strings.Join(of["min"], ", ")
	}
	return out
}

// summed gives a column that has the aggregate, for messages.
func (v *vocabulary) summed(aggregate string) string {
	for _, c := range v.columns {
		if name, ok := strings.CutPrefix(c.Name, aggregate+"."); ok {
			return name
		}
	}
	return "x"
}
