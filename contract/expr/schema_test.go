// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"strings"
	"testing"

	"github.com/projectionist-dev/projectionist/contract/value"
)

const orderSchema = `{
	"$schema": "https://json-schema.org/draft/2020-12/schema",
	"type": "object", "additionalProperties": false, "required": ["id"],
	"properties": {
		"id": {"type": "string", "pattern": "^(?=x)"}, "price": {"type": "number"}, "quantity": {"type": "integer"}, "vip": {"type": "boolean"},
		"sku": {"type": ["string", "null"]}, "odd name": {"type": "integer"}, "ms": {"type": "number"}, "at": {"type": "string", "format": "date-time"},
		"status": {"enum": ["placed", "cancelled"]},
		"customer": {"$ref": "#/$defs/customer"},
		"lines": {"type": "array", "items": {"type": "object", "additionalProperties": false, "properties": {"sku": {"type": "string"}, "price": {"type": "number"}, "parts": {"type": "array", "items": {"type": "integer"}}}}},
		"tags": {"type": "array", "items": {"type": "string"}},
		"stock": {"type": "object", "additionalProperties": {"type": "integer"}},
		"maybe": {"oneOf": [{"type": "null"}, {"type": "object", "properties": {"x": {"type": "string"}}, "additionalProperties": false}]},
		"either": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
		"both": {"allOf": [{"properties": {"a": {"type": "string"}}}, {"type": "object", "properties": {"b": {"type": "boolean"}}}]},
		"parts": {"allOf": [{"$ref": "#/$defs/closed"}, {"properties": {"b": {"type": "boolean"}}}]},
		"free": {}, "mixed": {"type": ["string", "integer"]},
		"tree": {"type": "object", "properties": {"next": {"$ref": "#/properties/tree"}, "value": {"type": "string"}}}
	},
	"$defs": {"closed": {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": false}, "customer": {"type": "object", "properties": {"name": {"type": "string"}, "id": {"type": "string"}}}}
}`

func parsedSchema(t *testing.T, text string) *Schema {
	t.Helper()
	s, err := ParseSchema(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSchemaRefuses(t *testing.T) {
	s := parsedSchema(t, orderSchema)
	for src, want := range map[string]string{
		`event.prise`:                                 "column 6: event.prise is not in the schema (did you mean event.price?)",
		`1 + event.quantty`:                           "event.quantty is not in the schema (did you mean event.quantity?)",
		`event["odd nam"]`:                            `event["odd nam"] is not in the schema (did you mean event["odd name"]?)`,
		`has(event.prise)`:                            "event.prise is not in the schema",
		`event.?prise.orValue(1)`:                     "event.prise is not in the schema",
		`event.lines[0].prise`:                        "event.lines[...].prise is not in the schema (did you mean event.lines[...].price?)",
		`event.lines.map(l, l.prise)`:                 "l.prise is not in the schema (did you mean l.price?)",
		`event.lines.all(l, l.parts.all(p, p > "x"))`: "by the schema, > does not work on (int, string)",
		`cel.bind(m, event.maybe, m.y)`:               "m.y is not in the schema",
		`event.parts.c`:                               "event.parts.c is not in the schema",
		`event.maybe.y`:                               "event.maybe.y is not in the schema",
		`event.id.x`:                                  "event.id is a string in the schema and has no field x",
		`event.lines.sku`:                             "event.lines is a list in the schema and has no field sku",
		`event.id + 1`:                                "by the schema, + does not work on (string, int)",
		`event.id * event.price`:                      "* does not work on (string, decimal)",
		`event.price == "5"`:                          "by the schema, decimal and string are never equal",
		`event.price.upperAscii()`:                    "upperAscii does not work on decimal",
		`event.customer + "x"`:                        "+ does not work on (map(string, dyn), string)",
		`event.tags[0] - 1`:                           "- does not work on (string, int)",
		`event.stock.a + "x"`:                         "+ does not work on (int, string)",
		`event.tree.next.next.value + 1`:              "+ does not work on (string, int)",
		`event.both.a + 1`:                            "+ does not work on (string, int)",
		`event.vip > 1`:                               "> does not work on (bool, int)",
		`timestamp.fromMillis(event.id)`:              "timestamp.fromMillis does not work on (string)",
		`math.round(event.id, 2)`:                     "math.round does not work on (string, int)",
		`row.total + event.id`:                        "+ does not work on (decimal, string)",
	} {
		if _, err := Compile(src, Options{Schema: s, Row: rowColumns}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", src, err, want)
		}
		if _, err := Compile(src, Options{Row: rowColumns}); err != nil {
			t.Errorf("%s without a schema: %v", src, err)
		}
	}
}

func TestSchemaKnowsTypes(t *testing.T) {
	s := parsedSchema(t, orderSchema)
	for src, want := range map[string]Type{
		`event.id`: TypeString, `event.price`: TypeDecimal, `event.quantity`: TypeInt, `event.price * event.quantity`: TypeDecimal, `event.sku`: TypeString, `event["odd name"]`: TypeInt,
		`event.lines`: TypeList, `event.customer`: TypeMap, `event.customer.name`: TypeString, `event.lines.map(l, l.price)`: TypeList, `event.lines[0].price + 1`: TypeDecimal,
		`event.?sku.orValue(null)`: TypeString, `event.?sku.orValue("")`: TypeString, `has(event.sku) ? event.sku : null`: TypeString, `has(event.sku)`: TypeBool, `event.vip ? 1 : 2`: TypeInt,
		`has(event.price) ? event.price : 0`: TypeInt, `has(event.quantity) ? event.quantity : 0.5`: TypeDecimal, `timestamp.fromMillis(event.ms)`: TypeTimestamp, `event.either`: TypeDyn, `event.mixed`: TypeDyn,
		`event.free.x.y`: TypeDyn, `event`: TypeMap, `event.stock.any`: TypeInt, `event.stock[event.id]`: TypeDyn, `event.both.b`: TypeBool, `event.parts.a`: TypeString, `event.parts.b`: TypeBool, `event.maybe.x`: TypeString, `event.tree.next.next.value`: TypeString,
		`timestamp(event.at)`: TypeTimestamp, `event.tags.join("-")`: TypeString, `event.stock.all(k, k != "")`: TypeBool, `event.sku == null`: TypeBool, `event.quantity in [1, 2.5]`: TypeBool,
		`event.lines.filter(l, l.price > 1)`: TypeList, `event.lines.exists(l, l.sku == event.sku)`: TypeBool, `cel.bind(c, event.customer, c.name)`: TypeString, `event.status == "placed"`: TypeBool,
		`event.tags.map(event, event + "!")`: TypeList, `event.lines.map(l, l.price * l.parts.size()).sum()`: TypeDecimal, `size(event.lines)`: TypeInt, `event.tags[event.quantity]`: TypeString,
		`event.vip ? event.id : event.quantity`: TypeDyn,
	} {
		p, err := Compile(src, Options{Schema: s})
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		plain, _ := Compile(src, Options{})
		if p.Type() != want || p.Canonical() != plain.Canonical() {
			t.Errorf("%s is %s, want %s; canonical %s", src, p.Type(), want, p.Canonical())
		}
		if src != `event.vip ? event.id : event.quantity` && len(p.Advice()) > 0 {
			t.Errorf("%s: %v", src, p.Advice())
		}
	}
}

func TestSchemaChecksColumns(t *testing.T) {
	s := parsedSchema(t, orderSchema)
	for src, want := range map[string]string{`event.id`: "type mismatch: the column is decimal(12,2), the expression is string; write decimal(...)", `event.price`: "", `event.quantity`: "", `event.sku`: "the expression is string", `event.free`: ""} {
		p, cerr := Compile(src, Options{Schema: s})
		if cerr != nil {
			t.Errorf("%s: %v", src, cerr)
			continue
		}
		if err := p.CheckColumn(value.MustParse("decimal(12,2)")); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", src, err, want)
		}
	}
}

func TestSchemaAdvises(t *testing.T) {
	s := parsedSchema(t, orderSchema)
	for src, want := range map[string]string{
		`event.customer.nmae`:                   "event.customer.nmae is not in the schema (did you mean event.customer.name?)",
		`event.status == "plcaed"`:              `event.status is never "plcaed" by the schema (did you mean "placed"?)`,
		`event.status in ["placed", "gone"]`:    `event.status is never "gone" by the schema`,
		`event.vip ? event.id : event.quantity`: "results of several types",
		`event.?sku.orValue(0)`:                 "results of several types",
	} {
		p, err := Compile(src, Options{Schema: s})
		if err != nil || len(p.Advice()) != 1 || !strings.Contains(p.Advice()[0], want) {
			t.Errorf("%s: %v, %v; want %q", src, p, err, want)
		}
	}
}

func TestSchemaOfItems(t *testing.T) {
	s := parsedSchema(t, orderSchema)
	for _, tt := range []struct{ each, src, err string }{
		{`event.lines`, `item.price * 2`, ""}, {`event.lines`, `item.prise`, "item.prise is not in the schema (did you mean item.price?)"}, {`event.lines`, `item.sku + 1`, "+ does not work on (string, int)"},
		{`event.stock`, `item.key + string(item.value)`, ""}, {`event.stock`, `item.value + "x"`, "+ does not work on (int, string)"}, {`event.stock`, `item.kex`, "(did you mean item.key?)"},
		{`event.tags`, `item + 1`, "+ does not work on (string, int)"}, {`event.tags`, `item.upperAscii() == key`, ""}, {`event.?lines.orValue([])`, `item.whatever`, ""},
	} {
		each, err := Compile(tt.each, Options{Schema: s})
		if err != nil {
			t.Fatal(err)
		}
		_, err = Compile(tt.src, Options{Schema: s, Item: true, ItemSchema: each.ElementSchema()})
		if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s of %s: %v, want %q", tt.src, tt.each, err, tt.err)
		}
	}
}

func TestParseSchemaErrors(t *testing.T) {
	for text, want := range map[string]string{
		`{`:                                 "the schema is not JSON",
		`{"type": 5}`:                       "the schema is not a JSON Schema",
		`{"$ref": "https://example.com/x"}`: "the schema refers to https://example.com/x: only references within the schema",
		`{"properties": {"a": {"$ref": "file:///etc/passwd"}}}`: "the schema refers to file:///etc/passwd",
		`{"$ref": "#/$defs/none"}`:                              "the schema is not a JSON Schema",
		strings.Repeat(" ", MaxSchemaBytes+1):                   "longer than 1048576 bytes",
	} {
		if _, err := ParseSchema(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %q", text, err, want)
		}
	}
	for _, text := range []string{`{}`, `true`, `{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": {"a": {"type": "string"}}}`, `{"$schema": "http://json-schema.org/draft-04/schema#", "properties": {"a": {"$ref": "#"}}}`} {
		parsedSchema(t, text)
	}
}
