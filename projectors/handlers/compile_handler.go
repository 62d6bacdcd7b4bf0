// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"
	"maps"
	"slices"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/expr"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
)

// handlerBuilder compiles one handler.
type handlerBuilder struct {
	*modelBuilder
	spec  *contract.Handler
	topic *topic
	h     *handler
	// blind and loading are the options of expressions that cannot and can read row.
	blind, loading expr.Options
	// used names the operation on each column.
	used map[int]string
}

func (b *modelBuilder) handler(ch *contract.Handler) {
	path := fmt.Sprintf("%s.handlers[%s]", b.path, ch.Name)
	t, ok := b.program.topics[ch.Topic]
	if !ok {
		b.errorf(path+".topic", "the projection has no topic %s", ch.Topic)
		return
	}
	// A delete of what is not there has nothing to ignore; with a version it leaves a tombstone.
	h := &handler{
		program: b.program, model: b.index, path: path, deleted: b.deleted,
		delete: ch.Delete, ignoreAbsent: ch.OnAbsent == "Ignore" && (!ch.Delete || ch.VersionBy == nil),
	}
	for _, g := range b.spec.Versions {
		h.versions = append(h.versions, b.column(g.Column))
	}
	hb := &handlerBuilder{modelBuilder: b, spec: ch, topic: t, h: h, used: map[int]string{}}
	hb.blind.Members = &t.members
	if ch.Tombstone {
		hb.blind.Scope = expr.ScopeTombstone
	}
	hb.blind.Item = ch.ForEach != ""
	hb.loading = hb.blind
	hb.loading.Row = b.row
	hb.events()
	hb.guards()
	hb.target()
	hb.version()
	hb.changes()
	hb.settle()
}

// events puts the handler where its events find it.
func (b *handlerBuilder) events() {
	ch := b.spec
	if len(ch.Events) > 0 && (ch.Default || ch.Tombstone) || ch.Default && ch.Tombstone {
		b.errorf(b.h.path, "give one of events, default and tombstone")
	}
	if len(ch.Events) > 0 && !b.topic.typed() {
		b.errorf(b.h.path+".events", "EventTopic %s does not say where the event type is found: set its eventType", ch.Topic)
	}
	if ch.Tombstone {
		b.topic.tombstones = append(b.topic.tombstones, b.h)
		return
	}
	b.takers[b.topic] = append(b.takers[b.topic], taker{h: b.h, events: patternsOf(ch.Events), fallback: ch.Default})
}

func (b *handlerBuilder) guards() {
	if src := b.spec.ForEach; src != "" {
		o := b.blind
		o.Item = false
		b.h.forEach = b.compile(b.h.path+".forEach", src, o)
		b.topic.needs(b.h.forEach)
	}
	if src := b.spec.When; src != "" {
		if b.h.when = b.condition(b.h.path+".when", src, b.loading); b.h.when != nil {
			b.topic.needs(b.h.when)
			b.h.whenLoads = b.h.when.Uses("row")
		}
	}
}

// target compiles key or where.
func (b *handlerBuilder) target() {
	ch := b.spec
	if (len(ch.Where) > 0) == (len(ch.Key) > 0) && len(ch.Where) > 0 {
		b.errorf(b.h.path, "give key (the row to change) or where (all rows that match), not both")
		return
	}
	for _, name := range slices.Sorted(maps.Keys(ch.Where)) {
		at := fmt.Sprintf("%s.where.%s", b.h.path, name)
		i := b.column(name)
		if i < 0 {
			b.errorf(at, "model %s has no column %s", b.model.Name, name)
			continue
		}
		if o, ok := b.operand(operand{path: at, index: i, role: roleMatch}, ch.Where[name], b.blind); ok {
			b.topic.needs(o.prg)
			b.h.where = append(b.h.where, o)
		}
	}
	if len(ch.Where) > 0 {
		return
	}
	for _, k := range b.model.Key {
		name := b.model.Columns[k].Name
		src, ok := ch.Key[name]
		if !ok {
			b.errorf(b.h.path+".key", "key column %s has no expression", name)
			continue
		}
		if o, ok := b.operand(operand{path: fmt.Sprintf("%s.key.%s", b.h.path, name), index: k, role: roleKey}, src, b.blind); ok {
			b.topic.needs(o.prg)
			b.h.key = append(b.h.key, o)
		}
	}
	if len(ch.Key) > len(b.model.Key) {
		b.errorf(b.h.path+".key", "has a column that is not part of the model's key")
	}
}

func (b *handlerBuilder) version() {
	v := b.spec.VersionBy
	if v == nil {
		return
	}
	at := fmt.Sprintf("%s.versionBy.%s", b.h.path, v.Column)
	i := b.column(v.Column)
	switch {
	case i < 0:
		b.errorf(at, "model %s has no column %s", b.model.Name, v.Column)
		return
	case !slices.ContainsFunc(b.modelBuilder.spec.Versions, func(g contract.VersionGroup) bool { return g.Column == v.Column }):
		b.errorf(at, "%s is no version column: name it in versions of model %s", v.Column, b.model.Name)
		return
	}
	if o, ok := b.operand(operand{path: at, index: i, role: roleVersion}, v.Value, b.blind); ok {
		b.topic.needs(o.prg)
		b.h.version = &o
	}
}

// operations are those of a handler, in the order in which messages name them.
var operations = []struct {
	field string
	op    fold.Op
	exprs func(*contract.Handler) map[string]string
	can   func(value.Type) bool
}{
	{"set", fold.OpSet, func(h *contract.Handler) map[string]string { return h.Set }, anyType},
	{"setOnce", fold.OpSetOnce, func(h *contract.Handler) map[string]string { return h.SetOnce }, anyType},
	{"add", fold.OpAdd, func(h *contract.Handler) map[string]string { return h.Add }, value.Type.CanAdd},
	{"min", fold.OpMin, func(h *contract.Handler) map[string]string { return h.Min }, value.Type.CanMin},
	{"max", fold.OpMax, func(h *contract.Handler) map[string]string { return h.Max }, value.Type.CanMax},
	{"append", fold.OpAppend, func(h *contract.Handler) map[string]string { return h.Append }, value.Type.CanAppend},
	{"merge", fold.OpMerge, func(h *contract.Handler) map[string]string { return h.Merge }, value.Type.CanMerge},
}

func anyType(value.Type) bool { return true }

func (b *handlerBuilder) changes() {
	ch := b.spec
	for i := range operations {
		g := &operations[i]
		exprs := g.exprs(ch)
		for _, name := range slices.Sorted(maps.Keys(exprs)) {
			at := fmt.Sprintf("%s.%s.%s", b.h.path, g.field, name)
			i, ok := b.writable(at, g.field, name)
			if !ok {
				continue
			}
			switch c := &b.model.Columns[i]; {
			case !g.can(c.Type):
				b.errorf(at, "%s does not work on column %s of type %s", g.field, name, c.Type)
				continue
			case g.op == fold.OpSetOnce && c.Default != nil:
				b.errorf(at, "column %s has a default, so that it is never without a value: remove the default, or use set", name)
				continue
			}
			if o, ok := b.operand(operand{path: at, index: i, op: g.op}, exprs[name], b.loading); ok {
				b.topic.needs(o.prg)
				b.h.changes = append(b.h.changes, o)
			}
		}
	}
	for _, name := range ch.Unset {
		at := b.h.path + ".unset"
		i, ok := b.writable(at, "unset", name)
		if !ok {
			continue
		}
		c := &b.model.Columns[i]
		if c.Rules.NotNull {
			b.errorf(at, "column %s is notNull: set it to a value", name)
			continue
		}
		b.h.changes = append(b.h.changes, operand{path: at, index: i, op: fold.OpSet, column: c, typ: c.Type, isConstant: true})
	}
	if b.h.delete && len(b.used) > 0 {
		b.errorf(b.h.path+".delete", "a handler that deletes the row changes no column of it")
	}
	slices.SortFunc(b.h.changes, func(x, y operand) int { return x.index - y.index })
}

// writable finds a column that an operation may write.
func (b *handlerBuilder) writable(at, field, name string) (int, bool) {
	i := b.column(name)
	switch {
	case i < 0:
		b.errorf(at, "model %s has no column %s", b.model.Name, name)
	case slices.Contains(b.model.Key, i):
		b.errorf(at, "column %s is part of the key; its value comes from key", name)
	case b.used[i] != "":
		b.errorf(at, "column %s is in %s as well; a handler changes a column once", name, b.used[i])
	case b.modelBuilder.spec.Columns[i].Generated != "":
		b.errorf(at, "column %s is generated; no handler writes it", name)
	case slices.ContainsFunc(b.modelBuilder.spec.Versions, func(g contract.VersionGroup) bool { return g.Column == name }):
		b.errorf(at, "column %s is a version column; versionBy alone writes it", name)
	default:
		b.used[i] = field
		return i, true
	}
	return 0, false
}

// settle decides what is loading, and what its loaders have to keep.
func (b *handlerBuilder) settle() {
	h := b.h
	h.loads = h.version != nil || h.whenLoads || h.deleted >= 0
	if h.whenLoads {
		h.reads.add(h.when)
	}
	for i := range h.changes {
		if o := &h.changes[i]; o.loads {
			h.loads = true
			h.reads.add(o.prg)
		}
	}
}
