// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package scaffold

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
)

// Limits of what is looked at, and of what is written.
const (
	maxEvents = 100_000
	maxTypes  = 24 // beyond this many values, a field is no event type
	maxFields = 60
	maxGiven  = 8
)

// typeNames and timeNames are the names under which events carry their type and their time, the likeliest first.
var (
	typeNames = []string{"type", "eventType", "event_type", "kind", "eventName", "event_name", "event", "action", "op"}
	timeNames = []string{"time", "at", "timestamp", "occurredAt", "occurred_at", "eventTime", "event_time", "createdAt", "created_at", "ts"}
	// envelopes are members that hold the payload proper, beside its type and time.
	envelopes = []string{"data", "payload", "body", "detail", "attributes"}
)

// record is one event of a sample.
type record struct {
	key     *string
	headers map[string]string
	// value is what expressions read as event, payload what stands in the record: CloudEvents wrap the one in the other.
	value   map[string]any
	payload any
	typ     string
}

// fromEvents infers types, key and columns from a sample of events: payloads, or records with topic, key and value.
func fromEvents(values []any) (*Source, error) {
	if len(values) > maxEvents {
		values = values[:maxEvents]
	}
	s := &Source{}
	records := make([]record, 0, len(values))
	for i, v := range values {
		r, topic, err := toRecord(v)
		if err != nil {
			return nil, fmt.Errorf("event %d: %w", i+1, err)
		}
		if r == nil {
			continue // a record without a value
		}
		if s.Topic == "" {
			s.Topic = topic
		} else if topic != "" && topic != s.Topic {
			return nil, fmt.Errorf("event %d is of topic %s, and those before are of %s: give the events of one topic", i+1, topic, s.Topic)
		}
		records = append(records, *r)
	}
	if len(records) == 0 {
		return nil, errors.New("there is no event with a payload")
	}
	s.Origin = "a sample of " + output.Count(len(records), "event")
	s.cloudEvents(records)
	typeField := s.nameTypes(records)
	s.collect(records, typeField)
	s.chooseKey(records)
	s.chooseGiven(records)
	return s, nil
}

// recordMembers are the members of a record in a file of events; a payload has others.
var recordMembers = []string{"topic", "partition", "offset", "key", "headers", "time", "timestamp", "value"}

func toRecord(v any) (*record, string, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, "", errors.New("the payload is no object")
	}
	value, isRecord := m["value"]
	for k := range m {
		isRecord = isRecord && slices.Contains(recordMembers, k)
	}
	if !isRecord || len(m) == 1 {
		return &record{value: m, payload: m}, "", nil
	}
	topic, _ := m["topic"].(string)
	if value == nil {
		return nil, topic, nil
	}
	r := &record{headers: map[string]string{}}
	if r.value, ok = value.(map[string]any); !ok {
		return nil, "", errors.New("the payload is no object")
	}
	r.payload = r.value
	if k, ok := m["key"].(string); ok {
		r.key = &k
	} else if n, ok := m["key"].(json.Number); ok {
		text := n.String()
		r.key = &text
	}
	headers, _ := m["headers"].(map[string]any)
	for k, h := range headers {
		if text, ok := h.(string); ok {
			r.headers[k] = text
		}
	}
	return r, topic, nil
}

// cloudEvents recognises both content modes of CloudEvents, and unwraps the data.
func (s *Source) cloudEvents(records []record) {
	structured := func(r record) bool { return r.value["specversion"] != nil && r.value["type"] != nil }
	binary := func(r record) bool { return r.headers["ce_specversion"] != "" && r.headers["ce_type"] != "" }
	if slices.ContainsFunc(records, func(r record) bool { return !structured(r) && !binary(r) }) {
		return
	}
	s.CloudEvents = true
	for i := range records {
		r := &records[i]
		if binary(*r) {
			r.typ = r.headers["ce_type"]
			continue
		}
		r.typ, _ = r.value["type"].(string)
		r.value, _ = r.value["data"].(map[string]any)
	}
}

// nameTypes finds where events carry their type, and notes it with each record. It gives the payload's member.
func (s *Source) nameTypes(records []record) string {
	if s.CloudEvents {
		return ""
	}
	for _, name := range typeNames {
		if values := distinct(records, func(r record) any { return r.value[name] }); len(values) > 0 {
			s.TypeExpr = (&Field{Path: []string{name}}).expression()
			for i := range records {
				records[i].typ, _ = records[i].value[name].(string)
			}
			return name
		}
	}
	headers := slices.Sorted(maps.Keys(records[0].headers))
	for _, name := range headers {
		if !slices.Contains(typeNames, strings.TrimPrefix(strings.ToLower(name), "ce_")) && !slices.Contains(typeNames, name) {
			continue
		}
		if values := distinct(records, func(r record) any { return any(r.headers[name]) }); len(values) > 0 {
			s.TypeHeader, s.TypeExpr = name, "headers["+celText(name)+"]"
			for i := range records {
				records[i].typ = records[i].headers[name]
			}
			return ""
		}
	}
	return ""
}

// distinct gives the values of something that is text in every record and says what kind it is: few, and not all different.
func distinct(records []record, of func(record) any) []string {
	var out []string
	for _, r := range records {
		text, ok := of(r).(string)
		if !ok || text == "" || len(text) > 100 {
			return nil
		}
		if !slices.Contains(out, text) {
			out = append(out, text)
		}
		if len(out) > maxTypes {
			return nil
		}
	}
	return out
}

// collect makes the event types and their fields, and finds the time and the id of events.
func (s *Source) collect(records []record, typeField string) {
	index := map[string]int{}
	seen := map[string]map[string]int{}
	counts := map[string]int{}
	var prefix string
	skip := []string{}
	if !s.CloudEvents {
		prefix = s.envelope(records)
		skip = s.known(records, typeField, prefix)
	}
	for _, r := range records {
		i, ok := index[r.typ]
		if !ok {
			i = len(s.Events)
			index[r.typ] = i
			s.Events = append(s.Events, EventType{Name: r.typ})
			seen[r.typ] = map[string]int{}
		}
		counts[r.typ]++
		for _, f := range members(r.value, prefix, skip) {
			s.Events[i].note(f, seen[r.typ])
		}
	}
	for i := range s.Events {
		e := &s.Events[i]
		e.Fields = slices.DeleteFunc(e.Fields, func(f Field) bool { return f.Type == "" })
		for j := range e.Fields {
			f := &e.Fields[j]
			f.Optional = f.Optional || seen[e.Name][strings.Join(f.Path, "\x00")] < counts[e.Name]
		}
	}
}

// note takes one more value of a field.
func (e *EventType) note(f Field, seen map[string]int) {
	id := strings.Join(f.Path, "\x00")
	if seen[id]++; seen[id] == 1 {
		e.Fields = append(e.Fields, f)
		return
	}
	for i := range e.Fields {
		if old := &e.Fields[i]; old.is(&f) {
			old.Type, old.Optional = widen(old.Type, f.Type), old.Optional || f.Optional
		}
	}
}

// envelope gives the member that holds the payload proper in every record; empty where there is none.
func (s *Source) envelope(records []record) string {
	for _, name := range envelopes {
		if !slices.ContainsFunc(records, func(r record) bool {
			_, ok := r.value[name].(map[string]any)
			return !ok
		}) {
			return name
		}
	}
	return ""
}

// known finds the time and the id of events, which make no columns of their own.
func (s *Source) known(records []record, typeField, prefix string) (skip []string) {
	skip = []string{typeField}
	all := func(name, typ string) bool {
		return !slices.ContainsFunc(records, func(r record) bool { return typeOf(r.value[name]) != typ })
	}
	for _, name := range timeNames {
		if all(name, "timestamp") {
			s.TimeExpr = "timestamp(" + (&Field{Path: []string{name}}).expression() + ")"
			skip = append(skip, name)
			break
		}
	}
	for _, name := range []string{"eventId", "event_id", "messageId", "message_id"} {
		if all(name, "uuid") || all(name, "text") {
			s.IDExpr = (&Field{Path: []string{name}}).expression()
			skip = append(skip, name)
			break
		}
	}
	if _, isText := records[0].value["id"].(string); s.IDExpr == "" && prefix != "" && isText {
		s.IDExpr, skip = "event.id", append(skip, "id")
	}
	return skip
}

// members lists the fields of a payload, those of the envelope's content in its place, by name.
func members(value map[string]any, prefix string, skip []string) []Field {
	var out []Field
	for _, name := range slices.Sorted(maps.Keys(value)) {
		if slices.Contains(skip, name) || len(out) == maxFields {
			continue
		}
		if name == prefix {
			inner, _ := value[name].(map[string]any)
			for _, f := range members(inner, "", nil) {
				f.Path = append([]string{name}, f.Path...)
				out = append(out, f)
			}
			continue
		}
		out = append(out, Field{Path: []string{name}, Type: typeOf(value[name]), Optional: value[name] == nil})
	}
	return out
}

// chooseKey picks the field that is the message key where the sample has keys, else the one whose name says so.
func (s *Source) chooseKey(records []record) {
	keyed := !slices.ContainsFunc(records, func(r record) bool { return r.key == nil })
	candidates := s.Events[0].Fields
	if keyed {
		for i := range candidates {
			f := &candidates[i]
			if scalarKey(f.Type) && !slices.ContainsFunc(records, func(r record) bool { v, _ := find(r.value, f.Path); return keyText(v) != *r.key }) {
				s.Key = f
				return
			}
		}
		return // the message key is in no field
	}
	s.Key, s.KeyGuessed = keyField(s.Events, s.Topic), true
}

// keyText is the text form of a message key's field.
func keyText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	default:
		return ""
	}
}

// chooseGiven picks events for the test: those of the row that sees most event types, in order, one of each.
func (s *Source) chooseGiven(records []record) {
	row := func(r record) string {
		if s.Key == nil {
			if r.key != nil {
				return *r.key
			}
			return ""
		}
		v, _ := find(r.value, s.Key.Path)
		return keyText(v)
	}
	types := map[string]map[string]bool{}
	best := row(records[0])
	for _, r := range records {
		k := row(r)
		if types[k] == nil {
			types[k] = map[string]bool{}
		}
		types[k][r.typ] = true
		if len(types[k]) > len(types[best]) {
			best = k
		}
	}
	taken := map[string]bool{}
	for _, r := range records {
		if row(r) != best || taken[r.typ] || len(s.Given) == maxGiven {
			continue
		}
		taken[r.typ] = true
		g := Sample{Type: r.typ, Value: r.payload, Event: r.value}
		for name, text := range r.headers {
			if s.CloudEvents {
				g.header(name, text)
			}
		}
		if s.TypeHeader != "" {
			g.header(s.TypeHeader, r.typ)
		}
		if s.Key == nil {
			g.Key = "key-1"
			if r.key != nil {
				g.Key = *r.key
			}
		}
		s.Given = append(s.Given, g)
	}
}

// sampleTime is the time in events that are made up.
var sampleTime = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
