// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package jsondoc

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/valyala/fastjson"
)

// FuzzScan holds a scan for any paths against full decodes: what it takes is what
// encoding/json takes in UTF-8, but for depth and half surrogates, whatever is
// looked for; and each member is what a lookup in the tree and in encoding/json's
// decode gives. Paths are lines of names with slashes between them.
func FuzzScan(f *testing.F) {
	for _, text := range []string{
		`{"a":1,"a":2,"\u0061":3,"b":{"c":[1,2.50,-0,1e400]},"b":{"a":1}}`, `{"\u0061":3,"a":1,"b":{"\u0063":"\ud83d\ude00\n"}}`, `["\ud83d\ude00",null,true]`, ` 5 `, `"x"`, `null`, `{}`, `[]`,
		`{"b":[],"":"","longname":{"longname1":"a\"b","longname2":false}}`, `{"b":"\ud800"}`, `{"a":01}`, "{\"a\xff\":1}", `{"a":1}}`, `{"é😀":"é","éééééé":"\u00e9"}`, `{"a":"\\","c":"\\\""}`,
		strings.Repeat(`{"a":[`, 100) + strings.Repeat(`]}`, 100), nested(MaxDepth, "1"), "{\"a\tb\":1}", `{"abcdefg":1,"abcdefgh":2,"abcdefghi":"3"}`,
	} {
		f.Add([]byte(text), "a\nb/c\nb/a\n\nlongname/longname1\nlongname/longname2\né😀\néééééé\nabcdefg\nabcdefghi")
	}
	var busy Doc
	f.Fuzz(func(t *testing.T, text []byte, lines string) {
		if len(lines) > 512 {
			return // what it is held against takes the square of the depth
		}
		var p Paths
		var chains [][]Member
		var names [][]string
		for line := range strings.SplitSeq(lines, "\n") {
			path := strings.Split(line, "/")
			names, chains = append(names, path), append(chains, p.Add(path...))
		}
		err, bare := busy.Scan(text, &p), new(Doc).Scan(text, nil)
		if !errors.Is(err, bare) {
			t.Fatalf("%v, and without paths %v", err, bare)
		}
		checkVerdict(t, text, err)
		if err != nil {
			return
		}
		if busy.Escaped() != (bytes.IndexByte(text, '\\') >= 0) {
			t.Fatal("Escaped is wrong")
		}
		for i, chain := range chains {
			for n := range chain {
				checkMember(t, text, &busy, names[i][:n], chain[n])
			}
		}
	})
}

func checkVerdict(t *testing.T, text []byte, err error) {
	t.Helper()
	valid := json.Valid(text) && utf8.Valid(text)
	v, parsing := fastjson.ParseBytes(text)
	switch {
	case err == nil && !valid:
		t.Fatal("taken, and encoding/json refuses it")
	case err == nil && parsing != nil:
		t.Fatalf("taken, and fastjson refuses it: %v", parsing)
	case err == nil && strings.ContainsRune(everyString(v), utf8.RuneError) && !bytes.ContainsRune(text, utf8.RuneError) && !strings.Contains(strings.ToLower(string(text)), `\ufffd`):
		t.Fatal("half a surrogate pair was taken")
	case errors.Is(err, ErrHalfSurrogate) && (!valid || parsing != nil || !strings.Contains(strings.ToLower(string(text)), `\ud`)):
		t.Fatal("half a surrogate pair that is not there")
	case errors.Is(err, ErrSyntax) && valid && parsing == nil:
		t.Fatal("refused, and encoding/json and fastjson take it")
	}
}

// everyString is the text of encoding/json for it, which writes U+FFFD for half a surrogate pair.
func everyString(v *fastjson.Value) string {
	var any any
	if json.Unmarshal(v.MarshalTo(nil), &any) != nil {
		return ""
	}
	out, _ := json.Marshal(any)
	return string(out)
}

// checkMember compares a member with a fresh tree, and with a decode by encoding/json.
func checkMember(t *testing.T, text []byte, d *Doc, names []string, m Member) {
	t.Helper()
	want := fastjson.MustParseBytes(text)
	raw, there := json.RawMessage(text), true
	for _, name := range names {
		raw, there = first(raw, name)
		if o := want.GetObject(); o != nil {
			o.Visit(func([]byte, *fastjson.Value) {}) // so that Get looks at what names mean
			want = o.Get(name)
		} else {
			want = nil
		}
	}
	if there != (want != nil) {
		t.Fatalf("%q: encoding/json and fastjson do not agree", names)
	}
	if want == nil {
		if got := d.Kind(m); got != Missing {
			t.Fatalf("%q is not there, and found to be of kind %d", names, got)
		}
		return
	}
	kind := map[fastjson.Type]Kind{
		fastjson.TypeNull: Null, fastjson.TypeFalse: False, fastjson.TypeTrue: True, fastjson.TypeNumber: Number, fastjson.TypeString: String, fastjson.TypeObject: Object, fastjson.TypeArray: List,
	}[want.Type()]
	if got := d.Kind(m); got != kind {
		t.Fatalf("%q is of kind %d, want %d", names, got, kind)
	}
	switch kind {
	case Number:
		if got := d.Number(m); got != want.String() || got != strings.TrimSpace(string(raw)) {
			t.Fatalf("%q is %s, want %s", names, got, want)
		}
	case String:
		var full string
		if err := json.Unmarshal(raw, &full); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got := d.String(m); got != string(want.GetStringBytes()) || got != full {
				t.Fatalf("%q is %q, want %s", names, got, want)
			}
		}
	case Object, List:
		if got := lookUp(d.Tree(), names); got == nil || got.Type() != want.Type() {
			t.Fatalf("%q is %v in the tree", names, got)
		}
	}
}

func lookUp(v *fastjson.Value, names []string) *fastjson.Value {
	for _, name := range names {
		o := v.GetObject()
		if o == nil {
			return nil
		}
		o.Visit(func([]byte, *fastjson.Value) {})
		v = o.Get(name)
	}
	return v
}

// first gives the first member of a name by a decode of encoding/json.
func first(object json.RawMessage, name string) (json.RawMessage, bool) {
	dec := json.NewDecoder(bytes.NewReader(object))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil, false
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, false
		}
		var v json.RawMessage
		if err := dec.Decode(&v); err != nil {
			return nil, false
		}
		if key == name {
			return v, true
		}
	}
	return nil, false
}
