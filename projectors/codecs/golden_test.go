// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package codecs_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/valyala/fastjson"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/codecs"
	"github.com/projectionist-dev/projectionist/projectors/event"
)

// vector is a payload that another library has encoded.
type vector struct {
	Name, Type, Schema string
	References         []codecs.Reference
	Payload            []byte
	Want               string
}

func vectors(t testing.TB) []vector {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "golden", "vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var out []vector
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// registry is a fake that has the schemas of some ids.
type registry map[int]codecs.Schema

func (r registry) Schema(id int) (codecs.Schema, error) {
	s, ok := r[id]
	if !ok {
		return s, &codecs.UnavailableError{Reason: codecs.ReasonSchemaMissing, Message: "none"}
	}
	return s, nil
}

// formats are the topics' formats of schema types.
var formats = map[string]string{codecs.SchemaAvro: "Avro", codecs.SchemaProtobuf: "Protobuf"}

func (v vector) schema() codecs.Schema {
	return codecs.Schema{Type: v.Type, Text: v.Schema, References: v.References}
}

func newDecoder(t testing.TB, topic contract.Topic, schemas codecs.Schemas) codecs.Decoder {
	t.Helper()
	topic.Name = "t"
	d, err := codecs.New(&topic, schemas)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestGolden(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.Type+"/"+v.Name, func(t *testing.T) {
			d := newDecoder(t, contract.Topic{Format: formats[v.Type]}, registry{7: v.schema()})
			for range 2 { // the second time from what is compiled
				doc, err := d.Decode(&event.Record{Value: v.Payload})
				if err != nil {
					t.Fatal(err)
				}
				if !same(t, doc.Value, v.Want) {
					t.Errorf("got  %s\nwant %s", doc.Value, v.Want)
				}
			}
			// Not one byte is missing, and none is left.
			if _, err := d.Decode(&event.Record{Value: append(v.Payload, 0x0f)}); err == nil {
				t.Error("a byte too many is not seen")
			}
		})
	}
}

// same compares a value with a JSON text: digits and the order of names, too, but not how strings are spelled.
func same(t testing.TB, got *fastjson.Value, want string) bool {
	t.Helper()
	var d codecs.JSON
	doc, err := d.Decode([]byte(want))
	if err != nil {
		t.Fatalf("%s: %v", want, err)
	}
	return string(spelled(got).MarshalTo(nil)) == string(spelled(doc.Value).MarshalTo(nil))
}

// spelled resolves the escapes of all strings of a value.
func spelled(v *fastjson.Value) *fastjson.Value {
	switch v.Type() {
	case fastjson.TypeArray:
		for _, e := range v.GetArray() {
			spelled(e)
		}
	case fastjson.TypeObject:
		v.GetObject().Visit(func(_ []byte, e *fastjson.Value) { spelled(e) })
	default: // Type has done it
	}
	return v
}
