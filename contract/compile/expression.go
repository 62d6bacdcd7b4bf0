// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"strings"

	"github.com/projectionist-dev/projectionist/contract/expr"
	"github.com/projectionist-dev/projectionist/contract/value"
)

// sight is what an expression of a handler may name, beside key, headers, meta and (but for tombstones) event.
type sight uint8

const (
	// sightSource is that of forEach: nothing else.
	sightSource sight = iota
	// sightEvent adds item and index, where there is a forEach.
	sightEvent
	// sightRow adds the row.
	sightRow
)

// expression is a compiled expression of a handler: without knowledge of the
// payload, and once more for each schema that describes events of the handler.
type expression struct {
	*expr.Program
	typed []typedProgram
}

type typedProgram struct {
	schema *schema
	*expr.Program
}

// expression compiles one expression of a handler; nil after a problem.
func (m *model) expression(h *handler, path, source string, s sight) *expression {
	o := expr.Options{Item: s != sightSource && h.out.ForEach != ""}
	if h.out.Tombstone {
		o.Scope = expr.ScopeTombstone
	}
	if s == sightRow && strings.Contains(source, "row") {
		// An environment with the row is made for it alone, which takes far longer than the rest.
		o.Row = m.row(h.out.OnAbsent == onAbsentIgnore)
	}
	p, err := expr.Compile(source, o)
	if err != nil && s == sightRow && o.Row == nil {
		o.Row = m.row(false)
		p, err = expr.Compile(source, o) // For a message that names all there is.
	}
	if err != nil {
		m.refuseExpression(path, source, s, o, err)
		return nil
	}
	if h.topic != nil {
		m.checkMeta(h, path, p)
	}
	if s == sightRow {
		reads := m.rowReads(p)
		m.checkReads(path, reads)
		for _, column := range reads {
			h.reads = append(h.reads, read{path: path, column: column})
		}
	}
	e := &expression{Program: p}
	m.bySchema(h, path, source, o, e)
	return e
}

func (m *model) refuseExpression(path, source string, s sight, o expr.Options, err *expr.Error) {
	if s == sightRow {
		if !m.untyped() || !strings.Contains(source, "row") {
			m.refuse(path, source, err, m.joinHint(source))
		}
		return
	}
	o.Row = m.row(false)
	if p, _ := expr.Compile(source, o); p != nil && p.Uses("row") {
		// With a row, the expression would compile.
		*m.problems = append(*m.problems, Problem{
			Object: m.object, Path: path, Reason: ReasonInvalidSpec, Severity: Error, Column: strings.Index(source, "row") + 1,
			Message: "the expression reads row, which is known only once key or where has found it: name event, key, headers and meta here, and row in when, set and other operations",
		})
		return
	}
	m.refuse(path, source, err, "")
}

// checkMeta refuses to read what the topic's events do not have.
func (m *model) checkMeta(h *handler, path string, p *expr.Program) {
	typed, identified := p.Uses("meta.type"), p.Uses("meta.id")
	switch {
	case typed && h.out.Tombstone:
		m.invalid(path, "meta.type has no value: a record without a payload has no event type; remove it")
	case typed && !h.topic.hasType():
		m.invalid(path, "meta.type has no value: EventTopic %s does not say where an event's type is found; set its spec.event.type", h.topic.Name)
	}
	switch {
	case identified && h.out.Tombstone:
		m.invalid(path, "meta.id has no value: a record without a payload has no event id; use key, or meta.partition and meta.position")
	case identified && !h.topic.hasID():
		m.invalid(path, "meta.id has no value: EventTopic %s does not say where an event's id is found; set its spec.event.id", h.topic.Name)
	}
}

// bySchema compiles the expression for each schema of the handler's events, and
// reports what is wrong by one. Where when may have asked what the event is, only
// what no schema admits is wrong.
func (m *model) bySchema(h *handler, path, source string, o expr.Options, e *expression) {
	if !e.Uses("event") && !e.Uses("item") {
		return
	}
	schemas := m.schemasOf(h)
	var refused []*schema
	var first *expr.Error
	for _, s := range schemas {
		o.Schema, o.ItemSchema = s.schema, nil
		if o.Item {
			o.ItemSchema = h.items[s]
		}
		p, err := expr.Compile(source, o)
		if err != nil {
			if refused = append(refused, s); first == nil {
				first = err
			}
			continue
		}
		e.typed = append(e.typed, typedProgram{s, p})
	}
	some := h.guarded && len(schemas) > 1
	if len(refused) > 0 && (!some || len(refused) == len(schemas)) {
		m.refuse(path, source, first, " ("+refused[0].where()+")")
	}
	if !some {
		for _, p := range e.typed {
			for _, advice := range p.Advice() {
				m.advise(path, "%s (%s)", advice, p.schema.where())
			}
		}
	}
}

// checkOperand reports an expression whose result cannot be a value of the type.
func (m *model) checkOperand(path string, e *expression, t value.Type) bool {
	err := e.checkColumn(t)
	if err != nil {
		m.invalid(path, "%s", err)
	}
	return err == nil
}

// checkColumn tells why the result cannot be a value of the type; nil if it can, for all that is known.
func (e *expression) checkColumn(t value.Type) error {
	if err := e.CheckColumn(t); err != nil {
		return err
	}
	for _, p := range e.typed {
		if err := p.CheckColumn(t); err != nil {
			return fmt.Errorf("%w (%s)", err, p.schema.where())
		}
	}
	return nil
}

// mayBe tells whether the result can be of one of the types, for all that is known.
func (e *expression) mayBe(types ...expr.Type) (expr.Type, bool) {
	ok := func(t expr.Type) bool {
		for _, x := range append(types, expr.TypeDyn) {
			if t == x {
				return true
			}
		}
		return false
	}
	if !ok(e.Type()) {
		return e.Type(), false
	}
	for _, p := range e.typed {
		if !ok(p.Type()) {
			return p.Type(), false
		}
	}
	return e.Type(), true
}
