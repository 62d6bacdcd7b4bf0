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

const (
	onAbsentCreate = string(v1alpha1.OnAbsentCreate)
	onAbsentIgnore = string(v1alpha1.OnAbsentIgnore)
)

// handler is a handler of the contract with what the ordering rule needs to know of it.
type handler struct {
	path string
	out  contract.Handler
	// topic is nil when it is not known.
	topic *topic
	// key holds the canonical text of each key column's expression that compiles, be it in key or in where.
	key map[string]string
	// matched counts the columns of where that are fine.
	matched int
	// reads are the columns of row that its expressions read.
	reads []read
	// items are what is known of the elements of forEach, by the schema of the event.
	items map[*schema]*expr.Schema
	// guarded is true while expressions are compiled that only see events for which when is true.
	guarded bool
}

// read is one column of row that an expression of a handler reads.
type read struct{ path, column string }

// creates tells whether the handler may make a row.
func (h *handler) creates() bool {
	return h.out.OnAbsent == onAbsentCreate && len(h.out.Where) == 0 && (!h.out.Delete || h.out.VersionBy != nil)
}

func (c *compiler) handlers(m *model, specs []v1alpha1.Handler) {
	if len(specs) == 0 {
		m.invalid(m.path+".handlers", "there is no handler; say which events change rows")
	}
	seen := map[string]bool{}
	for i := range specs {
		spec := &specs[i]
		path := m.path + ".handlers[" + spec.Name + "]"
		if seen[spec.Name] {
			m.invalid(path, "there are two handlers of this name; rename one")
			continue
		}
		seen[spec.Name] = true
		out := contract.Handler{
			Name: spec.Name, Topic: c.handlerTopic(m, path, spec),
			Events: slices.Clone(spec.Events), Default: isTrue(spec.Default), Tombstone: isTrue(spec.Tombstone),
			ForEach: string(spec.ForEach), When: string(spec.When), OnAbsent: or(string(spec.OnAbsent), onAbsentCreate),
			Key: texts(spec.Key), Where: texts(spec.Where), VersionBy: m.versionBy(path, spec.VersionBy),
			Set: texts(spec.Set), SetOnce: texts(spec.SetOnce), Unset: slices.Clone(spec.Unset), Add: texts(spec.Add),
			Min: texts(spec.Min), Max: texts(spec.Max), Append: texts(spec.Append), Merge: texts(spec.Merge),
			Delete: isTrue(spec.Delete),
		}
		switch {
		case out.Where != nil:
			// Rows that match are there: one form, so that the hash has one, too.
			out.OnAbsent = onAbsentIgnore
		case out.Delete:
			// Deleting what is not there does nothing, or with a version leaves it for ever.
			out.OnAbsent = onAbsentCreate
		}
		m.addHandler(out, c.topics[out.Topic])
	}
	for _, h := range m.handlers {
		m.checkDefaultHandler(h)
	}
}

// addHandler checks a handler as the contract has it.
func (m *model) addHandler(out contract.Handler, t *topic) {
	h := &handler{path: m.path + ".handlers[" + out.Name + "]", key: map[string]string{}, items: map[*schema]*expr.Schema{}, out: out, topic: t}
	m.checkEvents(h)
	m.checkForEach(h)
	m.checkWhen(h)
	h.guarded = h.out.When != ""
	m.checkHandlerKey(h)
	m.checkWhere(h)
	m.checkVersionBy(h)
	m.checkOperations(h)
	m.checkNotNull(h)
	m.handlers = append(m.handlers, h)
	m.out.Handlers = append(m.out.Handlers, h.out)
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

func (m *model) versionBy(path string, in map[string]v1alpha1.Expression) *contract.VersionBy {
	columns := slices.Sorted(maps.Keys(in))
	if len(columns) == 0 {
		return nil
	}
	if len(columns) > 1 {
		m.invalid(path+".versionBy", "a handler has one version; keep one of %s, and make another handler for the rest", strings.Join(columns, ", "))
	}
	return &contract.VersionBy{Column: columns[0], Value: string(in[columns[0]])}
}

func (c *compiler) handlerTopic(m *model, path string, spec *v1alpha1.Handler) string {
	topics := c.in.Projection.Spec.Topics
	if spec.Topic != "" {
		if _, ok := c.topics[spec.Topic]; !ok {
			m.invalid(path+".topic", "topic %q is not one of the projection's topics; add it to spec.topics, or correct the name", spec.Topic)
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
	m.invalid(path+".topic", "the projection has several topics; say which one this handler is for: %s", strings.Join(names, ", "))
	return ""
}

func (m *model) checkEvents(h *handler) {
	path := h.path + ".events"
	chosen := 0
	for _, is := range []bool{len(h.out.Events) > 0, h.out.Default, h.out.Tombstone} {
		if is {
			chosen++
		}
	}
	if chosen > 1 {
		m.invalid(h.path, "a handler takes events, the events of default, or tombstones; keep one of them, and make another handler for the rest")
	}
	for i, e := range h.out.Events {
		if e == "" {
			m.invalid(path, "an event type is empty; remove it")
		}
		if slices.Contains(h.out.Events[:i], e) {
			m.invalid(path, "an event type is named twice; remove one")
		}
	}
	if h.topic == nil || len(h.out.Events) == 0 && !h.out.Default {
		return
	}
	if !h.topic.hasType() {
		if h.out.Default {
			path = h.path + ".default"
		}
		m.invalid(path, "EventTopic %s does not say where an event's type is found, so that none can be selected; set its spec.event.type, or remove %s",
			h.topic.Name, path[strings.LastIndexByte(path, '.')+1:])
		return
	}
	types, closed := h.topic.closedTypes()
	for _, e := range h.out.Events {
		if closed && e != "" && !slices.ContainsFunc(types, func(t string) bool { return matches(e, t) }) {
			m.invalid(path, "no event of format %s has the type %q; there are %s", h.topic.Format, e, strings.Join(types, ", "))
		}
	}
}

// checkDefaultHandler refuses a default that other handlers leave nothing.
func (m *model) checkDefaultHandler(h *handler) {
	if !h.out.Default {
		return
	}
	for _, o := range m.handlers {
		if o.topic == h.topic && slices.Contains(o.out.Events, "*") {
			m.invalid(h.path+".default", "handler %s names every event type by *, so that nothing is left for default; remove events there to take every event without naming it", o.out.Name)
		}
	}
}

func (m *model) checkForEach(h *handler) {
	if h.out.ForEach == "" {
		return
	}
	path := h.path + ".forEach"
	if e := m.expression(h, path, h.out.ForEach, sightSource); e != nil {
		for _, p := range e.typed {
			h.items[p.schema] = p.ElementSchema()
		}
		if t, ok := e.mayBe(expr.TypeList, expr.TypeMap); !ok {
			m.invalid(path, "the expression is of type %s, and forEach goes through a list or an object; name one, or remove forEach", t)
		}
	}
}

func (m *model) checkWhen(h *handler) {
	if h.out.When == "" {
		return
	}
	path := h.path + ".when"
	if e := m.expression(h, path, h.out.When, sightRow); e != nil {
		if t, ok := e.mayBe(expr.TypeBool); !ok {
			m.invalid(path, "the expression is of type %s, and a condition must be a bool; write a comparison", t)
		}
	}
}

func (m *model) checkHandlerKey(h *handler) {
	path := h.path + ".key"
	if h.out.Where != nil {
		if h.out.Key != nil {
			m.invalid(path, "a handler changes the row of key, or all rows that match where; remove one")
		}
		return
	}
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
		if !m.isKey(name) {
			m.invalid(at, "%s is no key column of model %s; move it to set, or add it to the model's key%s", name, m.out.Name, yamlTrap(name))
		}
		e := m.expression(h, at, h.out.Key[name], sightEvent)
		if e == nil {
			continue
		}
		h.key[name] = e.Canonical()
		if t, known := m.types[name]; known {
			m.checkKeyType(at, e, t)
		}
	}
}

func (m *model) checkKeyType(path string, e *expression, t value.Type) {
	switch {
	case e.Type() == expr.TypeNull:
		m.invalid(path, "a key column is never null; name a value")
	case e.IsConstant():
		if _, err := t.ConvertKey(e.Constant()); err != nil {
			m.invalid(path, "type mismatch: the column is %s, and %s is %s", t, e.Canonical(), err)
		}
	default:
		m.checkOperand(path, e, t)
	}
}

func (m *model) checkWhere(h *handler) {
	for _, name := range slices.Sorted(maps.Keys(h.out.Where)) {
		at := h.path + ".where." + name
		e := m.expression(h, at, h.out.Where[name], sightEvent)
		t, known := m.types[name]
		switch {
		case !m.has(name):
			m.invalid(at, "there is no column %s in model %s; declare it in columns, or correct the name%s", name, m.out.Name, yamlTrap(name))
			continue
		case known && (t.Array || t.Kind == value.JSONKind):
			m.invalid(at, "column %s is %s, which cannot be matched; match a column with one value", name, t)
			continue
		case m.column(name).Native != "":
			m.invalid(at, "column %s has a type of the database's own, whose values may be equal where their texts are not; match another column, or remove its native", name)
			continue
		}
		if e == nil {
			continue
		}
		h.matched++
		if m.isKey(name) {
			h.key[name] = e.Canonical()
		}
		switch {
		case e.Type() == expr.TypeNull:
			m.invalid(at, "null matches no row; name a value")
		case known:
			m.checkOperand(at, e, t)
		}
	}
}

// checkNotNull asks each handler that may create a row to write the columns that
// may not be NULL. Only set does so for sure: of other operations, an operand that is null does nothing.
func (m *model) checkNotNull(h *handler) {
	if !h.creates() || h.out.Delete {
		return
	}
	for i := range m.out.Columns {
		col := &m.out.Columns[i]
		if !col.NotNull || col.Default != nil || col.Generated != "" || h.operation(col.Name) == "set" {
			continue
		}
		if h.out.VersionBy != nil && h.out.VersionBy.Column == col.Name {
			continue
		}
		m.invalid(h.path, "column %s may not be NULL, and this handler may create a row without it; set it here, give the column a default, or use onAbsent: Ignore", col.Name)
	}
}
