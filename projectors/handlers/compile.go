// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"errors"
	"fmt"
	"slices"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/expr"
	"github.com/projectionist-dev/projectionist/projectors/codecs"
	"github.com/projectionist-dev/projectionist/projectors/fold"
)

// Compile compiles every expression of a contract. Its errors name the field
// path; all of them are joined. Schemas may be nil where no topic has a schema
// registry. What a user sees comes from contract/compile: this is the last guard
// of the data plane, and refuses what it cannot run.
func Compile(c *contract.Contract, schemas codecs.Schemas) (*Program, error) {
	p := &Program{contract: c, schemas: schemas, topics: make(map[string]*topic, len(c.Topics))}
	p.rows.New = func() any { return new(rowEvaluator) }
	b := &builder{program: p, takers: map[*topic]takers{}}
	for i := range c.Topics {
		b.topic(&c.Topics[i])
	}
	var err error
	if p.models, err = fold.ModelsOf(c); err != nil {
		b.errs = append(b.errs, err)
	} else {
		for i := range c.Models {
			b.model(i, &c.Models[i])
		}
	}
	for _, t := range p.topics {
		t.dispatch = newDispatch(b.takers[t])
	}
	if len(b.errs) > 0 {
		return nil, errors.Join(b.errs...)
	}
	return p, nil
}

// builder collects errors, so that all of them are seen at once.
type builder struct {
	program *Program
	errs    []error
	takers  map[*topic]takers
}

func (b *builder) errorf(path, format string, args ...any) {
	b.errs = append(b.errs, fmt.Errorf("%s: "+format, append([]any{path}, args...)...))
}

func (b *builder) compile(path, src string, o expr.Options) *expr.Program {
	prg, err := expr.Compile(src, o)
	if err != nil {
		b.errorf(path, "%w", err)
		return nil
	}
	return prg
}

// condition compiles an expression that yields a bool.
func (b *builder) condition(path, src string, o expr.Options) *expr.Program {
	prg := b.compile(path, src, o)
	if prg == nil {
		return nil
	}
	if ty := prg.Type(); ty != expr.TypeBool && ty != expr.TypeDyn {
		b.errorf(path, "a condition is a bool, and this is %s", ty)
	}
	return prg
}

func (b *builder) topic(ct *contract.Topic) {
	at := func(field string) string { return fmt.Sprintf("topics[%s].%s", ct.Name, field) }
	t := &topic{
		contract: ct, name: ct.Name,
		pathKeyedBy: at("keyedBy"), pathType: at("eventType"), pathID: at("eventID"), pathTime: at("eventTime"),
	}
	if _, err := codecs.New(ct, b.program.schemas); err != nil {
		b.errs = append(b.errs, err)
	}
	optional := func(path, src string) *expr.Program {
		if src == "" {
			return nil
		}
		prg := b.compile(path, src, expr.Options{Scope: expr.ScopeTopic, Members: &t.members})
		t.needs(prg)
		return prg
	}
	t.keyedBy = optional(t.pathKeyedBy, ct.KeyedBy)
	t.typ = optional(t.pathType, ct.EventType)
	t.id = optional(t.pathID, ct.EventID)
	t.time = optional(t.pathTime, ct.EventTime)
	for i := range ct.Upcasts {
		t.upcasts = append(t.upcasts, b.upcast(t, &ct.Upcasts[i]))
	}
	if _, ok := b.program.topics[ct.Name]; ok {
		b.errorf(fmt.Sprintf("topics[%s]", ct.Name), "declared twice")
	}
	b.program.topics[ct.Name] = t
}

// needs notes what has to be there when the expression is evaluated; nil is fine.
func (t *topic) needs(prg *expr.Program) {
	if prg == nil {
		return
	}
	t.needsID = t.needsID || prg.Uses("meta.id")
	t.needsHeaders = t.needsHeaders || prg.Uses("headers")
}

// typed tells whether the topic's events have types at all.
func (t *topic) typed() bool {
	switch t.contract.Format {
	case "CloudEvents", "Debezium", "DebeziumOutbox":
		return true
	}
	return t.typ != nil || slices.ContainsFunc(t.upcasts, func(u upcast) bool { return u.typ != "" })
}

func (b *builder) model(index int, cm *contract.Model) {
	m := &b.program.models[index]
	mb := &modelBuilder{
		builder: b, index: index, spec: cm, model: m, path: fmt.Sprintf("models[%s]", cm.Name), deleted: -1,
		row: rowColumns(cm, m),
	}
	if len(m.Key) == 0 {
		b.errorf(mb.path+".key", "a model needs a key")
	}
	for _, k := range m.Key {
		if c := &m.Columns[k]; !c.Type.CanKey() {
			b.errorf(mb.path+".key", "column %s is %s, which cannot be part of a key; use text, bool, int32, int64, uuid, date, time or timestamp", c.Name, c.Type)
		}
	}
	if cm.KeepsDeleted() {
		mb.deleted = len(m.Columns) - 1
	}
	mb.finisher()
	for i := range cm.Handlers {
		mb.handler(&cm.Handlers[i])
	}
}

// rowColumns are the columns that row has.
func rowColumns(cm *contract.Model, m *fold.Model) []expr.Column {
	out := make([]expr.Column, len(cm.Columns))
	for i := range cm.Columns {
		out[i] = expr.Column{Name: m.Columns[i].Name, Type: m.Columns[i].Type, NotNull: m.Columns[i].Rules.NotNull || slices.Contains(m.Key, i)}
	}
	return out
}

// modelBuilder compiles the parts of one model.
type modelBuilder struct {
	*builder
	index   int
	spec    *contract.Model
	model   *fold.Model
	path    string
	deleted int
	row     []expr.Column
}

// column finds one of the model's own columns; -1 is none.
func (b *modelBuilder) column(name string) int {
	return slices.IndexFunc(b.row, func(c expr.Column) bool { return c.Name == name })
}

// operand compiles an expression for a column; o says the rest.
func (b *modelBuilder) operand(o operand, src string, opts expr.Options) (operand, bool) {
	o.prg = b.compile(o.path, src, opts)
	if o.prg == nil {
		return o, false
	}
	o.column = &b.model.Columns[o.index]
	o.typ = o.column.Type
	if o.op == fold.OpAppend {
		o.typ = o.typ.Elem()
	}
	o.injective = o.role == roleKey || o.role == roleMatch && slices.Contains(b.model.Key, o.index)
	// contract/compile takes it for the message key itself.
	o.spelled = o.injective && o.prg.Canonical() == "int(key)"
	o.ruled = o.hasRules()
	o.loads = o.prg.Uses("row")
	if err := o.prg.CheckColumn(o.typ); err != nil {
		b.errorf(o.path, "%w", err)
		return o, false
	}
	if o.prg.IsConstant() {
		if bad := o.settle(); bad != nil {
			b.errorf(o.path, "%s", bad.Message)
			return o, false
		}
	}
	return o, true
}
