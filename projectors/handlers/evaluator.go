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

// Evaluator evaluates a Program's expressions. It belongs to one goroutine.
type Evaluator struct {
	program *Program
	lanes   map[string]*lane
	// last is the lane of the last record: a worker sees one topic many times.
	last    *lane
	act     expr.Activation
	headers []expr.Header
	// elements are those of the forEach at hand.
	elements expr.Elements
	// changes and keys are carved up for the effects of the record at hand, kept for what loaders hold for longer.
	changes []fold.Change
	keys    []value.Value
	kept    []value.Value
	// excerpt is what the loaders of the handler at hand keep of the event; nil until one needs it.
	excerpt *excerpt
	// observe is nil unless a tool wants to know which handler made an effect.
	observe func(handler string, effect *fold.Effect)
}

// lane is what an Evaluator needs for the records of one topic.
type lane struct {
	topic   *topic
	decoder codecs.Decoder
	// types remembers the handlers of types that only a pattern may name.
	types map[string][]*handler
	// upcasts holds the memory of each of the topic's upcasts.
	upcasts []upcastMemory
}

// slab is how many changes or values are allocated at once.
const slab = 512

// NewEvaluator makes an Evaluator.
func (p *Program) NewEvaluator() *Evaluator {
	return &Evaluator{program: p, lanes: make(map[string]*lane, len(p.topics))}
}

// lane gives the topic's lane; nil for a topic that the projection does not have.
func (e *Evaluator) lane(name string) (*lane, error) {
	if l := e.last; l != nil && l.topic.name == name {
		return l, nil
	}
	if l, ok := e.lanes[name]; ok {
		e.last = l
		return l, nil
	}
	t, ok := e.program.topics[name]
	if !ok {
		return nil, nil
	}
	d, err := codecs.NewOf(t.contract, e.program.schemas, &t.members)
	if err != nil {
		return nil, err
	}
	l := &lane{topic: t, decoder: d, types: map[string][]*handler{}, upcasts: make([]upcastMemory, len(t.upcasts))}
	e.lanes[name], e.last = l, l
	return l, nil
}

// Handle appends the effects of one record to out, in the order of the
// contract's models and handlers. On an error it appends nothing; the error is an
// *EventError, or a *codecs.UnavailableError, after which it can be tried again.
// The effects' slices of keys and changes are valid until the next call; what is in them, and loaders, stay valid after
// that, and after the record's buffer is released.
func (e *Evaluator) Handle(tp event.TopicPartition, rec *event.Record, out []fold.Effect) ([]fold.Effect, Outcome, error) {
	n := len(out)
	e.changes, e.keys = e.changes[:0], e.keys[:0]
	e.act.Type = "" // whatever Handle gets to, the last record's type is over
	out, o, err := e.handle(tp, rec, out)
	if err != nil {
		return out[:n], Outcome{}, err
	}
	return out, o, nil
}

func (e *Evaluator) handle(tp event.TopicPartition, rec *event.Record, out []fold.Effect) ([]fold.Effect, Outcome, error) {
	o := Outcome{Time: rec.Time()}
	l, err := e.lane(tp.Topic)
	if err != nil {
		return out, o, err
	}
	if l == nil {
		o.Result = IgnoredType
		return out, o, nil
	}
	t := l.topic
	doc, err := l.decoder.Decode(rec)
	if err != nil {
		var bad *codecs.DecodeError
		if errors.As(err, &bad) {
			err = &EventError{ReasonDecodeError, "", bad.Message}
		}
		return out, o, err
	}
	e.activate(t, tp, rec, &doc, o.Time)
	hs := t.tombstones
	if !doc.Tombstone {
		if err := e.identify(l); err != nil {
			return out, o, err
		}
		hs = l.handlersOf(e.act.Type)
	}
	switch {
	case len(hs) > 0:
	case doc.Tombstone:
		o.Result = IgnoredTombstone
		return out, o, nil
	default:
		o.Result = IgnoredType
		return out, o, nil
	}
	if !doc.Tombstone {
		if err := e.meta(t); err != nil {
			return out, o, err
		}
	}
	first := len(out)
	taken := false
	for _, h := range hs {
		var took bool
		var err *EventError
		if out, took, err = e.run(t, h, doc.Tombstone || taken, first, out); err != nil {
			return out, o, err
		}
		taken = taken || took
	}
	o.Result = IgnoredWhen
	if taken {
		o.Result, o.Time = Applied, e.act.Time
	}
	return out, o, nil
}

// activate makes the record what expressions read; recorded is its own time.
func (e *Evaluator) activate(t *topic, tp event.TopicPartition, rec *event.Record, doc *codecs.Doc, recorded time.Time) {
	a := &e.act
	a.Event, a.Members, a.Escaped, a.Key = doc.Value, doc.Members, doc.Escaped, doc.Key
	a.Topic, a.Partition = tp.Topic, tp.Partition
	a.Offset = rec.Offset
	a.Type, a.ID, a.Time = doc.Type, doc.ID, doc.Time
	if a.Time.IsZero() {
		a.Time = recorded
	}
	a.Headers, a.Item, a.Index = nil, nil, 0
	if t.needsHeaders {
		e.headers = e.headers[:0]
		for _, h := range doc.Headers {
			e.headers = append(e.headers, expr.Header(h))
		}
		a.Headers = e.headers
	}
}

// identify finds the event's type and makes the newest version of the event.
func (e *Evaluator) identify(l *lane) error {
	t := l.topic
	if t.typ != nil {
		// The type aliases the event: most topics carry many types that a projection ignores.
		s, err := t.typ.EvalText(&e.act)
		if err != nil {
			return handlerError(t.pathType, err)
		}
		e.act.Type = s
	}
	for i := range t.upcasts {
		if err := t.upcasts[i].apply(&e.act, &l.upcasts[i]); err != nil {
			return err
		}
	}
	return nil
}

// meta evaluates the event's time and, where it is read, its id.
func (e *Evaluator) meta(t *topic) error {
	if t.time != nil {
		at, ok, err := t.time.EvalTime(&e.act)
		if err == nil && !ok {
			err = fmt.Errorf("%s is null, expected a timestamp", t.time.Source())
		}
		if err != nil {
			return handlerError(t.pathTime, err)
		}
		e.act.Time = at
	}
	if t.id != nil && t.needsID {
		v, err := t.id.Eval(&e.act)
		if err == nil {
			e.act.ID, err = textForm(v)
		}
		if err != nil {
			return handlerError(t.pathID, err)
		}
	}
	return nil
}

// checkKey compares the message key with keyedBy.
func (e *Evaluator) checkKey(t *topic) *EventError {
	if t.keyedBy == nil {
		return nil
	}
	mismatch := func(format string, args ...any) *EventError {
		return &EventError{ReasonKeyMismatch, t.pathKeyedBy, fmt.Sprintf(format, args...)}
	}
	if e.act.Key == nil {
		return mismatch("the message key is null, and the topic is declared to be keyed by %s: correct the producer, or remove keyedBy", t.keyedBy.Source())
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

// textForm is the text of an id: of a string itself, of a number, bool or
// timestamp its canonical text. It is injective for each type.
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
