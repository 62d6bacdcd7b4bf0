// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package codecs_test

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/codecs"
	"github.com/projectionist-dev/projectionist/projectors/event"
)

// wire puts a schema's id before a payload.
func wire(id uint32, payload string) string {
	return string(binary.BigEndian.AppendUint32([]byte{0}, id)) + payload
}

// headers makes headers of names and values.
func headers(kv ...string) []event.Header {
	var out []event.Header
	for i := 0; i < len(kv); i += 2 {
		out = append(out, event.Header{Key: kv[i], Value: []byte(kv[i+1])})
	}
	return out
}

// known has an Avro, a Protobuf and a JSON schema, one that does not compile, and one of no known type.
var known = registry{
	1: {Type: "AVRO", Text: `{"type":"record","name":"E","fields":[{"name":"op","type":"string"},{"name":"n","type":"long"}]}`},
	2: {Type: "PROTOBUF", Text: `syntax = "proto3"; message A { string a = 1; } message B { int32 b = 1; }`},
	3: {Type: "JSON", Text: `{}`},
	4: {Type: "AVRO", Text: `{"type":"nothing"}`},
	5: {Type: "THRIFT", Text: `x`},
	6: {Type: "PROTOBUF", Text: `syntax = "proto3"; import "other.proto"; message A {}`},
}

const avroC = "\x02c\x0a" // op c, n 5

// one is a record and what becomes of it; err is a part of the error, and a part in brackets of an UnavailableError's reason.
type one struct {
	name, value string
	null        bool
	headers     []event.Header
	want        string // of event; "-" for a tombstone
	typ, id     string
	time        string
	seen        []event.Header // what headers must have beside the record's
	err         string
}

const pathCE = "application/cloudevents+json; charset=UTF-8"

var cases = map[string][]one{
	"JSON": {
		{name: "a value", value: `{"a":[1,{"b":null}]}`, want: `{"a":[1,{"b":null}]}`},
		{name: "tombstone", null: true, want: "-"},
		{name: "not unwrapped", value: `{"schema":{},"payload":1}`, want: `{"schema":{},"payload":1}`},
		{name: "broken", value: `{`, err: "not JSON"},
	},
	"Text": {
		{name: "text", value: "a \"b\"\\\n\x00\x7fé\U000e0001", want: `"a \"b\"\\\n\u0000\u007fé\udb40\udc01"`},
		{name: "empty", value: "", want: `""`},
		{name: "tombstone", null: true, want: "-"},
		{name: "not UTF-8", value: "\xff", err: "format to Bytes"},
	},
	"Bytes": {
		{name: "bytes", value: "\x00\xff", want: `"AP8="`},
		{name: "empty", value: "", want: `""`},
		{name: "tombstone", null: true, want: "-"},
	},
	"JSONSchema": {
		{name: "payload", value: wire(99, `{"a":1}`), want: `{"a":1}`},
		{name: "tombstone", null: true, want: "-"},
		{name: "no id", value: `{"a":1}`, err: "set the EventTopic's format to JSON"},
		{name: "id in a header", value: `{"a":1}`, headers: headers("__value_schema_id", "\x01"), err: "PrefixSchemaIdSerializer"},
		{name: "not JSON", value: wire(99, `x`), err: "not JSON"},
	},
	"Avro": {
		{name: "payload", value: wire(1, avroC), want: `{"op":"c","n":5}`},
		{name: "tombstone", null: true, want: "-"},
		{name: "empty", value: "", err: "empty"},
		{name: "short", value: "\x00\x00\x00", err: "Confluent's wire format"},
		{name: "other magic", value: "\x01" + avroC, err: "Confluent's wire format"},
		{name: "ids of eight bytes", value: "\x00\x00\x00\x00\x00\x00\x00\x00\x01" + avroC, err: "eight bytes"},
		{name: "unknown id", value: wire(99, avroC), err: "[SchemaMissing]"},
		{name: "other type", value: wire(2, ""), err: "id 2, is of type PROTOBUF, and AVRO is expected"},
		{name: "unusable", value: wire(4, avroC), err: "[SchemaUnusable]"},
		{name: "of no known type", value: wire(5, avroC), err: "is of type THRIFT, and AVRO is expected"},
		{name: "ends early", value: wire(1, "\x02c"), err: "id 1: n: the payload ends too early"},
		{name: "left over", value: wire(1, avroC+"x"), err: "bytes are left over"},
		{name: "not UTF-8", value: wire(1, "\x02\xff\x0a"), err: "op: a string is not valid UTF-8"},
	},
	"Protobuf": {
		{name: "first message", value: wire(2, "\x00\x0a\x01x"), want: `{"a":"x"}`},
		{name: "second message", value: wire(2, "\x02\x02\x08\x05"), want: `{"b":5}`},
		{name: "tombstone", null: true, want: "-"},
		{name: "no such message", value: wire(2, "\x02\x04\x08\x05"), err: "message index"},
		{name: "index cut off", value: wire(2, "\x04\x02"), err: "message index"},
		{name: "no index", value: wire(2, ""), err: "message index"},
		{name: "not the message", value: wire(2, "\x00\x0a\x05x"), err: "not this message"},
		{name: "not UTF-8", value: wire(2, "\x00\x0a\x01\xff"), err: "not this message"},
		{name: "missing import", value: wire(6, "\x00"), err: "[SchemaUnusable]"},
		{name: "other type", value: wire(1, avroC), err: "PROTOBUF is expected"},
	},
	"Debezium": {
		{name: "plain", value: `{"before":null,"after":{"id":1},"op":"c","source":{"ts_ms":1000},"ts_ms":2000}`, typ: "create", time: "1970-01-01T00:00:01Z",
			want: `{"before":null,"after":{"id":1},"op":"c","source":{"ts_ms":1000},"ts_ms":2000}`},
		{name: "wrapped", value: `{"schema":{"type":"struct"},"payload":{"before":{"id":1},"after":null,"op":"d","source":{"ts_ms":0},"ts_ms":2000}}`, typ: "delete",
			time: "1970-01-01T00:00:02Z", want: `{"before":{"id":1},"after":null,"op":"d","source":{"ts_ms":0},"ts_ms":2000}`},
		{name: "update", value: `{"op":"u"}`, typ: "update", want: `{"op":"u"}`},
		{name: "snapshot", value: `{"op":"r"}`, typ: "read", want: `{"op":"r"}`},
		{name: "truncate", value: `{"op":"t"}`, typ: "truncate", want: `{"op":"t"}`},
		{name: "message", value: `{"op":"m"}`, typ: "message", want: `{"op":"m"}`},
		{name: "the first of two names, however spelled", value: `{"\u006fp":"c","op":"d","x":1}`, typ: "create", want: `{"op":"c","op":"d","x":1}`},
		{name: "escaped names", value: `{"\u006fp":"c"}`, typ: "create", want: `{"op":"c"}`},
		{name: "tombstone", null: true, want: "-"},
		{name: "wrapped tombstone", value: `{"schema":null,"payload":null}`, want: "-"},
		{name: "Avro", value: wire(1, avroC), typ: "create", want: `{"op":"c","n":5}`},
		{name: "unwrapped by the connector", value: `{"id":1}`, err: "ExtractNewRecordState"},
		{name: "unknown operation", value: `{"op":"x"}`, err: "none of c, u, d, r, t and m"},
		{name: "no object", value: `5`, err: "no member op"},
	},
	"DebeziumOutbox": {
		{name: "JSON", value: `{"a":1}`, headers: headers("id", "e-1", "eventType", "Placed"), typ: "Placed", id: "e-1", want: `{"a":1}`},
		{name: "JSON in a string", value: `"{\"a\":\"\\\"\"}"`, want: `{"a":"\""}`},
		{name: "a list in a string", value: `"[1]"`, want: `[1]`},
		{name: "wrapped", value: `{"schema":{"type":"string"},"payload":"{\"a\":1}"}`, want: `{"a":1}`},
		{name: "a string", value: `"a"`, want: `"a"`},
		{name: "broken JSON in a string", value: `"{a"`, err: "not JSON"},
		{name: "Avro", value: wire(1, avroC), want: `{"op":"c","n":5}`},
		{name: "tombstone", null: true, headers: headers("id", "e-2", "eventType", "Gone"), typ: "Gone", id: "e-2", want: "-"},
		{name: "wrapped tombstone", value: `{"schema":{"type":"string"},"payload":null}`, want: "-"},
	},
	"CloudEvents": {
		{name: "structured", headers: headers("content-type", pathCE), typ: "Placed", id: "1", time: "2026-01-02T03:04:05.5Z", want: `{"a":1}`,
			value: `{"specversion":"1.0","type":"Placed","id":"1","source":"/s","time":"2026-01-02T04:04:05.5+01:00","tenant":"x","n":5,"flag":true,"none":null,"datacontenttype":"application/json","data":{"a":1}}`,
			seen:  headers("ce_specversion", "1.0", "ce_type", "Placed", "ce_id", "1", "ce_source", "/s", "ce_tenant", "x", "ce_n", "5", "ce_flag", "true", "content-type", "application/json")},
		{name: "structured without a header", value: `{"specversion":"1.0","type":"P","id":"1","data":"x"}`, typ: "P", id: "1", want: `"x"`},
		{name: "structured with escapes", value: `{"\u0073pecversion":"1.0","t\u0079pe":"P\n","id":"1","\u0064ata":"x\"","data":2}`, typ: "P\n", id: "1", want: `"x\""`, seen: headers("ce_type", "P\n")},
		{name: "structured without data", value: `{"specversion":"1.0","type":"P","id":"1"}`, typ: "P", id: "1", want: `null`},
		{name: "structured, JSON in base64", value: `{"specversion":"1.0","type":"P","id":"1","datacontenttype":"application/json","data_base64":"eyJhIjoxfQ=="}`, typ: "P", id: "1", want: `{"a":1}`},
		{name: "structured, text in base64", value: `{"specversion":"1.0","type":"P","id":"1","datacontenttype":"text/plain","data_base64":"aGk="}`, typ: "P", id: "1", want: `"hi"`},
		{name: "structured, bytes", value: `{"specversion":"1.0","type":"P","id":"1","data_base64":"AP8="}`, typ: "P", id: "1", want: `"AP8="`},
		{name: "structured, not base64", value: `{"specversion":"1.0","type":"P","id":"1","data_base64":"?"}`, err: "not base64"},
		{name: "binary", value: `{"a":1}`, headers: headers("ce_specversion", "1.0", "ce_type", "Placed", "ce_id", "1", "ce_time", "2026-01-02T03:04:05Z", "content-type", "application/json"),
			typ: "Placed", id: "1", time: "2026-01-02T03:04:05Z", want: `{"a":1}`},
		{name: "binary, a type of JSON", value: `1`, headers: headers("ce_specversion", "1.0", "ce_type", "P", "ce_id", "1", "Content-Type", "application/vnd.x+json"), typ: "P", id: "1", want: `1`},
		{name: "binary, no content type", value: `1`, headers: headers("ce_specversion", "1.0", "ce_type", "P", "ce_id", "1"), typ: "P", id: "1", want: `1`},
		{name: "binary, text", value: `hi`, headers: headers("ce_specversion", "1.0", "ce_type", "P", "ce_id", "1", "content-type", "text/plain"), typ: "P", id: "1", want: `"hi"`},
		{name: "binary, Avro", value: wire(1, avroC), headers: headers("ce_specversion", "1.0", "ce_type", "P", "ce_id", "1", "content-type", "application/avro"), typ: "P", id: "1", want: `{"op":"c","n":5}`},
		{name: "binary, no data", value: ``, headers: headers("ce_specversion", "1.0", "ce_type", "P", "ce_id", "1"), typ: "P", id: "1", want: `null`},
		{name: "binary tombstone", null: true, headers: headers("ce_specversion", "1.0", "ce_type", "Gone", "ce_id", "2"), typ: "Gone", id: "2", want: "-"},
		{name: "binary, other content", value: `x`, headers: headers("ce_specversion", "1.0", "ce_type", "P", "ce_id", "1", "content-type", "image/png"), err: "neither JSON nor text"},
		{name: "binary without a type", value: `1`, headers: headers("ce_specversion", "1.0", "ce_id", "1"), err: "ce_type is missing"},
		{name: "binary, type not UTF-8", value: `1`, headers: headers("ce_specversion", "1.0", "ce_type", "\xff", "ce_id", "1"), err: "not valid UTF-8"},
		{name: "tombstone", null: true, want: "-"},
		{name: "a batch", value: `[]`, headers: headers("content-type", "application/cloudevents-batch+json"), err: "batch"},
		{name: "Avro's event format", value: `x`, headers: headers("content-type", "application/cloudevents+avro"), err: "other than JSON"},
		{name: "no CloudEvent", value: `{"a":1}`, err: "no CloudEvent"},
		{name: "no id", value: `{"specversion":"1.0","type":"P","data":1}`, err: "attribute id"},
		{name: "id is no string", value: `{"specversion":"1.0","type":"P","id":{},"data":1}`, err: "attribute id"},
		{name: "old version", value: `{"specversion":"0.2","type":"P","id":"1"}`, err: "CloudEvents 1.0"},
		{name: "time", value: `{"specversion":"1.0","type":"P","id":"1","time":"yesterday"}`, err: "RFC 3339"},
	},
}

func TestFormats(t *testing.T) {
	for format, list := range cases {
		d := newDecoder(t, contract.Topic{Format: format}, known) // one for all: nothing of a record stays
		for _, tt := range list {
			t.Run(format+"/"+tt.name, func(t *testing.T) {
				rec := &event.Record{Key: []byte("k"), Value: []byte(tt.value), Headers: tt.headers}
				if tt.null {
					rec.Value = nil
				}
				doc, err := d.Decode(rec)
				if tt.err != "" {
					checkError(t, err, tt.err)
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if string(doc.Key) != "k" || doc.Type != tt.typ || doc.ID != tt.id {
					t.Errorf("key %q, type %q, id %q", doc.Key, doc.Type, doc.ID)
				}
				at := ""
				if !doc.Time.IsZero() {
					at = doc.Time.Format(time.RFC3339Nano)
				}
				if at != tt.time {
					t.Errorf("time %s, want %s", at, tt.time)
				}
				switch {
				case tt.want == "-":
					if !doc.Tombstone || doc.Value != nil {
						t.Errorf("no tombstone: %v", doc.Value)
					}
				case doc.Tombstone || !same(t, doc.Value, tt.want):
					t.Errorf("got %v, want %s", doc.Value, tt.want)
				}
				checkHeaders(t, doc.Headers, append(tt.headers, tt.seen...))
			})
		}
	}
}

func checkError(t *testing.T, err error, want string) {
	t.Helper()
	var bad *codecs.DecodeError
	var away *codecs.UnavailableError
	if reason, ok := strings.CutPrefix(want, "["); ok {
		if !errors.As(err, &away) || away.Reason+"]" != reason {
			t.Errorf("%T %v, want reason %s", err, err, reason)
		}
		return
	}
	if !errors.As(err, &bad) || !strings.Contains(bad.Message, want) {
		t.Errorf("%T %v, want %s", err, err, want)
	}
}

// checkHeaders holds that the last header of each name is the wanted one.
func checkHeaders(t *testing.T, got, want []event.Header) {
	t.Helper()
	last := func(hs []event.Header) map[string]string {
		m := map[string]string{}
		for _, h := range hs {
			m[h.Key] = string(h.Value)
		}
		return m
	}
	g, w := last(got), last(want)
	for k, v := range w {
		if g[k] != v {
			t.Errorf("header %s is %q, want %q", k, g[k], v)
		}
	}
	if _, ok := g["ce_none"]; ok {
		t.Error("an attribute that is null is a header")
	}
}

func TestNewRefusesWhatItCannotRead(t *testing.T) {
	for _, tt := range []struct {
		topic contract.Topic
		want  string
	}{
		{contract.Topic{Format: "XML"}, `topics[t].format: unknown format "XML"`},
		{contract.Topic{Format: "Avro"}, "topics[t].format: Avro needs a schema registry"},
		{contract.Topic{Format: "Protobuf"}, "topics[t].format: Protobuf needs a schema registry"},
		{contract.Topic{KeyFormat: "XML"}, `topics[t].key.format: unknown format "XML"`},
		{contract.Topic{KeyFormat: "Avro"}, "topics[t].key.format: Avro needs a schema registry"},
		{contract.Topic{KeyField: "id"}, "topics[t].key.field: only keys in JSON or Avro have fields"},
	} {
		tt.topic.Name = "t"
		if _, err := codecs.New(&tt.topic, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, want %s", err, tt.want)
		}
	}
	d := newDecoder(t, contract.Topic{Format: "Debezium"}, nil)
	_, err := d.Decode(&event.Record{Value: []byte(wire(1, avroC))})
	checkError(t, err, "set spec.schemaRegistry of the EventBroker")
}

func TestKeys(t *testing.T) {
	keys := registry{
		1: {Type: "AVRO", Text: `{"type":"record","name":"K","fields":[{"name":"id","type":"long"},{"name":"a","type":"string"}]}`},
		2: {Type: "AVRO", Text: `"string"`},
		3: {Type: "AVRO", Text: `{"type":"record","name":"K","fields":[{"name":"id","type":"long"}]}`},
	}
	for _, tt := range []struct{ format, field, key, want, err string }{
		{"", "", "a\xff", "a\xff", ""},
		{"Text", "", "", "", ""},
		{"Bytes", "", "\x00\xff", "AP8=", ""},
		{"JSON", "", `"a\"b"`, `a"b`, ""},
		{"JSON", "", `5.0`, `5`, ""},
		{"JSON", "", `9007199254740993`, `9007199254740993`, ""},
		{"JSON", "", `0.50`, `0.50`, ""},
		{"JSON", "", `true`, `true`, ""},
		{"JSON", "", `null`, "<nil>", ""},
		{"JSON", "", `{"b":[1.0,{"z":null}],"a":"x"}`, `{"a":"x","b":[1,{"z":null}]}`, ""},
		{"JSON", "", `{"a":1,"a":2}`, `{"a":1}`, ""},
		{"JSON", "", `{"schema":{"type":"string"},"payload":"a"}`, `a`, ""},
		{"JSON", "", `{"schema":{"type":"string"},"payload":null}`, "<nil>", ""},
		{"JSON", "id", `{"id":7}`, `7`, ""},
		{"JSON", "id", `{"id":7,"b":1}`, "", "other fields beside id"},
		{"JSON", "id", `{"id":7,"id":8}`, "", "other fields beside id"},
		{"JSON", "id", `{"i\u0064":"x"}`, `x`, ""},
		{"JSON", "id", `{"schema":{},"payload":{"id":{"b":1,"a":2}}}`, `{"a":2,"b":1}`, ""},
		{"JSON", "id", `{"b":1}`, "", "no field id"},
		{"JSON", "id", `{"id":null}`, "", "no field id"},
		{"JSON", "id", `"x"`, "", "no object"},
		{"JSON", "", `{`, "", "message key: the payload is not JSON"},
		{"Avro", "", wire(1, "\x0a\x02x"), `{"a":"x","id":5}`, ""},
		{"Avro", "id", wire(1, "\x0a\x02x"), "", "other fields beside id"},
		{"Avro", "id", wire(3, "\x0a"), `5`, ""},
		{"Avro", "", wire(2, "\x02x"), `x`, ""},
		{"Avro", "", wire(9, "\x02x"), "", "[SchemaMissing]"},
		{"Avro", "", "x", "", "message key: the payload does not begin"},
	} {
		d := newDecoder(t, contract.Topic{KeyFormat: tt.format, KeyField: tt.field}, keys)
		doc, err := d.Decode(&event.Record{Key: []byte(tt.key), Value: []byte("{}")})
		if tt.err != "" {
			checkError(t, err, tt.err)
			continue
		}
		got := string(doc.Key)
		if doc.Key == nil {
			got = "<nil>"
		}
		if err != nil || got != tt.want {
			t.Errorf("%s key %q, field %q: %q, %v, want %q", tt.format, tt.key, tt.field, got, err, tt.want)
		}
		doc, err = d.Decode(&event.Record{Value: []byte("{}")})
		if err != nil || doc.Key != nil {
			t.Errorf("%s: a null key is %q, %v", tt.format, doc.Key, err)
		}
	}
}

// What is decoded for every event must not allocate for every event.
func TestAllocations(t *testing.T) {
	for _, tt := range []struct {
		format, key, value string
		headers            []event.Header
		most               float64
	}{
		{"JSON", "k", `{"orderId":"o-1","total":12.50,"lines":[{"sku":"a"}]}`, nil, 0},
		{"Avro", "k", wire(1, avroC), nil, 0},
		{"JSONSchema", "k", wire(1, `{"a":1}`), nil, 0},
		{"Debezium", "k", `{"op":"c","ts_ms":5}`, nil, 0},
		{"Protobuf", "k", wire(2, "\x00\x0a\x01x"), nil, 16},
	} {
		d := newDecoder(t, contract.Topic{Format: tt.format}, known)
		rec := &event.Record{Key: []byte(tt.key), Value: []byte(tt.value), Headers: tt.headers}
		if got := testing.AllocsPerRun(100, func() {
			if _, err := d.Decode(rec); err != nil {
				t.Fatal(err)
			}
		}); got > tt.most {
			t.Errorf("%s: %v allocations, want at most %v", tt.format, got, tt.most)
		}
	}
}

// Producers' bytes stay out of every message (Law 7).
func TestErrorsOfFormatsCarryNothingOfThePayload(t *testing.T) {
	const canary = "CANARY"
	for format := range cases {
		for _, keyFormat := range []string{"JSON", "Avro"} {
			d := newDecoder(t, contract.Topic{Format: format, KeyFormat: keyFormat}, known)
			for _, value := range []string{
				canary, `{"op":"` + canary + `"}`, `{"specversion":"` + canary + `","type":"` + canary + `","id":"` + canary + `"}`, `"{` + canary + `"`,
				`{"specversion":"1.0","type":"` + canary + `","id":"1","time":"` + canary + `"}`, wire(1, "\x0cCANARY"), wire(2, "\x00\x0a\x7fCANARY"), wire(4, canary), wire(3, canary),
			} {
				for _, key := range []string{canary, `"` + canary + `"`, `{"` + canary + `":"\u0000"}`, wire(1, "\x0cCANARY"), wire(2, canary)} {
					_, err := d.Decode(&event.Record{Key: []byte(key), Value: []byte(value), Headers: headers("content-type", canary, "ce_type", canary)})
					if err != nil && strings.Contains(err.Error(), canary) {
						t.Errorf("%s: %v", format, err)
					}
				}
			}
		}
	}
}
