// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/expr"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/codecs"
	"github.com/projectionist-dev/projectionist/projectors/fold"
)

// Program is a compiled contract. It is safe for concurrent use.
type Program struct {
	contract *contract.Contract
	schemas  codecs.Schemas
	models   []fold.Model
	topics   map[string]*topic
}

// Models gives the shapes of the tables, in the contract's order: Effect.Model
// is an index into it. It must not be modified.
func (p *Program) Models() []fold.Model { return p.models }

// topic is what happens to the events of one topic.
type topic struct {
	contract                   *contract.Topic
	name                       string
	keyedBy, typ, id, time     *expr.Program
	pathKeyedBy, pathType      string
	pathID, pathTime, pathBody string
	// byType holds the handlers of each event type that is named, in the order of
	// the contract, those that take every type among them; others the latter alone.
	byType map[string][]*handler
	others []*handler
	// needsID, needsHeaders: evaluated only where an expression reads them.
	needsID, needsHeaders bool
}

type handler struct {
	model        int
	path         string
	when         *expr.Program
	pathWhen     string
	delete       bool
	ignoreAbsent bool
	key          []operand
	changes      []operand
}

// operand is one expression of a handler.
type operand struct {
	path   string
	prg    *expr.Program
	column int
	op     fold.Op
	typ    value.Type
	// constant holds the converted value where isConstant.
	constant   value.Value
	isConstant bool
}

// Compile compiles every expression of a contract. Its errors name the field
// path; all of them are joined. Schemas may be nil where no topic has a schema registry.
func Compile(c *contract.Contract, schemas codecs.Schemas) (*Program, error) {
	p := &Program{contract: c, schemas: schemas, topics: make(map[string]*topic, len(c.Topics))}
	b := &builder{program: p}
	for i := range c.Topics {
		b.topic(&c.Topics[i])
	}
	for i := range c.Models {
		b.model(i, &c.Models[i])
	}
	for _, t := range p.topics {
		b.dispatch(t)
	}
	if len(b.errs) > 0 {
		return nil, errors.Join(b.errs...)
	}
	return p, nil
}

// builder collects errors, so that a user sees all of them at once.
type builder struct {
	program *Program
	errs    []error
	// handlers of each topic with their event types, in the contract's order.
	handlers []declared
}

type declared struct {
	topic  string
	events []string
	h      *handler
}

func (b *builder) errorf(path, format string, args ...any) {
	b.errs = append(b.errs, fmt.Errorf("%s: "+format, append([]any{path}, args...)...))
}

func (b *builder) compile(path, src string, scope expr.Scope) *expr.Program {
	prg, err := expr.Compile(src, expr.Options{Scope: scope})
	if err != nil {
		b.errorf(path, "%w", err)
		return nil
	}
	return prg
}

func (b *builder) topic(ct *contract.Topic) {
	at := func(field string) string { return fmt.Sprintf("topics[%s].%s", ct.Name, field) }
	t := &topic{
		name: ct.Name, pathKeyedBy: at("keyedBy"), pathType: at("eventType"), pathID: at("eventID"), pathTime: at("eventTime"),
		pathBody: at("format"), byType: map[string][]*handler{},
	}
	if _, err := codecs.New(ct, b.program.schemas); err != nil {
		b.errs = append(b.errs, err)
	}
	t.contract = ct
	optional := func(path, src string) *expr.Program {
		if src == "" {
			return nil
		}
		prg := b.compile(path, src, expr.ScopeTopic)
		t.needsHeaders = t.needsHeaders || prg != nil && prg.Uses("headers")
		return prg
	}
	t.keyedBy = optional(t.pathKeyedBy, ct.KeyedBy)
	t.typ = optional(t.pathType, ct.EventType)
	t.id = optional(t.pathID, ct.EventID)
	t.time = optional(t.pathTime, ct.EventTime)
	if _, ok := b.program.topics[ct.Name]; ok {
		b.errorf(fmt.Sprintf("topics[%s]", ct.Name), "declared twice")
	}
	b.program.topics[ct.Name] = t
}

func (b *builder) model(index int, cm *contract.Model) {
	path := fmt.Sprintf("models[%s]", cm.Name)
	m := fold.Model{Name: cm.Name}
	columns := map[string]int{}
	for i, cc := range cm.Columns {
		at := fmt.Sprintf("%s.columns[%s]", path, cc.Name)
		col := fold.Column{Name: cc.Name}
		var err error
		if col.Type, err = value.Parse(cc.Type); err != nil {
			b.errorf(at+".type", "%w", err)
		} else if cc.Default != nil {
			if col.Default, err = col.Type.ParseText(*cc.Default); err != nil {
				b.errorf(at+".default", "the default is %w", err)
			}
		}
		columns[cc.Name] = i
		m.Columns = append(m.Columns, col)
	}
	for _, k := range cm.Key {
		i, ok := columns[k]
		switch {
		case !ok:
			b.errorf(path+".key", "there is no column %s", k)
			continue
		case m.Columns[i].Type.Kind != 0 && !m.Columns[i].Type.CanKey():
			b.errorf(path+".key", "column %s is %s, which cannot be part of a key; use text, bool, int32, int64, uuid, date or timestamp", k, m.Columns[i].Type)
		}
		m.Key = append(m.Key, i)
	}
	if len(cm.Key) == 0 {
		b.errorf(path+".key", "a model needs a key")
	}
	b.program.models = append(b.program.models, m)
	for i := range cm.Handlers {
		b.handler(index, &m, columns, path, &cm.Handlers[i])
	}
}

func (b *builder) handler(index int, m *fold.Model, columns map[string]int, modelPath string, ch *contract.Handler) {
	path := fmt.Sprintf("%s.handlers[%s]", modelPath, ch.Name)
	h := &handler{model: index, path: path, pathWhen: path + ".when", delete: ch.Delete, ignoreAbsent: ch.OnAbsent == "Ignore"}
	t, ok := b.program.topics[ch.Topic]
	if !ok {
		b.errorf(path+".topic", "the projection has no topic %s", ch.Topic)
		return
	}
	if ch.When != "" {
		h.when = b.compile(h.pathWhen, ch.When, expr.ScopeHandler)
		if h.when != nil {
			if ty := h.when.Type(); ty != expr.TypeBool && ty != expr.TypeDyn {
				b.errorf(h.pathWhen, "a condition is a bool, and this is %s", ty)
			}
			t.needs(h.when)
		}
	}
	if len(ch.Events) > 0 && t.typ == nil {
		b.errorf(path+".events", "EventTopic %s does not say where the event type is found: set its eventType", ch.Topic)
	}
	for _, k := range m.Key {
		name := m.Columns[k].Name
		src, ok := ch.Key[name]
		if !ok {
			b.errorf(path+".key", "key column %s has no expression", name)
			continue
		}
		if o, ok := b.operand(t, fmt.Sprintf("%s.key.%s", path, name), src, k, m.Columns[k].Type, 0); ok {
			h.key = append(h.key, o)
		}
	}
	if len(ch.Key) > len(m.Key) {
		b.errorf(path+".key", "has a column that is not part of the model's key")
	}
	used := map[string]string{}
	for _, g := range []struct {
		field string
		op    fold.Op
		exprs map[string]string
		can   func(value.Type) bool
	}{
		{"set", fold.OpSet, ch.Set, func(value.Type) bool { return true }},
		{"add", fold.OpAdd, ch.Add, value.Type.CanAdd},
		{"max", fold.OpMax, ch.Max, value.Type.CanMax},
		{"append", fold.OpAppend, ch.Append, value.Type.CanAppend},
	} {
		for _, name := range slices.Sorted(maps.Keys(g.exprs)) {
			at := fmt.Sprintf("%s.%s.%s", path, g.field, name)
			i, ok := columns[name]
			switch {
			case !ok:
				b.errorf(at, "model %s has no column %s", m.Name, name)
				continue
			case slices.Contains(m.Key, i):
				b.errorf(at, "column %s is part of the key; its value comes from key", name)
				continue
			case used[name] != "":
				b.errorf(at, "column %s is in %s as well; a handler changes a column once", name, used[name])
				continue
			case m.Columns[i].Type.Kind == 0:
				continue // reported with the column
			case !g.can(m.Columns[i].Type):
				b.errorf(at, "%s does not work on column %s of type %s", g.field, name, m.Columns[i].Type)
				continue
			}
			used[name] = g.field
			typ := m.Columns[i].Type
			if g.op == fold.OpAppend {
				typ = typ.Elem()
			}
			if o, ok := b.operand(t, at, g.exprs[name], i, typ, g.op); ok {
				h.changes = append(h.changes, o)
			}
		}
	}
	if h.delete && len(used) > 0 {
		b.errorf(path+".delete", "a handler that deletes the row changes no column of it")
	}
	slices.SortFunc(h.changes, func(x, y operand) int { return x.column - y.column })
	b.handlers = append(b.handlers, declared{ch.Topic, ch.Events, h})
}

// operand compiles one expression; op 0 is a key column.
func (b *builder) operand(t *topic, path, src string, column int, typ value.Type, op fold.Op) (operand, bool) {
	prg := b.compile(path, src, expr.ScopeHandler)
	if prg == nil || typ.Kind == 0 {
		return operand{}, false
	}
	if err := prg.CheckColumn(typ); err != nil {
		b.errorf(path, "%w", err)
		return operand{}, false
	}
	o := operand{path: path, prg: prg, column: column, op: op, typ: typ}
	if prg.IsConstant() {
		convert := typ.Convert
		if op == 0 {
			convert = typ.ConvertKey
		}
		v, err := convert(prg.Constant())
		if err != nil {
			b.errorf(path, "%s is %w", src, err)
			return operand{}, false
		}
		o.constant, o.isConstant = v, true
	}
	t.needs(prg)
	return o, true
}

func (t *topic) needs(prg *expr.Program) {
	t.needsID = t.needsID || prg.Uses("meta.id")
	t.needsHeaders = t.needsHeaders || prg.Uses("headers")
}

// dispatch builds the lists that Handle looks up.
func (b *builder) dispatch(t *topic) {
	for _, d := range b.handlers {
		for _, e := range d.events {
			if d.topic == t.name {
				t.byType[e] = nil
			}
		}
	}
	for _, d := range b.handlers {
		if d.topic != t.name {
			continue
		}
		if len(d.events) == 0 {
			t.others = append(t.others, d.h)
		}
		for e := range t.byType {
			if len(d.events) == 0 || slices.Contains(d.events, e) {
				t.byType[e] = append(t.byType[e], d.h)
			}
		}
	}
}
