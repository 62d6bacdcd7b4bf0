// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"strings"
	"testing"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract/expr"
)

const lineSchema = `{"type": "object", "properties": {"type": {"type": "string"}, "orderId": {"type": "string"},
 "price": {"type": "string"}, "quantity": {"type": "integer"}, "open": {},
 "lines": {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"}, "n": {"type": "integer"}}}}},
 "additionalProperties": false}`

const placedSchema = `{"type": "object", "properties": {"type": {"type": "string"}, "orderId": {"type": "string"}, "total": {"type": "number"}}}`

func TestFormatsHaveSchemas(t *testing.T) {
	for name, f := range formats {
		if f.event == "" {
			continue
		}
		if _, err := expr.ParseSchema(f.event); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSchemas(t *testing.T) {
	for _, tc := range []struct {
		name, handlers string
		path, message  string
		severity       Severity
	}{
		{"right", "- {name: h, events: [LineAdded], key: {id: event.orderId}, set: {num: event.quantity}}", "", "", ""},
		{"type mismatch", "- {name: h, events: [LineAdded], key: {id: event.orderId}, add: {total: event.price}}",
			"models[m].handlers[h].add.total", "type mismatch: the column is decimal(12,2), the expression is string; write decimal(...), or change the column's type (by the schema of EventTopic orders for LineAdded)", Error},
		{"unknown field", "- {name: h, events: [LineAdded], key: {id: event.orderId}, set: {num: event.quantty}}",
			"models[m].handlers[h].set.num", "event.quantty is not in the schema (did you mean event.quantity?) (by the schema of EventTopic orders for LineAdded)", Error},
		{"unknown field where others are allowed", "- {name: h, events: [OrderPlaced], key: {id: event.orderId}, set: {total: event.totl}}",
			"models[m].handlers[h].set.total", "event.totl is not in the schema", Advice},
		{"field of one of two events", "- {name: h, events: [LineAdded, OrderPlaced], key: {id: event.orderId}, set: {num: event.quantity}}",
			"models[m].handlers[h].set.num", "by the schema of EventTopic orders for OrderPlaced", Advice},
		{"asked before", "- {name: h, events: ['*d'], when: meta.type == 'LineAdded', key: {id: event.orderId}, set: {num: event.quantity}}", "", "", ""},
		{"wrong for all, asked before", "- {name: h, events: [LineAdded], when: has(event.price), key: {id: event.orderId}, set: {num: event.price}}",
			"models[m].handlers[h].set.num", "the column is int32, the expression is string", Error},
		{"element", "- {name: h, events: [LineAdded], forEach: event.lines, key: {id: item.sku}, set: {num: item.sku}}",
			"models[m].handlers[h].set.num", "the column is int32, the expression is string", Error},
		{"element of what is no list", "- {name: h, events: [LineAdded], forEach: event.orderId, key: {id: event.orderId}, set: {num: index}}",
			"models[m].handlers[h].forEach", "the expression is of type string, and forEach goes through a list or an object", Error},
		{"condition", "- {name: h, events: [LineAdded], when: event.quantity, key: {id: event.orderId}, set: {num: '1'}}",
			"models[m].handlers[h].when", "of type int, and a condition must be a bool", Error},
		{"key", "- {name: h, events: [LineAdded], key: {id: event.quantity}, set: {num: '1'}}",
			"models[m].handlers[h].key.id", "the column is text, the expression is int", Error},
		{"event that no schema lists", "- {name: h, events: [LineAdd], key: {id: event.orderId}, set: {num: '1'}}",
			"models[m].handlers[h].events", `no schema of EventTopic orders lists event type "LineAdd"`, Advice},
		{"event that no handler takes", "- {name: h, events: [LineAdded], key: {id: event.orderId}, set: {num: '1'}}",
			"topics[orders]", `event type "OrderPlaced", which no handler takes`, Advice},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, problems := Compile(schemaInput(t, tc.handlers))
			if tc.path == "" {
				if errs := Errors(problems); len(errs) > 0 {
					t.Error(list(errs))
				}
				return
			}
			for _, p := range problems {
				if p.Path == tc.path && p.Severity == tc.severity && strings.Contains(p.Message, tc.message) {
					return
				}
			}
			t.Errorf("no %s at %s about %q in\n%s", tc.severity, tc.path, tc.message, list(problems))
		})
	}
}

func schemaInput(t testing.TB, handlers string) Input {
	t.Helper()
	in := input(t, `
storeRef: {name: read}
topics: [{name: orders}]
models:
- name: m
  order: Arrival
  key: [id]
  columns: [{name: id, type: text}, {name: num, type: int32}, {name: total, type: "decimal(12,2)"}]
  handlers:
  `+handlers, `
- metadata: {name: orders}
  spec: {brokerRef: {name: main}, keyedBy: event.orderId, event: {type: event.type}}
`)
	in.Topics[0].Spec.Schemas = []v1alpha1.EventSchema{
		{Events: []string{"LineAdded"}, JSONSchema: lineSchema}, {Events: []string{"OrderPlaced"}, JSONSchema: placedSchema},
	}
	return in
}

func TestSchemasOfTopics(t *testing.T) {
	in := schemaInput(t, "- {name: h, events: [LineAdded], key: {id: event.orderId}, set: {num: '1'}}")
	topic := &in.Topics[0]
	for _, tc := range []struct {
		name          string
		change        func()
		path, message string
	}{
		{"not JSON", func() { topic.Spec.Schemas[1].JSONSchema = "type: object" }, "schemas[1].jsonSchema", "not JSON"},
		{"keyedBy", func() { topic.Spec.KeyedBy = "event.quantity" }, "", ""},
		{"keyedBy that one event lacks", func() { topic.Spec.KeyedBy = "event.total" }, "keyedBy", "event.total is not in the schema (by the schema of EventTopic orders for LineAdded)"},
		{"no type", func() { topic.Spec.Event.Type = "" }, "schemas[0].events", "set event.type"},
		{"text", func() { topic.Spec.Format = v1alpha1.EventFormatText }, "schemas", "remove schemas"},
		{"field of a text", func() { topic.Spec.Schemas = nil }, "keyedBy", "EventTopic orders has events of format Text"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			saved := *topic.DeepCopy()
			defer func() { *topic = saved }()
			if tc.name == "field of a text" {
				topic.Spec.Format = v1alpha1.EventFormatText
			}
			tc.change()
			problems := CheckTopic(topic, nil)
			for _, p := range problems {
				if p.Path == tc.path && strings.Contains(p.Message, tc.message) {
					return
				}
			}
			if tc.path != "" || len(Errors(problems)) > 0 {
				t.Errorf("no error at %s about %q in\n%s", tc.path, tc.message, list(problems))
			}
		})
	}
}
