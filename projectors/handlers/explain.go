// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"strings"

	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
)

// Observe makes Handle tell of each effect which handler made it, by its field
// path: for tools that explain. An event that fails may have told of effects before.
func (e *Evaluator) Observe(f func(handler string, effect *fold.Effect)) { e.observe = f }

// MessageKey gives the message key that the topic's keyedBy asks for, for tools
// that write events; nil where nothing is declared or known of the topic. The
// record's own key is not looked at.
func (e *Evaluator) MessageKey(topic string, rec *event.Record) ([]byte, error) {
	l, err := e.lane(topic)
	if err != nil || l == nil || l.topic.keyedBy == nil || rec.Value == nil {
		return nil, err
	}
	doc, err := l.decoder.Decode(rec)
	if err != nil || doc.Tombstone {
		return nil, err
	}
	e.activate(l.topic, event.TopicPartition{Topic: topic}, rec, &doc, rec.Time())
	if err := e.identify(l); err != nil {
		return nil, err
	}
	return l.topic.keyedBy.KeyText(&e.act)
}

// EventType gives the type of the record that Handle or MessageKey saw last; it
// is "" where the record could not be read or the topic has none. For tools that explain.
func (e *Evaluator) EventType() string { return strings.Clone(e.act.Type) }
