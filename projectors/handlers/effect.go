// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"

	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
)

// run appends the effects of one handler; taken tells whether it took the event.
// The effects of the event begin at first. Unless keyed, the message key is
// checked before the first of them.
func (e *Evaluator) run(t *topic, h *handler, keyed bool, first int, out []fold.Effect) (_ []fold.Effect, taken bool, _ *EventError) {
	e.excerpt = nil
	if h.forEach == nil {
		return e.element(t, h, keyed, first, out)
	}
	if err := h.forEach.Elements(&e.act, &e.elements); err != nil {
		bad := handlerError(h.path+".forEach", err)
		if e.elements.TooMany {
			bad.Reason = ReasonTooManyEffects
		}
		return out, false, bad
	}
	defer func() { e.act.Item, e.act.Index = nil, 0 }()
	for i, item := range e.elements.Items {
		e.act.Item, e.act.Index = item, int64(i)
		var took bool
		var err *EventError
		if out, took, err = e.element(t, h, keyed || taken, first, out); err != nil {
			return out, taken, err
		}
		taken = taken || took
	}
	return out, taken, nil
}

// element appends the effect of a handler, of one element where it has forEach.
func (e *Evaluator) element(t *topic, h *handler, keyed bool, first int, out []fold.Effect) (_ []fold.Effect, taken bool, _ *EventError) {
	if h.when != nil && !h.whenLoads {
		ok, err := h.when.EvalBool(&e.act)
		if err != nil {
			return out, false, handlerError(h.path+".when", err)
		}
		if !ok {
			return out, false, nil
		}
	}
	if !keyed {
		if err := e.checkKey(t); err != nil {
			return out, false, err
		}
	}
	if len(out)-first >= MaxEffects {
		return out, false, &EventError{ReasonTooManyEffects, h.path, fmt.Sprintf("the event makes more than %d effects: split it, or filter the elements in forEach", MaxEffects)}
	}
	eff := fold.Effect{Model: h.model, IgnoreAbsent: h.ignoreAbsent}
	if h.where != nil {
		if ok, err := e.match(h, &eff); err != nil || !ok {
			return out, err == nil, err
		}
	} else if err := e.key(h, &eff); err != nil {
		return out, false, err
	}
	var err *EventError
	if h.loads {
		err = e.load(h, &eff)
	} else {
		eff.Delete = h.delete
		err = e.change(h, &eff)
	}
	if err != nil {
		return out, false, err
	}
	out = append(out, eff)
	if e.observe != nil {
		e.observe(h.path, &out[len(out)-1])
	}
	return out, true, nil
}

// take cuts room for n values from a slab; one that is full is left to those who have its values.
func take(from *[]value.Value, n int) []value.Value {
	s := *from
	if len(s)+n > cap(s) {
		s = make([]value.Value, 0, max(slab, n))
	}
	at := len(s)
	*from = s[:at+n]
	return s[at : at+n : at+n]
}

// key evaluates the key of a row.
func (e *Evaluator) key(h *handler, eff *fold.Effect) *EventError {
	eff.Key = take(&e.keys, len(h.key))
	for i := range h.key {
		v, err := h.key[i].eval(&e.act)
		if err != nil {
			return err
		}
		eff.Key[i] = v
	}
	return nil
}

// match evaluates the conditions of a fan-out; false where one is NULL, which no row matches.
func (e *Evaluator) match(h *handler, eff *fold.Effect) (bool, *EventError) {
	eff.Where = make([]fold.Match, len(h.where))
	for i := range h.where {
		o := &h.where[i]
		v, err := o.eval(&e.act)
		if err != nil {
			return false, err
		}
		if v == nil {
			return false, nil
		}
		eff.Where[i] = fold.Match{Column: o.index, Value: v}
	}
	return true, nil
}

// change evaluates the operands of a blind effect.
func (e *Evaluator) change(h *handler, eff *fold.Effect) *EventError {
	n := len(h.changes)
	if len(e.changes)+n > cap(e.changes) {
		e.changes = make([]fold.Change, 0, max(slab, n))
	}
	first := len(e.changes)
	for i := range h.changes {
		o := &h.changes[i]
		v, err := o.eval(&e.act)
		if err != nil {
			e.changes = e.changes[:first]
			return err
		}
		e.changes = append(e.changes, fold.Change{Column: o.index, Op: o.op, Operand: v})
	}
	eff.Changes = e.changes[first:len(e.changes):len(e.changes)]
	return nil
}
