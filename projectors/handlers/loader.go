// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"bytes"
	"slices"

	"github.com/valyala/fastjson"

	"github.com/projectionist-dev/projectionist/contract/expr"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
)

// loader is a loading effect of one handler. Whatever does not read row was
// evaluated with the event; of the event it keeps only what the rest reads. It is
// immutable, so that it may be called from several goroutines at once.
type loader struct {
	h   *handler
	key []value.Value
	// version is nil without versionBy.
	version value.Value
	// operands are those of h.changes, nil where they read row.
	operands []value.Value
	// failed holds, by change, why an operand has no value, where the condition may
	// yet say that it is not asked for; nil where all have one.
	failed []*EventError
	// excerpt is nil where no expression reads both row and event.
	excerpt *excerpt
	// item is JSON text; index counts from 0.
	item  []byte
	index int64
	size  int
}

var _ fold.Loader = (*loader)(nil)

// loaderBytes is the size of a loader without what it points to; operandBytes that
// of an operand with a value of the usual size.
const (
	loaderBytes  = 168
	operandBytes = 40
)

// load makes a loading effect of the handler.
func (e *Evaluator) load(h *handler, eff *fold.Effect) *EventError {
	l := &loader{h: h, key: take(&e.kept, len(eff.Key)), size: loaderBytes}
	copy(l.key, eff.Key)
	if h.version != nil {
		v, err := h.version.eval(&e.act)
		if err != nil {
			return err
		}
		l.version = v
		l.size += operandBytes + sizeOf(v)
	}
	l.operands = take(&e.kept, len(h.changes))
	l.size += operandBytes * len(h.changes)
	for i := range h.changes {
		o := &h.changes[i]
		if o.loads {
			continue
		}
		v, err := o.eval(&e.act)
		switch {
		case err == nil:
			l.operands[i] = v
			if !o.isConstant {
				l.size += sizeOf(v)
			}
		case h.whenLoads:
			if l.failed == nil {
				l.failed = make([]*EventError, len(h.changes))
				l.size += 8 * len(h.changes)
			}
			l.failed[i] = err
			l.size += 64 + len(err.Message)
		default:
			return err
		}
	}
	if h.reads.any() {
		// One excerpt serves all elements of a forEach, and the first counts it.
		if e.excerpt == nil {
			e.excerpt = h.reads.take(&e.act)
			l.size += e.excerpt.bytes()
		}
		l.excerpt, l.index = e.excerpt, e.act.Index
		if h.reads.item && e.act.Item != nil {
			l.item = appendJSON(nil, e.act.Item)
			l.size += cap(l.item)
		}
	}
	eff.Load = l
	return nil
}

// Bytes implements fold.Loader.
func (l *loader) Bytes() int { return l.size }

// sizeOf estimates what a value points to.
func sizeOf(v value.Value) int {
	switch x := v.(type) {
	case string:
		return len(x)
	case value.JSON:
		return len(x)
	case []byte:
		return len(x)
	case []value.Value:
		n := 24
		for _, e := range x {
			n += operandBytes + sizeOf(e)
		}
		return n
	}
	return 0
}

// rowEvaluator is what expressions over row are evaluated with.
type rowEvaluator struct {
	act         expr.Activation
	event, item fastjson.Parser
}

// rowEvaluator borrows one; give it back by rows.Put.
func (p *Program) rowEvaluator(row []value.Value) *rowEvaluator {
	r := p.rows.Get().(*rowEvaluator)
	r.act.Row = row
	return r
}

// maxKept is the largest excerpt whose parse tree is kept for the next one.
const maxKept = 64 << 10

// release forgets the row and the event, which must not outlive their batch, and gives r back.
func (p *Program) release(r *rowEvaluator) {
	a := &r.act
	a.Row, a.Event, a.Key, a.Headers, a.Item, a.Index = nil, nil, nil, nil, nil, 0
	a.Topic, a.Type, a.ID = "", "", ""
	p.rows.Put(r)
}

// recall puts what the loader kept into r.
func (l *loader) recall(r *rowEvaluator) error {
	x, a := l.excerpt, &r.act
	if x == nil {
		return nil
	}
	var err error
	if x.event != nil {
		if a.Event, err = parse(&r.event, x.event); err != nil {
			return err
		}
	}
	if l.item != nil {
		if a.Item, err = parse(&r.item, l.item); err != nil {
			return err
		}
	}
	a.Escaped = bytes.IndexByte(x.event, '\\') >= 0 || bytes.IndexByte(l.item, '\\') >= 0
	a.Key, a.Headers, a.Index = x.key, x.headers, l.index
	a.Topic, a.Partition, a.Offset, a.Time, a.Type, a.ID = x.topic, x.partition, x.offset, x.time, x.typ, x.id
	return nil
}

func parse(p *fastjson.Parser, b []byte) (*fastjson.Value, error) {
	if len(b) > maxKept {
		*p = fastjson.Parser{}
	}
	return p.ParseBytes(b)
}

// Load implements fold.Loader (ADR 0014).
func (l *loader) Load(row []value.Value) (fold.Step, error) {
	h := l.h
	m := &h.program.models[h.model]
	deleted := isDeleted(h.deleted, row)
	absent := row == nil || deleted
	if absent && h.ignoreAbsent {
		return fold.Step{Skip: true}, nil
	}
	if h.version != nil && row != nil && value.Compare(l.version, row[h.version.index]) < 0 {
		return fold.Step{Skip: true}, nil
	}
	if deleted && h.where != nil {
		return fold.Step{Skip: true}, nil // a fan-out: what is deleted matches nothing
	}
	seen := row
	if absent {
		seen = defaults(m, l.key)
	}
	changes, ok, err := l.evaluate(seen)
	switch {
	case err != nil:
		return fold.Step{}, &fold.RowError{Reason: err.Reason, Path: err.Path, Message: err.Message}
	case !ok:
		return fold.Step{Skip: true}, nil
	case h.delete && h.version == nil:
		return fold.Step{Delete: !absent, Skip: absent}, nil
	case h.delete:
		// What is left of the row says until which version it is deleted.
		return fold.Step{Changes: h.reset(m, append(changes, fold.Change{Column: h.deleted, Op: fold.OpSet, Operand: true}))}, nil
	case deleted:
		return fold.Step{Changes: h.reset(m, changes)}, nil
	}
	return fold.Step{Changes: changes}, nil
}

// evaluate gives the changes; false where the condition says no.
func (l *loader) evaluate(row []value.Value) ([]fold.Change, bool, *EventError) {
	h := l.h
	r := h.program.rowEvaluator(row)
	defer h.program.release(r)
	if err := l.recall(r); err != nil {
		return nil, false, handlerError(h.path, err)
	}
	if h.whenLoads {
		ok, err := h.when.EvalBool(&r.act)
		if err != nil {
			return nil, false, handlerError(h.path+".when", err)
		}
		if !ok {
			return nil, false, nil
		}
	}
	changes := make([]fold.Change, 0, len(h.changes)+1)
	if h.version != nil {
		changes = append(changes, fold.Change{Column: h.version.index, Op: fold.OpSet, Operand: l.version})
	}
	for i := range h.changes {
		o := &h.changes[i]
		if l.failed != nil && l.failed[i] != nil {
			return nil, false, l.failed[i]
		}
		v := l.operands[i]
		if o.loads {
			var err *EventError
			if v, err = o.eval(&r.act); err != nil {
				return nil, false, err
			}
		}
		changes = append(changes, fold.Change{Column: o.index, Op: o.op, Operand: v})
	}
	return changes, true, nil
}

// reset makes the columns outside the key those of a new row before the changes.
// The row's versions stay: an older event must not take effect after all.
func (h *handler) reset(m *fold.Model, changes []fold.Change) []fold.Change {
	out := make([]fold.Change, 0, len(m.Columns)+len(changes))
	for i := range m.Columns {
		set := slices.ContainsFunc(changes, func(c fold.Change) bool { return c.Column == i && c.Op == fold.OpSet })
		if !set && !slices.Contains(m.Key, i) && !slices.Contains(h.versions, i) {
			out = append(out, fold.Change{Column: i, Op: fold.OpSet, Operand: m.Columns[i].Default})
		}
	}
	return append(out, changes...)
}

// defaults is the row that a handler sees where there is none.
func defaults(m *fold.Model, key []value.Value) []value.Value {
	out := make([]value.Value, len(m.Columns))
	for i := range m.Columns {
		out[i] = m.Columns[i].Default
	}
	for i, k := range m.Key {
		out[k] = key[i]
	}
	return out
}
