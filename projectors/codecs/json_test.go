// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package codecs

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/jsondoc"
	"github.com/projectionist-dev/projectionist/projectors/event"
)

var good = []string{
	`{}`, `[]`, `null`, `0`, `-0`, `-1.5e+10`, `""`, `true`, ` { "a" : [ 1 , 2 ] } `, "\t\r\n1\n", `{"a":1,"a":2}`, `"\u00e9\ud83d\ude00\"\\\/\b\f\n\r\t"`,
	`{"\u0061":"\\u\\ud800"}`, `"é€😀"`, strings.Repeat("[", MaxDepth-1) + strings.Repeat("]", MaxDepth-1), `"\\"`, `"\ud83d\ude00\ud83d\ude00"`,
}

var bad = []string{
	``, ` `, `{`, `}`, `{"a"}`, `{"a":}`, `{"a":1,}`, `[1,]`, `{a:1}`, `{'a':1}`, `nul`, `NaN`, `inf`, `-`, `+1`, `01`, `1.`, `.5`, `1e`, `0x1`, `1 2`, `"a`, `"\x"`, `"\u12"`, `"\u12g4"`,
	"\"a\nb\"", "\"\\n\x01\"", "\"\x01\\n\"", "\"\xff\"", "{\"\x80\":1}", `"\ud800"`, `"\udc00"`, `"\ud800\u0041"`, `"\ud800x"`, `"\udc00\ud800"`, `{"\ud800":1}`, `--1`, `1-2`, `{"a":1.2.3}`,
	strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1), strings.Repeat("[", 1<<20), "\xef\xbb\xbf{}", `{"a":1}}`, `[1}`, "{\"a\tb\\n\":1}",
}

func TestDecode(t *testing.T) {
	var d JSON
	for _, s := range good {
		doc, err := d.Decode([]byte(s))
		if err != nil {
			t.Errorf("%.40q: %v", s, err)
			continue
		}
		if doc.Escaped != strings.Contains(s, `\`) {
			t.Errorf("%.40q: Escaped is %v", s, doc.Escaped)
		}
	}
	for _, s := range bad {
		_, err := d.Decode([]byte(s))
		var e *DecodeError
		if !errors.As(err, &e) {
			t.Errorf("%.40q: %v", s, err)
		}
	}
	if _, err := d.Decode(make([]byte, MaxBytes+1)); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("too long: %v", err)
	}
}

// Looking for members neither makes a payload good nor bad, nor makes its tree.
func TestMembersOfAPayload(t *testing.T) {
	var members jsondoc.Paths
	a := members.Add("a")[1]
	topic := &contract.Topic{Name: "t"}
	d, err := NewOf(topic, nil, &members)
	if err != nil {
		t.Fatal(err)
	}
	trees, err := New(topic, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append(good, bad...) {
		_, want := trees.Decode(&event.Record{Value: []byte(s)})
		doc, err := d.Decode(&event.Record{Value: []byte(s)})
		if fmt.Sprint(err) != fmt.Sprint(want) {
			t.Errorf("%.40q: %v, want %v", s, err, want)
		}
		if err == nil && (doc.Value != nil || !doc.Members.Knows(&members) || doc.Escaped != strings.Contains(s, `\`)) {
			t.Errorf("%.40q: %+v", s, doc)
		}
	}
	doc, err := d.Decode(&event.Record{Value: []byte(`{"a":"x"}`)})
	if err != nil || doc.Members.Kind(a) != jsondoc.String || doc.Members.String(a) != "x" {
		t.Errorf("%+v, %v", doc, err)
	}
	if doc, err := d.Decode(&event.Record{}); err != nil || !doc.Tombstone || doc.Members != nil {
		t.Errorf("of a tombstone: %+v, %v", doc, err)
	}
}

func TestErrorsCarryNothingOfThePayload(t *testing.T) {
	var d JSON
	for _, s := range []string{`{"CANARY":CANARY}`, `CANARY`, `{"a":"CANARY`, `"\CANARY"`, `{"x":1}CANARY`} {
		if _, err := d.Decode([]byte(s)); err == nil || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestTheDocDoesNotAliasThePayload(t *testing.T) {
	var d JSON
	b := []byte(`{"a":"text"}`)
	doc, err := d.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		b[i] = '#'
	}
	if got := string(doc.Value.GetStringBytes("a")); got != "text" {
		t.Errorf("%q", got)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range append(good, bad...) {
		if len(s) < 1<<12 {
			f.Add([]byte(s))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var d JSON
		_, err := d.Decode(b)
		valid := json.Valid(b) && utf8.Valid(b)
		if err == nil && !valid {
			t.Fatalf("accepted, and encoding/json refuses it: %q", b)
		}
		// What is refused beyond encoding/json: depth and half surrogates.
		if err != nil && valid && !strings.Contains(err.Error(), "surrogate") && strings.Count(string(b), "[")+strings.Count(string(b), "{") < MaxDepth-1 {
			t.Fatalf("refused, and encoding/json accepts it: %q: %v", b, err)
		}
	})
}
