// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"maps"
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/expr"
	"github.com/projectionist-dev/projectionist/contract/value"
)

// handler is a handler of the contract with what the ordering rule needs to know of it.
type handler struct {
	path string
	out  contract.Handler
	// topic is nil when it is not known.
	topic *topic
	// key holds the canonical text of each key column's expression that compiles.
	key map[string]string
}

// op is one of the operations on columns.
type op struct {
	name string
	get  func(*contract.Handler) map[string]string
}

var ops = []op{
	{"set", func(h *contract.Handler) map[string]string { return h.Set }},
	{"add", func(h *contract.Handler) map[string]string { return h.Add }},
	{"max", func(h *contract.Handler) map[string]string { return h.Max }},
	{"append", func(h *contract.Handler) map[string]string { return h.Append }},
}

// operation gives the name of the operation that the handler does on a column, "" for none.
func (h *handler) operation(column string) string {
	for _, o := range ops {
		if _, ok := o.get(&h.out)[column]; ok {
			return o.name
		}
	}
	return ""
}

func (h *handler) writes(column string) bool { return h.operation(column) != "" }

func (c *compiler) handlers(m *model, specs []v1alpha1.Handler) {
	if len(specs) == 0 {
		m.invalid(m.path+".handlers", "there is no handler; say which events change rows")
	}
	seen := map[string]bool{}
	for i := range specs {
		spec := &specs[i]
		h := &handler{path: m.path + ".handlers[" + spec.Name + "]", key: map[string]string{}}
		if seen[spec.Name] {
			m.invalid(h.path, "there are two handlers of this name; rename one")
			continue
		}
		seen[spec.Name] = true
		h.out = contract.Handler{
			Name: spec.Name, Topic: c.handlerTopic(m, h, spec), Events: slices.Clone(spec.Events),
			When: string(spec.When), OnAbsent: or(string(spec.OnAbsent), string(v1alpha1.OnAbsentCreate)),
			Key: texts(spec.Key), Set: texts(spec.Set), Add: texts(spec.Add), Max: texts(spec.Max), Append: texts(spec.Append),
			Delete: spec.Delete != nil && *spec.Delete,
		}
		h.topic = c.topics[h.out.Topic]
		m.checkEvents(h)
		m.checkWhen(h)
		m.checkHandlerKey(h)
		m.checkOperations(h)
		m.handlers = append(m.handlers, h)
		m.out.Handlers = append(m.out.Handlers, h.out)
	}
}

func texts(in map[string]v1alpha1.Expression) map[string]string {
	if len(in) == 0 {
		return nil
	}
	out := make(map[string]string, len(in))
	for k, v := range in {
		out[k] = string(v)
	}
	return out
}

func (c *compiler) handlerTopic(m *model, h *handler, spec *v1alpha1.Handler) string {
	topics := c.in.Projection.Spec.Topics
	if spec.Topic != "" {
		if _, ok := c.topics[spec.Topic]; !ok {
			m.invalid(h.path+".topic", "topic %q is not one of the projection's topics; add it to spec.topics, or correct the name", spec.Topic)
		}
		return spec.Topic
	}
	if len(topics) == 1 {
		return topics[0].Name
	}
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = t.Name
	}
	m.invalid(h.path+".topic", "the projection has several topics; say which one this handler is for: %s", strings.Join(names, ", "))
	return ""
}

func (m *model) checkEvents(h *handler) {
	path := h.path + ".events"
	for i, e := range h.out.Events {
		if e == "" {
			m.invalid(path, "an event type is empty; remove it")
		}
		if slices.Contains(h.out.Events[:i], e) {
			m.invalid(path, "an event type is named twice; remove one")
		}
	}
	if len(h.out.Events) > 0 && h.topic != nil && h.topic.EventType == "" {
		m.invalid(path, "EventTopic %s does not say where an event's type is found, so that none can be selected; set its spec.event.type, or remove events",
			h.topic.Name)
	}
}

// expression compiles one expression of a handler; nil after a problem.
func (m *model) expression(h *handler, path, source string) *expr.Program {
	p, err := expr.Compile(source, expr.Options{})
	if err != nil {
		if strings.Contains(err.Message, "no variable row") {
			m.add(Error, ReasonUnsupported, path, "column %d: the expression reads row, the current row, which this release does not offer; "+
				"use add, max or append, or name event, key, headers and meta only", err.Column)
			return nil
		}
		m.invalid(path, "%s", err)
		return nil
	}
	if h.topic != nil {
		if p.Uses("meta.type") && h.topic.EventType == "" {
			m.invalid(path, "meta.type has no value: EventTopic %s does not say where an event's type is found; set its spec.event.type", h.topic.Name)
		}
		if p.Uses("meta.id") && h.topic.EventID == "" {
			m.invalid(path, "meta.id has no value: EventTopic %s does not say where an event's id is found; set its spec.event.id", h.topic.Name)
		}
	}
	return p
}

func (m *model) checkWhen(h *handler) {
	if h.out.When == "" {
		return
	}
	path := h.path + ".when"
	if p := m.expression(h, path, h.out.When); p != nil && p.Type() != expr.TypeBool && p.Type() != expr.TypeDyn {
		m.invalid(path, "the expression is a %s, and a condition must be a bool; write a comparison", p.Type())
	}
}

func (m *model) checkHandlerKey(h *handler) {
	path := h.path + ".key"
	var missing []string
	for _, name := range m.out.Key {
		if _, ok := h.out.Key[name]; !ok && !slices.Contains(missing, name) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		m.invalid(path, "the key of the row is incomplete; give an expression for %s", strings.Join(missing, ", "))
	}
	for _, name := range slices.Sorted(maps.Keys(h.out.Key)) {
		at := path + "." + name
		if !slices.Contains(m.out.Key, name) {
			m.invalid(at, "%s is no key column of model %s; move it to set, or add it to the model's key", name, m.out.Name)
		}
		p := m.expression(h, at, h.out.Key[name])
		if p == nil {
			continue
		}
		h.key[name] = p.Canonical()
		if t, known := m.types[name]; known {
			m.checkKeyType(at, p, t)
		}
	}
}

func (m *model) checkKeyType(path string, p *expr.Program, t value.Type) {
	switch {
	case p.Type() == expr.TypeNull:
		m.invalid(path, "a key column is never null; name a value")
	case p.IsConstant():
		if _, err := t.ConvertKey(p.Constant()); err != nil {
			m.invalid(path, "type mismatch: the column is %s, and %s is %s", t, p.Canonical(), err)
		}
	default:
		if err := p.CheckColumn(t); err != nil {
			m.invalid(path, "%s", err)
		}
	}
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
		m.invalid(h.path+".delete", "a handler that deletes the row cannot also change it; remove set, add, max and append, or delete")
	case !h.out.Delete && total == 0:
		m.invalid(h.path, "the handler does nothing; give it set, add, max, append, or delete: true")
	case h.out.Delete && h.out.OnAbsent == string(v1alpha1.OnAbsentIgnore):
		// Deleting what is not there does nothing either way: one form, so that the hash has one, too.
		h.out.OnAbsent = string(v1alpha1.OnAbsentCreate)
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
	switch {
	case !m.columns[column]:
		m.invalid(path, "there is no column %s in model %s; declare it in columns, or correct the name%s", column, m.out.Name, yamlTrap(column))
	case slices.Contains(m.out.Key, column):
		m.invalid(path, "%s is a key column, and the key of a row never changes; give it in key", column)
	}
	if first := h.operation(column); first != name {
		m.invalid(path, "column %s is already in %s of this handler; a handler does one thing to a column, so make two handlers", column, first)
	}
	p := m.expression(h, path, source)
	t, known := m.types[column]
	if !known {
		return
	}
	operand := t
	switch name {
	case "add":
		if !t.CanAdd() {
			m.invalid(path, "%s", cannotAdd(column, t))
			return
		}
	case "max":
		if !t.CanMax() {
			m.invalid(path, "column %s is %s, whose values have no order to take the greater of; max works on text, int32, int64, float64, decimal, timestamp and date", column, t)
			return
		}
	case "append":
		if !t.CanAppend() {
			m.invalid(path, "column %s is %s, and append works on lists; declare it as a list, such as text[], or use set", column, t)
			return
		}
		operand = t.Elem()
	}
	if p == nil {
		return
	}
	if err := p.CheckColumn(operand); err != nil {
		m.invalid(path, "%s", err)
	}
}

func cannotAdd(column string, t value.Type) string {
	if !t.Array && t.Kind == value.Float64 {
		return "column " + column + " is float64, and sums of float64 depend on the order in which they are added; declare it as decimal(p,s)"
	}
	return "column " + column + " is " + t.String() + ", and add works on int32, int64 and decimal(p,s); change the column's type, or use set"
}
