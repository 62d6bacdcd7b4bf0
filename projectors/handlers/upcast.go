// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/valyala/fastjson"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/expr"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/codecs"
)

// upcast turns an old version of an event into a newer one.
type upcast struct {
	path   string
	events patterns
	when   *expr.Program
	set    []member
	unset  [][]string
	typ    string
}

// member is a member of the payload that an upcast gives a value.
type member struct {
	path  string
	names []string
	prg   *expr.Program
}

// jsonType is what the members of a payload are converted to.
var jsonType = value.Type{Kind: value.JSONKind}

func (b *builder) upcast(t *topic, cu *contract.Upcast) upcast {
	u := upcast{path: fmt.Sprintf("topics[%s].upcasts[%s]", t.name, cu.Name), events: patternsOf(cu.Events), typ: cu.Type}
	opts := expr.Options{Scope: expr.ScopeTopic, Members: &t.members}
	if len(cu.Events) > 0 && !t.typed() {
		b.errorf(u.path+".events", "EventTopic %s does not say where the event type is found: set its eventType", t.name)
	}
	if cu.When != "" {
		u.when = b.condition(u.path+".when", cu.When, opts)
		t.needs(u.when)
	}
	names := func(at, text string) []string {
		out := strings.Split(text, ".")
		if slices.Contains(out, "") {
			b.errorf(at, "a member is a name, or names with points between them, such as customer.id")
		}
		return out
	}
	for _, name := range slices.Sorted(maps.Keys(cu.Set)) {
		m := member{path: u.path + ".set." + name}
		m.names = names(m.path, name)
		if m.prg = b.compile(m.path, cu.Set[name], opts); m.prg == nil {
			continue
		}
		if err := m.prg.CheckColumn(jsonType); err != nil {
			b.errorf(m.path, "the expression is a %s, which JSON cannot hold", m.prg.Type())
		}
		t.needs(m.prg)
		u.set = append(u.set, m)
	}
	for _, name := range cu.Unset {
		u.unset = append(u.unset, names(u.path+".unset", name))
	}
	if len(u.set)+len(u.unset) == 0 && u.typ == "" && len(cu.Set) == 0 {
		b.errorf(u.path, "give at least one of set, unset and type")
	}
	return u
}

// upcastMemory holds what one upcast sets, until the next event.
type upcastMemory struct {
	parser fastjson.Parser
	arena  fastjson.Arena
	text   []byte
}

// apply changes a's event and type if the upcast takes it. All of set is
// evaluated before anything changes; unset comes before set, so that a member can
// be replaced by one of its own members.
func (u *upcast) apply(a *expr.Activation, p *upcastMemory) *EventError {
	if len(u.events) > 0 && !u.events.match(a.Type) {
		return nil
	}
	if u.when != nil {
		ok, err := u.when.EvalBool(a)
		if err != nil {
			return handlerError(u.path+".when", err)
		}
		if !ok {
			return nil
		}
	}
	p.arena.Reset()
	values, bad := u.values(a, p)
	if bad != nil {
		return bad
	}
	// What was found in the payload is not what it becomes.
	a.Event, a.Members = a.Payload(), nil
	for _, names := range u.unset {
		remove(a.Event, names)
	}
	for i := range u.set {
		if err := assign(a.Event, u.set[i].names, values[i], &p.arena); err != nil {
			return handlerError(u.set[i].path, err)
		}
	}
	a.Escaped = a.Escaped || len(u.set) > 0
	if u.typ != "" {
		a.Type = u.typ
	}
	return nil
}

// values evaluates set. The results go through their canonical JSON text: it
// parses to exactly what expressions would have read in the payload.
func (u *upcast) values(a *expr.Activation, p *upcastMemory) ([]*fastjson.Value, *EventError) {
	if cap(p.text) > maxKept {
		p.text = nil
	}
	p.text = append(p.text[:0], '[')
	for i := range u.set {
		m := &u.set[i]
		v, err := m.prg.Convert(a, jsonType)
		if err != nil {
			return nil, handlerError(m.path, err)
		}
		if i > 0 {
			p.text = append(p.text, ',')
		}
		if v == nil {
			v = value.JSON("null")
		}
		p.text = append(p.text, v.(value.JSON)...)
	}
	p.text = append(p.text, ']')
	if len(p.text) > codecs.MaxBytes {
		return nil, &EventError{ReasonHandlerError, u.path + ".set", fmt.Sprintf("the results are longer than %d bytes", codecs.MaxBytes)}
	}
	all, err := parse(&p.parser, p.text)
	if err != nil {
		return nil, &EventError{ReasonHandlerError, u.path + ".set", fmt.Sprintf("a result is nested deeper than %d levels", fastjson.MaxDepth-1)}
	}
	return all.GetArray(), nil
}

// assign gives a member a value, making the objects on the way that are missing or null.
func assign(v *fastjson.Value, names []string, to *fastjson.Value, arena *fastjson.Arena) error {
	for i, name := range names {
		if v == nil || v.Type() != fastjson.TypeObject {
			return fmt.Errorf("%s is not an object, and gets a member here", strings.Join(append([]string{"event"}, names[:i]...), "."))
		}
		o := objectOf(v)
		if i == len(names)-1 {
			o.Set(name, to)
			return nil
		}
		if v = o.Get(name); v == nil || v.Type() == fastjson.TypeNull {
			v = arena.NewObject()
			o.Set(name, v)
		}
	}
	return nil
}

// remove removes a member, however often it is there.
func remove(v *fastjson.Value, names []string) {
	for i, name := range names {
		o := objectOf(v)
		if o == nil {
			return
		}
		if i == len(names)-1 {
			for o.Get(name) != nil {
				o.Del(name)
			}
			return
		}
		v = o.Get(name)
	}
}

// objectOf gives an object whose members are found by what their names mean, not
// by how they are spelled; nil of anything else.
func objectOf(v *fastjson.Value) *fastjson.Object {
	o := v.GetObject()
	if o != nil {
		o.Visit(func([]byte, *fastjson.Value) {})
	}
	return o
}
