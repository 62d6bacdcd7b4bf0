// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"strings"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract/expr"
)

// schema is what an EventTopic says of the payloads of some event types.
type schema struct {
	schema *expr.Schema
	topic  string
	// events are patterns; empty is every type.
	events []string
	// format is the topic's where the schema follows from it.
	format string
}

// where names the schema in messages.
func (s *schema) where() string {
	switch {
	case s.format != "":
		return "EventTopic " + s.topic + " has events of format " + s.format
	case len(s.events) == 0:
		return "by the schema of EventTopic " + s.topic
	default:
		return "by the schema of EventTopic " + s.topic + " for " + strings.Join(s.events, ", ")
	}
}

// schemas parses what the topic says of its payloads, or what follows from its format.
func (r reporter) schemas(t *topic, specs []v1alpha1.EventSchema) []*schema {
	if f := formats[v1alpha1.EventFormat(t.Format)]; f.event != "" {
		if len(specs) > 0 {
			r.invalid("schemas", "events of format %s are texts, which a schema says nothing of; remove schemas, or change the format", t.Format)
		}
		s, err := expr.ParseSchema(f.event)
		if err != nil {
			panic(err) // A constant, which a test parses.
		}
		return []*schema{{schema: s, topic: t.Name, format: t.Format}}
	}
	var out []*schema
	for i := range specs {
		path := fmt.Sprintf("schemas[%d]", i)
		s, err := expr.ParseSchema(specs[i].JSONSchema)
		if err != nil {
			r.invalid(path+".jsonSchema", "%s; write a JSON Schema, such as {\"type\": \"object\"}", err)
			continue
		}
		if len(specs[i].Events) > 0 && !t.hasType() {
			r.invalid(path+".events", "the topic does not say where an event's type is found, so that no schema can be chosen by it; set event.type, or remove events")
		}
		out = append(out, &schema{schema: s, topic: t.Name, events: specs[i].Events})
	}
	return out
}

// schemasOf gives the schemas of the events that a handler takes.
func (m *model) schemasOf(h *handler) []*schema {
	if h.topic == nil || h.out.Tombstone {
		return nil
	}
	var out []*schema
	for _, s := range h.topic.schemas {
		// What default is left with is not known here; a schema that names types is none of its.
		if anyOverlap(h.out.Events, s.events) && (!h.out.Default || len(s.events) == 0) {
			out = append(out, s)
		}
	}
	return out
}
