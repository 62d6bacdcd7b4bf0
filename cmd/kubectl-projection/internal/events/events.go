// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package events

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/ptest"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/event"
)

// Event is a record that may have no place in a log yet.
type Event struct {
	Topic string
	// Partition is -1 where the event does not say.
	Partition int32
	Record    event.Record
	// Placed says that Record.Offset is its place in a real log; else it has none.
	Placed bool
	// Place is the file and line that it comes from.
	Place string
}

// Keyer gives the message key that a topic's keyedBy asks for.
type Keyer interface {
	// MessageKey gives the key of a record of the topic; nil where nothing is
	// declared, or the record has none.
	MessageKey(topic string, rec *event.Record) ([]byte, error)
}

// Maker makes events for the topics of a projection.
type Maker struct {
	topics map[string]*contract.Topic
	keys   Keyer
	// Topic and Time are what events have that do not say otherwise.
	Topic string
	Time  time.Time
}

// NewMaker makes a Maker; it belongs to one goroutine, as the Keyer may. Where
// there is one topic alone it is the default.
func NewMaker(topics []contract.Topic, keys Keyer, at time.Time) *Maker {
	m := &Maker{topics: map[string]*contract.Topic{}, keys: keys, Time: at}
	for i := range topics {
		m.topics[topics[i].Name] = &topics[i]
	}
	if len(topics) == 1 {
		m.Topic = topics[0].Name
	}
	return m
}

// Event makes the record of an event that has a payload of its own.
func (m *Maker) Event(e *ptest.Event, place string) (Event, error) {
	fail := func(format string, args ...any) (Event, error) {
		return Event{}, fmt.Errorf("%s: "+format, append([]any{place}, args...)...)
	}
	topic, err := m.topic(e.Topic)
	if err != nil {
		return fail("%w", err)
	}
	out := Event{Topic: topic.Name, Partition: -1, Place: place}
	if e.Partition != nil {
		if out.Partition = *e.Partition; out.Partition < 0 {
			return fail("partition is negative")
		}
	}
	at := m.Time
	if e.Time != "" {
		if at, err = time.Parse(time.RFC3339Nano, e.Time); err != nil {
			return fail("time is not in RFC 3339 form, such as %s", ptest.DefaultTime)
		}
	}
	out.Record.Timestamp = at.UnixMilli()
	for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
		out.Record.Headers = append(out.Record.Headers, event.Header{Key: name, Value: []byte(e.Headers[name])})
	}
	if out.Record.Value, err = payload(topic, e); err != nil {
		return fail("%w", err)
	}
	if e.Key.Given {
		if e.Key.Text != nil {
			out.Record.Key = []byte(*e.Key.Text)
		}
	} else if m.keys != nil {
		// Where keyedBy has no value the key stays null: whoever reads the event says what is wrong with it.
		out.Record.Key, _ = m.keys.MessageKey(topic.Name, &out.Record)
	}
	return out, nil
}

func (m *Maker) topic(name string) (*contract.Topic, error) {
	if name == "" {
		name = m.Topic
	}
	names := strings.Join(slices.Sorted(maps.Keys(m.topics)), ", ")
	if name == "" {
		return nil, fmt.Errorf("the event says no topic, and there are several (%s); give topic", names)
	}
	t := m.topics[name]
	if t == nil {
		return nil, fmt.Errorf("there is no topic %q here; the topics are %s", name, names)
	}
	return t, nil
}

// payload gives the bytes of an event's payload.
func payload(t *contract.Topic, e *ptest.Event) ([]byte, error) {
	switch {
	case e.Tombstone:
		return nil, nil
	case e.Text != nil || e.Base64 != nil:
		if Decoded(t.Format) {
			return nil, fmt.Errorf("payloads of topic %s are %s, which needs the schema registry; give value, the event as expressions read it", t.Name, t.Format)
		}
		if e.Text != nil {
			return []byte(*e.Text), nil
		}
		return base64.StdEncoding.DecodeString(*e.Base64)
	case len(e.Value) == 0:
		return nil, errors.New("the event has no payload; give value, text, base64 or tombstone: true")
	case t.Format != "Text" && t.Format != "Bytes":
		return e.Value, nil
	}
	var s string
	if err := json.Unmarshal(e.Value, &s); err != nil {
		return nil, fmt.Errorf("payloads of topic %s are %s; give value as text", t.Name, t.Format)
	}
	if t.Format == "Bytes" {
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return nil, fmt.Errorf("payloads of topic %s are bytes; give value as base64, as expressions read it", t.Name)
		}
		return b, nil
	}
	return []byte(s), nil
}

// Decoded tells whether events of a format are given as expressions read them,
// past the codec: their bytes mean nothing without a schema registry.
func Decoded(format string) bool {
	return format == "Avro" || format == "Protobuf" || format == "JSONSchema"
}

// WithoutRegistry gives the contract under which events of such formats are read
// as JSON. Rows do not depend on it.
func WithoutRegistry(c *contract.Contract) *contract.Contract {
	out := *c
	out.Topics = slices.Clone(c.Topics)
	for i := range out.Topics {
		if Decoded(out.Topics[i].Format) {
			out.Topics[i].Format = "JSON"
		}
		if out.Topics[i].KeyFormat == "Avro" {
			out.Topics[i].KeyFormat, out.Topics[i].KeyField = "Text", ""
		}
	}
	return &out
}

// maxLine bounds a line of a file of events, in bytes: a payload's limit and room for what is around it.
const maxLine = 16 << 20

// Lines reads a file of events: a JSON object per line with the fields of
// ptest.Event, or with a topic, a payload per line. Empty lines are passed over.
// The first error ends the sequence.
func (m *Maker) Lines(name string, r io.Reader, topic string) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		scanner := bufio.NewScanner(r)
		scanner.Buffer(make([]byte, 0, 64<<10), maxLine)
		for n := 1; scanner.Scan(); n++ {
			text := bytes.TrimSpace(scanner.Bytes())
			if len(text) == 0 {
				continue
			}
			e, err := m.line(fmt.Sprintf("%s:%d", name, n), text, topic)
			if !yield(e, err) || err != nil {
				return
			}
		}
		if err := scanner.Err(); err != nil {
			yield(Event{}, fmt.Errorf("%s: %w", name, err))
		}
	}
}

func (m *Maker) line(place string, text []byte, topic string) (Event, error) {
	if topic != "" {
		e := ptest.Event{Topic: topic, Value: bytes.Clone(text)}
		if t := m.topics[topic]; t != nil && (t.Format == "Text" || t.Format == "Bytes") {
			raw := string(text)
			e.Value, e.Text = nil, &raw
		}
		return m.Event(&e, place)
	}
	var e ptest.Event
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	err := dec.Decode(&e)
	if err == nil && dec.InputOffset() != int64(len(text)) {
		err = errors.New("there is more in the line than one object")
	}
	if err != nil {
		return Event{}, fmt.Errorf("%s: the line is not an event ({\"topic\": ..., \"value\": ...}): %s; name the topic beside the file where lines are payloads alone (TOPIC=FILE)",
			place, jsonProblem(err))
	}
	if e.File != "" {
		return Event{}, fmt.Errorf("%s: a file of events cannot name another file", place)
	}
	return m.Event(&e, place)
}

// jsonProblem is what encoding/json says, without values.
func jsonProblem(err error) string {
	var syntax *json.SyntaxError
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax), errors.Is(err, io.ErrUnexpectedEOF):
		return "it is not JSON"
	case errors.As(err, &wrong):
		return "field " + wrong.Field + " has the wrong type"
	default:
		return strings.TrimPrefix(err.Error(), "json: ")
	}
}
