// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package scaffold

import (
	"slices"
	"strings"
)

// Source is what is known of a topic's events.
type Source struct {
	// Origin says what it was read from, for the comment on top: "a sample of 120 events".
	Origin string
	// Topic is the topic's name at the broker; empty where the input does not say.
	Topic string
	// CloudEvents is true where events are in the CloudEvents format.
	CloudEvents bool
	// TypeExpr is the CEL expression of an event's type; empty where the format has one, or there is one type alone.
	TypeExpr string
	// TypeHeader is the header that TypeExpr reads; empty where it reads the payload.
	TypeHeader string
	// TimeExpr and IDExpr are the CEL expressions of an event's time and id; empty where there is none.
	TimeExpr, IDExpr string
	// Key is the field that identifies a row, and by which producers key the topic; nil for the message key itself.
	Key *Field
	// KeyGuessed is true where nothing but the field's name speaks for Key.
	KeyGuessed bool
	// Events are the event types, in the order of the input.
	Events []EventType
	// Given are events for the test, in order.
	Given []Sample
}

// EventType is one type of events.
type EventType struct {
	// Name is the type; empty where events have none.
	Name   string
	Fields []Field
	// Schema is a JSON Schema of the payload as text; empty where none is known.
	Schema string
}

// Field is a member of a payload.
type Field struct {
	// Path leads from the payload to the member.
	Path []string
	// Type is the column type that takes it.
	Type string
	// Optional is true where it may be missing or null.
	Optional bool
	// About is what the schema says of it, in one line.
	About string
}

// Name is the field's own name.
func (f *Field) Name() string { return f.Path[len(f.Path)-1] }

func (f *Field) is(o *Field) bool { return o != nil && slices.Equal(f.Path, o.Path) }

// Sample is an event of the test.
type Sample struct {
	// Type is the event type.
	Type string
	// Key is the message key; empty where it follows from the payload.
	Key     string
	Headers map[string]string
	// Value is the payload: maps, lists, strings, json.Number, bools and nil. Event is what of it expressions read as event.
	Value, Event any
}

func (s *Sample) header(name, text string) {
	if s.Headers == nil {
		s.Headers = map[string]string{}
	}
	s.Headers[name] = text
}

// find gives the value at a path, and whether it is there.
func find(v any, path []string) (any, bool) {
	for _, name := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = m[name]; !ok {
			return nil, false
		}
	}
	return v, true
}

// keyField picks the field that identifies a row among those that every event type has: the one that is called like the
// topic (orderId for orders), else one that ends in id or number.
func keyField(events []EventType, topic string) *Field {
	var common []Field
	for _, f := range events[0].Fields {
		if !f.Optional && scalarKey(f.Type) && !slices.ContainsFunc(events, func(e EventType) bool {
			return !slices.ContainsFunc(e.Fields, func(o Field) bool { return o.is(&f) && !o.Optional })
		}) {
			common = append(common, f)
		}
	}
	best, score := -1, 0
	for i := range common {
		if s := keyScore(common[i].Name(), topic); s > score {
			best, score = i, s
		}
	}
	if best < 0 {
		return nil
	}
	return &common[best]
}

func scalarKey(typ string) bool {
	return slices.Contains([]string{"text", "uuid", "int64", "int32"}, typ)
}

// notKeys are names of fields that end like a key and identify the event, not its subject.
var notKeys = []string{"event_id", "message_id", "correlation_id", "causation_id", "trace_id", "request_id", "tenant_id"}

func keyScore(name, topic string) int {
	n := snake(name)
	switch {
	case slices.Contains(notKeys, n):
		return 0
	case n == singular(snake(lastWord(topic)))+"_id", n == singular(snake(lastWord(topic))):
		return 4
	case n == "id" || n == "key":
		return 3
	case strings.HasSuffix(n, "_id") || strings.HasSuffix(n, "_uuid"):
		return 2
	case slices.Contains([]string{"sku", "code", "number", "email", "name"}, n) || strings.HasSuffix(n, "_no") || strings.HasSuffix(n, "_number") || strings.HasSuffix(n, "_code"):
		return 1
	default:
		return 0
	}
}
