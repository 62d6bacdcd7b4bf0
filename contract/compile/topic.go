// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"slices"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/expr"
	"github.com/projectionist-dev/projectionist/contract/value"
)

// topic is a topic of the contract with what the checks need to know of it.
type topic struct {
	contract.Topic
	// keyedBy is the canonical text of KeyedBy; empty when it is not declared or does not compile.
	keyedBy string
	// schemas describe its events as handlers see them.
	schemas []*schema
	// config is what the topic is created with, where that is declared.
	config map[string]string
}

// formats says what is known of the events of each format without looking at them.
var formats = map[v1alpha1.EventFormat]struct {
	// typed and identified: the format itself gives a type, an id.
	typed, identified bool
	// types are all there are; nil is any.
	types []string
	// registry: payloads need a schema registry.
	registry bool
	// event is the JSON Schema of every event; "" is any.
	event string
}{
	v1alpha1.EventFormatJSON:           {},
	v1alpha1.EventFormatCloudEvents:    {typed: true, identified: true},
	v1alpha1.EventFormatDebezium:       {typed: true, types: []string{"create", "update", "delete", "read", "truncate", "message"}},
	v1alpha1.EventFormatDebeziumOutbox: {typed: true, identified: true},
	v1alpha1.EventFormatAvro:           {registry: true},
	v1alpha1.EventFormatProtobuf:       {registry: true},
	v1alpha1.EventFormatJSONSchema:     {registry: true},
	v1alpha1.EventFormatText:           {event: `{"type": "string"}`},
	v1alpha1.EventFormatBytes:          {event: `{"type": "string"}`},
}

// hasType tells whether events have a type that handlers can select by.
func (t *topic) hasType() bool {
	return t.EventType != "" || formats[v1alpha1.EventFormat(t.Format)].typed ||
		slices.ContainsFunc(t.Upcasts, func(u contract.Upcast) bool { return u.Type != "" })
}

func (t *topic) hasID() bool {
	return t.EventID != "" || formats[v1alpha1.EventFormat(t.Format)].identified
}

// closedTypes gives the event types that there are, where the format says so and nothing changes them.
func (t *topic) closedTypes() (types []string, closed bool) {
	types = formats[v1alpha1.EventFormat(t.Format)].types
	if t.EventType != "" || len(types) == 0 {
		return nil, false
	}
	types = slices.Clone(types)
	for _, u := range t.Upcasts {
		if u.Type != "" {
			types = append(types, u.Type)
		}
	}
	return types, true
}

// CheckTopic gives what is wrong with an EventTopic itself. The broker is the
// one that it refers to, nil where that is not known.
func CheckTopic(t *v1alpha1.EventTopic, broker *v1alpha1.EventBroker) []Problem {
	var problems []Problem
	compileTopic(t, broker, &problems)
	for i := range problems {
		problems[i].Object = ""
	}
	return sortProblems(problems)
}

func compileTopic(resource *v1alpha1.EventTopic, broker *v1alpha1.EventBroker, problems *[]Problem) *topic {
	r := reporter{object: "EventTopic " + resource.Name, problems: problems}
	t := &topic{Topic: Topic(resource)}
	if c := Creation(resource); c != nil {
		t.config = c.Config
	}
	r.checkFormat(t, broker)
	r.upcasts(t)
	t.schemas = r.schemas(t, resource.Spec.Schemas)
	r.keyedBy(t)
	text, at := value.Type{Kind: value.Text}, value.Type{Kind: value.Timestamp}
	r.topicField("event.type", t.EventType, text, "string(...)")
	r.topicField("event.id", t.EventID, text, "string(...)")
	r.topicField("event.time", t.EventTime, at, "timestamp(...)")
	return t
}

// checkFormat checks how payloads and keys are encoded.
func (r reporter) checkFormat(t *topic, broker *v1alpha1.EventBroker) {
	format, known := formats[v1alpha1.EventFormat(t.Format)]
	if !known {
		r.add(Error, ReasonUnsupported, "format", "format %q is not known to this release; use JSON, CloudEvents, Debezium, DebeziumOutbox, Avro, Protobuf, JSONSchema, Text or Bytes", t.Format)
	}
	needs := func(path, what string) {
		if broker != nil && len(broker.Spec.SchemaRegistry.URLs) == 0 {
			r.invalid(path, "%s is read with schemas from a registry, and EventBroker %s names none; set its spec.schemaRegistry", what, broker.Name)
		}
	}
	if format.registry {
		needs("format", "format "+t.Format)
	}
	switch v1alpha1.KeyFormat(t.KeyFormat) {
	case "", v1alpha1.KeyFormatText, v1alpha1.KeyFormatBytes:
		if t.KeyField != "" {
			r.invalid("key.field", "a key of format %s has no members; set key.format to JSON or Avro, or remove field", or(t.KeyFormat, string(v1alpha1.KeyFormatText)))
		}
	case v1alpha1.KeyFormatJSON:
	case v1alpha1.KeyFormatAvro:
		needs("key.format", "a key of format Avro")
	default:
		r.add(Error, ReasonUnsupported, "key.format", "key format %q is not known to this release; use Text, JSON, Avro or Bytes", t.KeyFormat)
	}
}

// keyedBy compiles the expression that message keys are compared with.
func (r reporter) keyedBy(t *topic) {
	p := r.topicExpression("keyedBy", t.KeyedBy)
	if p == nil {
		return
	}
	t.keyedBy = p.Canonical()
	switch p.Type() {
	case expr.TypeList, expr.TypeMap, expr.TypeOptional, expr.TypeNull, expr.TypeDouble, expr.TypeBytes, expr.TypeOther:
		r.invalid("keyedBy", "a message key is compared with the expression's text, and a %s has none; name a text, a whole number or a bool", p.Type())
	default:
		if p.IsConstant() {
			r.invalid("keyedBy", "the expression is a constant, so that all events would have one message key; name what producers key the topic by, for example event.orderId")
		}
	}
	for _, s := range t.schemas {
		if _, err := expr.Compile(t.KeyedBy, expr.Options{Scope: expr.ScopeTopic, Schema: s.schema}); err != nil {
			r.refuse("keyedBy", t.KeyedBy, err, " ("+s.where()+")")
			break
		}
	}
}

func (r reporter) topicExpression(path, source string) *expr.Program {
	if source == "" {
		return nil
	}
	p, err := expr.Compile(source, expr.Options{Scope: expr.ScopeTopic})
	if err != nil {
		r.refuse(path, source, err, "")
		return nil
	}
	return p
}

func (r reporter) topicField(path, source string, t value.Type, hint string) {
	p := r.topicExpression(path, source)
	if p == nil {
		return
	}
	if p.Type() == expr.TypeNull || p.CheckColumn(t) != nil {
		r.invalid(path, "the expression is of type %s, and must be a %s; write %s", p.Type(), t, hint)
	}
}
