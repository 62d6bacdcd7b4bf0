// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package codecs_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/valyala/fastjson"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/jsondoc"
	"github.com/projectionist-dev/projectionist/projectors/codecs"
	"github.com/projectionist-dev/projectionist/projectors/event"
)

// FuzzLazy holds that what is looked up in a payload, field by field, is what a
// full decode by encoding/json says, with the first of two members of one name.
func FuzzLazy(f *testing.F) {
	for _, s := range []string{
		`{"a":1,"a":2,"\u0061":3,"b":{"c":[1,2.50,-0,1e400,123456789012345678901234567890]}}`, `{"\u0061":3,"a":1}`, `["\ud83d\ude00\u0000\"\\\/\b\f\n\r\t",null,true]`,
		strings.Repeat(`{"a":[`, 100) + strings.Repeat(`]}`, 100), "{\"a\xff\":1}", `{"":"","":1}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var d codecs.JSON
		doc, err := d.Decode(b)
		if err != nil {
			return // FuzzDecode looks at what is refused
		}
		full := json.NewDecoder(bytes.NewReader(b))
		full.UseNumber()
		checkFull(t, full, doc.Value, doc.Escaped)
	})
}

// checkFull reads one value of a full decode and looks it up in v.
func checkFull(t *testing.T, full *json.Decoder, v *fastjson.Value, escaped bool) {
	token, err := full.Token()
	if err != nil {
		t.Fatal(err)
	}
	switch x := token.(type) {
	case nil:
		check(t, v, fastjson.TypeNull, "null")
	case bool:
		check(t, v, map[bool]fastjson.Type{true: fastjson.TypeTrue, false: fastjson.TypeFalse}[x], v.String())
	case json.Number:
		check(t, v, fastjson.TypeNumber, x.String())
	case string:
		if v.Type() != fastjson.TypeString || string(v.GetStringBytes()) != x {
			t.Fatalf("%s is %q", v, x)
		}
	case json.Delim:
		if x == '[' {
			for i := 0; full.More(); i++ {
				checkFull(t, full, v.GetArray()[i], escaped)
			}
		} else {
			seen := map[string]bool{}
			for full.More() {
				name, err := full.Token()
				if err != nil {
					t.Fatal(err)
				}
				if n := name.(string); !seen[n] {
					seen[n] = true
					checkFull(t, full, lookUp(v, escaped, n), escaped)
					continue
				}
				var second json.RawMessage
				if err := full.Decode(&second); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := full.Token(); err != nil {
			t.Fatal(err)
		}
	}
}

// lookUp is how contract/expr finds a member.
func lookUp(v *fastjson.Value, escaped bool, name string) *fastjson.Value {
	o := v.GetObject()
	if escaped {
		o.Visit(func([]byte, *fastjson.Value) {})
	}
	return o.Get(name)
}

func check(t *testing.T, v *fastjson.Value, typ fastjson.Type, text string) {
	t.Helper()
	if v == nil || v.Type() != typ || v.String() != text {
		t.Fatalf("%v is no %s %s", v, typ, text)
	}
}

// FuzzRecords holds for every format, key format and any bytes that decoding
// ends in a value that is JSON, a tombstone or one of the two errors, the same
// each time and whether members are looked for, and that nothing of a record stays for the next.
func FuzzRecords(f *testing.F) {
	names := slices.Sorted(maps.Keys(cases))
	for i, name := range names {
		for _, c := range cases[name] {
			f.Add(uint8(i), []byte(c.value), []byte("k"), []byte(""), []byte(""))
		}
	}
	f.Add(uint8(0), []byte(`{"a":1}`), []byte(`{"schema":{},"payload":{"id":1}}`), []byte("application/json"), []byte("1.0"))
	f.Add(uint8(1), []byte(wire(7, "\x02\x02\x08\x05")), []byte(wire(1, avroC)), []byte("application/cloudevents+json"), []byte(""))
	schemas := registry{}
	for id, s := range known {
		schemas[id] = s
	}
	for i, v := range vectors(f) {
		schemas[100+i] = v.schema()
	}
	decoders := map[string]codecs.Decoder{}
	f.Fuzz(func(t *testing.T, n uint8, value, key, contentType, version []byte) {
		format := names[int(n)%len(names)]
		keyFormat := []string{"Text", "JSON", "Avro", "Bytes"}[int(n)/len(names)%4]
		d := decoders[format+keyFormat]
		if d == nil {
			d = newDecoder(t, contract.Topic{Format: format, KeyFormat: keyFormat}, schemas)
			decoders[format+keyFormat] = d
		}
		rec := &event.Record{Key: key, Value: value}
		if len(contentType) > 0 {
			rec.Headers = append(rec.Headers, event.Header{Key: "content-type", Value: contentType})
		}
		if len(version) > 0 {
			rec.Headers = append(rec.Headers, event.Header{Key: "ce_specversion", Value: version}, event.Header{Key: "ce_type", Value: version}, event.Header{Key: "ce_id", Value: version})
		}
		first, err := outcome(d.Decode(rec))
		if err != nil {
			t.Fatal(err)
		}
		topic := contract.Topic{Name: "t", Format: format, KeyFormat: keyFormat}
		fresh := newDecoder(t, topic, schemas)
		for range 2 {
			if again, _ := outcome(fresh.Decode(rec)); again != first {
				t.Fatalf("%s and then %s", first, again)
			}
		}
		var members jsondoc.Paths
		members.Add("a", "b")
		picking, err := codecs.NewOf(&topic, schemas, &members)
		if err != nil {
			t.Fatal(err)
		}
		if picked, _ := outcome(picking.Decode(rec)); picked != first {
			t.Fatalf("%s, and with members %s", first, picked)
		}
	})
}

// outcome writes down what came of a record; it fails for what must not be.
func outcome(doc codecs.Doc, err error) (string, error) {
	var bad *codecs.DecodeError
	var away *codecs.UnavailableError
	switch {
	case errors.As(err, &bad), errors.As(err, &away):
		return err.Error(), nil
	case err != nil:
		return "", err
	case doc.Tombstone:
		return "tombstone " + doc.Type + doc.ID, nil
	}
	if doc.Members != nil && doc.Value == nil {
		doc.Value = doc.Members.Tree()
	}
	text := spelled(doc.Value).String()
	if doc.Value == nil || !utf8.ValidString(text) {
		return "", errors.New("no value, or not UTF-8")
	}
	return text + string(doc.Key) + doc.Type + doc.ID + doc.Time.String(), nil
}
