// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"maps"
	"slices"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/expr"
	"github.com/projectionist-dev/projectionist/contract/value"
)

// op is one of the operations on columns.
type op struct {
	name string
	get  func(*contract.Handler) map[string]string
}

var ops = []op{
	{"set", func(h *contract.Handler) map[string]string { return h.Set }},
	{"setOnce", func(h *contract.Handler) map[string]string { return h.SetOnce }},
	{"unset", func(h *contract.Handler) map[string]string {
		out := make(map[string]string, len(h.Unset))
		for _, column := range h.Unset {
			out[column] = "null"
		}
		return out
	}},
	{"add", func(h *contract.Handler) map[string]string { return h.Add }},
	{"min", func(h *contract.Handler) map[string]string { return h.Min }},
	{"max", func(h *contract.Handler) map[string]string { return h.Max }},
	{"append", func(h *contract.Handler) map[string]string { return h.Append }},
	{"merge", func(h *contract.Handler) map[string]string { return h.Merge }},
}

const opsHelp = "set, setOnce, unset, add, min, max, append or merge"

// operation gives the name of the operation that the handler does on a column, "" for none.
func (h *handler) operation(column string) string {
	for _, o := range ops {
		if _, ok := o.get(&h.out)[column]; ok {
			return o.name
		}
	}
	return ""
}

// writes tells whether the handler writes a column, its version included.
func (h *handler) writes(column string) bool {
	return h.operation(column) != "" || h.out.VersionBy != nil && h.out.VersionBy.Column == column
}

func (m *model) checkOperations(h *handler) {
	total := 0
	for _, o := range ops {
		columns := o.get(&h.out)
		total += len(columns)
		for _, name := range slices.Sorted(maps.Keys(columns)) {
			m.checkOperation(h, o.name, name, columns[name])
		}
	}
	switch {
	case h.out.Delete && total > 0:
		m.invalid(h.path+".delete", "a handler that deletes the row cannot also change it; remove "+opsHelp+", or delete")
	case !h.out.Delete && total == 0:
		m.invalid(h.path, "the handler does nothing; give it "+opsHelp+", or delete: true")
	}
}

// yamlTrap is a hint for names that YAML makes of others.
func yamlTrap(name string) string {
	switch name {
	case "true":
		return ` (YAML reads an unquoted y, yes or on as true: write "y":)`
	case "false":
		return ` (YAML reads an unquoted n, no or off as false: write "n":)`
	}
	return ""
}

func (m *model) checkOperation(h *handler, name, column, source string) {
	path := h.path + "." + name + "." + column
	if m.checkTarget(h, path, name, column) {
		return
	}
	var e *expression
	if name != "unset" {
		e = m.expression(h, path, source, sightRow)
	}
	t, known := m.types[column]
	if !known || !m.checkOperationType(path, name, column, t) || e == nil {
		return
	}
	operand := t
	switch name {
	case "append":
		operand = t.Elem()
	case "merge":
		if of, ok := e.mayBe(expr.TypeMap, expr.TypeNull); !ok {
			m.invalid(path, "the expression is of type %s, and merge puts in the members of an object; name one, or use set", of)
			return
		}
	}
	if m.checkOperand(path, e, operand) && e.IsConstant() {
		m.checkConstant(path, name, column, operand, e)
	}
}

// checkTarget tells whether something is wrong with the column itself, so that there is no more to say.
func (m *model) checkTarget(h *handler, path, name, column string) bool {
	first := h.operation(column)
	if first != name {
		m.invalid(path, "column %s is already in %s of this handler; a handler does one thing to a column, so make two handlers", column, first)
	}
	switch {
	case !m.has(column):
		m.invalid(path, "there is no column %s in model %s; declare it in columns, or correct the name%s", column, m.out.Name, yamlTrap(column))
	case m.isKey(column):
		m.invalid(path, "%s is a key column, and the key of a row never changes; give it in key", column)
	case m.column(column).Generated != "":
		m.invalid(path, "column %s is generated from other columns, and no handler writes it; write those, or remove its generated", column)
	case m.groupOf(column) != nil:
		m.invalid(path, "%s is a version column, which versionBy alone writes; remove it here", column)
	case m.column(column).Native != "" && name != "set" && name != "unset":
		m.invalid(path, "column %s has a type of the database's own (%s), and can be set and nothing else; use set, or remove its native", column, m.column(column).Native)
	default:
		return false
	}
	return true
}

// checkOperationType tells whether the operation works on the column.
func (m *model) checkOperationType(path, name, column string, t value.Type) bool {
	col := m.column(column)
	switch {
	case name == "add" && !t.CanAdd():
		m.invalid(path, "%s", cannotAdd(column, t))
	case name == "min" && !t.CanMin():
		m.invalid(path, "column %s is %s, whose values have no order to take the lesser of; min works on %s", column, t, orderedTypes)
	case name == "max" && !t.CanMax():
		m.invalid(path, "column %s is %s, whose values have no order to take the greater of; max works on %s", column, t, orderedTypes)
	case name == "append" && !t.CanAppend():
		m.invalid(path, "column %s is %s, and append works on lists; declare it as a list, such as text[], or use set", column, t)
	case name == "merge" && !t.CanMerge():
		m.invalid(path, "column %s is %s, and merge works on json; declare it as json, or use set", column, t)
	case name == "setOnce" && col.Default != nil:
		m.invalid(path, "column %s has a default, so that it is never empty and setOnce never acts; remove the default, or use set", column)
	case name == "setOnce" && col.NotNull:
		m.invalid(path, "column %s may not be NULL, so that it is never empty and setOnce never acts; remove notNull, or use set", column)
	case name == "unset" && col.NotNull:
		m.invalid(path, "column %s may not be NULL; remove its notNull, or set it to something", column)
	default:
		return true
	}
	return false
}

// checkConstant holds a constant operand to the column's rules, as the projector does every other.
func (m *model) checkConstant(path, name, column string, t value.Type, e *expression) {
	col := m.column(column)
	v, err := t.Convert(e.Constant())
	switch {
	case err != nil:
	case v == nil && name == "set" && col.NotNull:
		m.invalid(path, "column %s may not be NULL; name a value, or remove its notNull", column)
	case v == nil && name != "set":
		m.advise(path, "%s of null does nothing; name a value, or remove it", name)
	case name == "set" || name == "setOnce" || name == "min" || name == "max":
		if broken := brokenRule(t, col, v); broken != "" {
			m.invalid(path, "the value %s; change one of them", broken)
		}
	}
}

func cannotAdd(column string, t value.Type) string {
	if !t.Array && t.Kind == value.Float64 {
		return "column " + column + " is float64, and sums of float64 depend on the order in which they are added; declare it as decimal(p,s)"
	}
	return "column " + column + " is " + t.String() + ", and add works on int32, int64 and decimal(p,s); change the column's type, or use set"
}
