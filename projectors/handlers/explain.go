// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
)

// Observe makes Handle tell of each effect which handler made it, by its field
// path: for tools that explain. An event that fails may have told of effects before. What
// is told is valid as long as what Handle gives.
func (e *Evaluator) Observe(f func(handler string, effect *fold.Effect)) { e.observe = f }

// EventType gives the type of the record that Handle saw last, for tools that
// explain, while the record is there; it is "" where the record could not be read
// or the topic has no types.
func (e *Evaluator) EventType() string { return strings.Clone(e.act.Type) }

// MessageKey gives the message key that the topic's keyedBy asks for, in the form
// of the topic's keys, for tools that write events; nil where nothing is declared
// or the record has no value. The record's own key is not looked at.
func (e *Evaluator) MessageKey(topic string, rec *event.Record) ([]byte, error) {
	l, err := e.lane(topic)
	if err != nil || l == nil || l.topic.keyedBy == nil || rec.Value == nil {
		return nil, err
	}
	bare := *rec
	bare.Key = nil
	doc, err := l.decoder.Decode(&bare)
	if err != nil || doc.Tombstone {
		return nil, err
	}
	e.activate(l.topic, event.TopicPartition{Topic: topic}, rec, &doc, rec.Time())
	if err := e.identify(l); err != nil {
		return nil, err
	}
	text, err := l.topic.keyedBy.KeyText(&e.act)
	if err != nil {
		return nil, err
	}
	c := l.topic.contract
	switch {
	case c.KeyFormat == "Bytes":
		return base64.StdEncoding.DecodeString(string(text))
	case c.KeyFormat == "JSON" && c.KeyField != "":
		return json.Marshal(map[string]string{c.KeyField: string(text)})
	default:
		return text, nil
	}
}
