// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/cockroachdb/apd/v3"

	"github.com/projectionist-dev/projectionist/contract/expr"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/codecs"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
)

// Reasons of an EventError, as conditions show them.
const (
	// ReasonDecodeError says that the payload cannot be read.
	ReasonDecodeError = "DecodeError"
	// ReasonHandlerError says that an expression has no value, or not one of its column's type.
	ReasonHandlerError = "HandlerError"
	// ReasonKeyMismatch says that the message key is not what keyedBy says.
	ReasonKeyMismatch = "KeyMismatch"
)

// EventError says why an event cannot be applied. Nothing of it was applied.
type EventError struct {
	// Reason is one of the Reasons above.
	Reason string
	// Path is the field path of the expression concerned:
	// models[order_summary].handlers[line-added].add.total, topics[orders].keyedBy.
	Path string
	// Message says what is wrong, and never holds a value.
	Message string
}

func (e *EventError) Error() string {
	if e.Path == "" {
		return e.Reason + ": " + e.Message
	}
	return e.Reason + ": " + e.Path + ": " + e.Message
}

// Result is what became of an event.
type Result uint8

const (
	// Applied says that at least one handler made an effect.
	Applied Result = iota + 1
	// IgnoredType says that no handler takes the event's type.
	IgnoredType
	// IgnoredWhen says that the conditions of all handlers that take it are false.
	IgnoredWhen
	// IgnoredTombstone says that the record has a null value.
	IgnoredTombstone
)

// String is the name as metrics show it.
func (r Result) String() string {
	switch r {
	case Applied:
		return "applied"
	case IgnoredType:
		return "ignored-type"
	case IgnoredWhen:
		return "ignored-when"
	case IgnoredTombstone:
		return "ignored-tombstone"
	}
	return "none"
}

// Outcome is what Handle tells beside the effects.
type Outcome struct {
	Result Result
	// Time is the event's time: by the topic's eventTime for an event that was
	// applied, the record's otherwise.
	Time time.Time
}

// Evaluator evaluates a Program's expressions. It belongs to one goroutine.
type Evaluator struct {
	program  *Program
	decoders map[*topic]codecs.Decoder
	act      expr.Activation
	headers  []expr.Header
	// last is the topic of the last record: a worker sees one topic many times.
	last *topic
	// changes and values are carved up for effects; full ones are left to them.
	changes []fold.Change
	values  []value.Value
	observe func(handler string, effect *fold.Effect)
}

// slab is how many changes or values are allocated at once.
const slab = 512

// NewEvaluator makes an Evaluator.
func (p *Program) NewEvaluator() *Evaluator {
	return &Evaluator{program: p, decoders: make(map[*topic]codecs.Decoder, len(p.topics))}
}

// decoder gives the topic's decoder, which Compile has seen to exist.
func (e *Evaluator) decoder(t *topic) (codecs.Decoder, error) {
	if d, ok := e.decoders[t]; ok {
		return d, nil
	}
	d, err := codecs.New(t.contract, e.program.schemas)
	e.decoders[t] = d
	return d, err
}

// Handle appends the effects of one record to out, in the order of the
// contract's models and handlers. On an error (an *EventError) it appends
// nothing. The effects stay valid after the record's buffer is released.
func (e *Evaluator) Handle(tp event.TopicPartition, rec *event.Record, out []fold.Effect) ([]fold.Effect, Outcome, error) {
	n := len(out)
	e.act.Type = ""
	out, o, err := e.handle(tp, rec, out)
	if err != nil {
		return out[:n], Outcome{}, err
	}
	return out, o, nil
}

func (e *Evaluator) handle(tp event.TopicPartition, rec *event.Record, out []fold.Effect) ([]fold.Effect, Outcome, error) {
	o := Outcome{Time: rec.Time()}
	t := e.last
	if t == nil || t.name != tp.Topic {
		var ok bool
		if t, ok = e.program.topics[tp.Topic]; !ok {
			o.Result = IgnoredType
			return out, o, nil
		}
		e.last = t
	}
	d, err := e.decoder(t)
	if err != nil {
		return out, o, err
	}
	doc, err := d.Decode(rec)
	if err != nil {
		var bad *codecs.DecodeError
		if errors.As(err, &bad) {
			err = &EventError{ReasonDecodeError, "", bad.Message}
		}
		return out, o, err
	}
	if doc.Tombstone {
		o.Result = IgnoredTombstone
		return out, o, nil
	}
	e.activate(t, tp, rec, doc)
	handlers, err := e.handlersOf(t)
	if err != nil {
		return out, o, err
	}
	if len(handlers) == 0 {
		o.Result = IgnoredType
		return out, o, nil
	}
	if err := e.meta(t, &o); err != nil {
		return out, o, err
	}
	o.Result = IgnoredWhen
	for _, h := range handlers {
		if h.when != nil {
			ok, err := h.when.EvalBool(&e.act)
			if err != nil {
				return out, o, &EventError{ReasonHandlerError, h.pathWhen, err.Error()}
			}
			if !ok {
				continue
			}
		}
		if o.Result != Applied {
			if err := e.checkKey(t); err != nil {
				return out, o, err
			}
			o.Result = Applied
		}
		eff, err := e.effect(h)
		if err != nil {
			return out, o, err
		}
		out = append(out, eff)
		if e.observe != nil {
			e.observe(h.path, &eff)
		}
	}
	if o.Result != Applied {
		o.Time = rec.Time()
	}
	return out, o, nil
}

func (e *Evaluator) activate(t *topic, tp event.TopicPartition, rec *event.Record, doc codecs.Doc) {
	a := &e.act
	a.Event, a.Escaped, a.Key = doc.Value, doc.Escaped, doc.Key
	a.Topic, a.Partition = tp.Topic, tp.Partition
	a.Offset = rec.Offset
	a.Time, a.Type, a.ID = rec.Time(), "", ""
	a.Headers = nil
	if t.needsHeaders {
		e.headers = e.headers[:0]
		for _, h := range doc.Headers {
			e.headers = append(e.headers, expr.Header(h))
		}
		a.Headers = e.headers
	}
}

// handlersOf evaluates the event type and looks up who takes it.
func (e *Evaluator) handlersOf(t *topic) ([]*handler, error) {
	if t.typ == nil {
		return t.others, nil
	}
	// The type aliases the event until it is known to be wanted: most topics carry
	// many types that a projection ignores.
	s, err := t.typ.EvalText(&e.act)
	if err != nil {
		return nil, &EventError{ReasonHandlerError, t.pathType, err.Error()}
	}
	e.act.Type = s
	if hs, ok := t.byType[s]; ok {
		return hs, nil
	}
	return t.others, nil
}

// meta evaluates the event's time and, where it is read, its id.
func (e *Evaluator) meta(t *topic, o *Outcome) error {
	if t.time != nil {
		v, err := t.time.Convert(&e.act, timestampType)
		if err == nil && v == nil {
			err = fmt.Errorf("%s is null, expected a timestamp", t.time.Source())
		}
		if err != nil {
			return &EventError{ReasonHandlerError, t.pathTime, err.Error()}
		}
		o.Time = v.(time.Time)
		e.act.Time = o.Time
	}
	if t.id != nil && t.needsID {
		v, err := t.id.Eval(&e.act)
		if err == nil {
			e.act.ID, err = textForm(v)
		}
		if err != nil {
			return &EventError{ReasonHandlerError, t.pathID, err.Error()}
		}
	}
	return nil
}

var timestampType = value.Type{Kind: value.Timestamp}

// checkKey compares the message key with keyedBy.
func (e *Evaluator) checkKey(t *topic) error {
	if t.keyedBy == nil {
		return nil
	}
	mismatch := func(format string, args ...any) error {
		return &EventError{ReasonKeyMismatch, t.pathKeyedBy, fmt.Sprintf(format, args...)}
	}
	if e.act.Key == nil {
		return mismatch("the message key is null, and the topic is declared to be keyed by %s", t.keyedBy.Source())
	}
	ok, err := t.keyedBy.EqualsKey(&e.act)
	if err != nil {
		return mismatch("%s", err.Error())
	}
	if !ok {
		return mismatch("the message key is not the text of %s: correct keyedBy, or the producer", t.keyedBy.Source())
	}
	return nil
}

// textForm is the text of an id or a key: of a string itself, of a number, bool
// or timestamp its canonical text. It is injective for each type.
func textForm(v any) (string, error) {
	switch x := v.(type) {
	case string:
		return x, nil
	case int64:
		return strconv.FormatInt(x, 10), nil
	case bool:
		return strconv.FormatBool(x), nil
	case time.Time:
		return x.UTC().Format(time.RFC3339Nano), nil
	case *apd.Decimal:
		return "", errors.New("a number with a fraction cannot be an id: write string(...)")
	default:
		return "", fmt.Errorf("the result is %s, expected a string, an int, a bool or a timestamp", value.Describe(v))
	}
}

// effect evaluates a handler's key and operands.
func (e *Evaluator) effect(h *handler) (fold.Effect, error) {
	eff := fold.Effect{Model: h.model, Delete: h.delete, IgnoreAbsent: h.ignoreAbsent}
	if len(e.values)+len(h.key) > cap(e.values) {
		e.values = make([]value.Value, 0, max(slab, len(h.key)))
	}
	if len(e.changes)+len(h.changes) > cap(e.changes) {
		e.changes = make([]fold.Change, 0, max(slab, len(h.changes)))
	}
	first := len(e.values)
	for i := range h.key {
		o := &h.key[i]
		v := o.constant
		if !o.isConstant {
			var err error
			if v, err = o.prg.ConvertKey(&e.act, o.typ); err != nil {
				return eff, &EventError{ReasonHandlerError, o.path, err.Error()}
			}
		}
		e.values = append(e.values, v)
	}
	eff.Key = e.values[first:len(e.values):len(e.values)]
	first = len(e.changes)
	for i := range h.changes {
		o := &h.changes[i]
		v := o.constant
		if !o.isConstant {
			var err error
			if v, err = o.prg.Convert(&e.act, o.typ); err != nil {
				return eff, &EventError{ReasonHandlerError, o.path, err.Error()}
			}
		}
		e.changes = append(e.changes, fold.Change{Column: o.column, Op: o.op, Operand: v})
	}
	eff.Changes = e.changes[first:len(e.changes):len(e.changes)]
	return eff, nil
}
