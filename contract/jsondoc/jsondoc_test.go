// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package jsondoc

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
)

func nested(n int, inner string) string {
	return strings.Repeat("[", n) + inner + strings.Repeat("]", n)
}

func TestScan(t *testing.T) {
	for text, want := range map[string]error{
		`{"a":1}`: nil, " \t\r\n[ 1 , 2 ] ": nil, `"\ud83d\ude00"`: nil, `-0.5e+10`: nil, `"é"`: nil,
		nested(MaxDepth, ""): nil, nested(MaxDepth-1, "1"): nil, nested(MaxDepth, "1"): ErrSyntax, nested(MaxDepth+1, ""): ErrSyntax,
		strings.Repeat(`{"a":`, MaxDepth-1) + "1" + strings.Repeat("}", MaxDepth-1): nil,
		strings.Repeat(`{"a":`, MaxDepth) + "1" + strings.Repeat("}", MaxDepth):     ErrSyntax,
		``: ErrSyntax, ` `: ErrSyntax, `{"a":1,}`: ErrSyntax, `[1,]`: ErrSyntax, `[1 2]`: ErrSyntax, `{"a" 1}`: ErrSyntax, `{1:2}`: ErrSyntax, `1 2`: ErrSyntax, `01`: ErrSyntax, `-`: ErrSyntax,
		`1.`: ErrSyntax, `1e`: ErrSyntax, `nul`: ErrSyntax, `NaN`: ErrSyntax, `"a`: ErrSyntax, `"\x"`: ErrSyntax, `"\u12g4"`: ErrSyntax, "\"\x1f\"": ErrSyntax, "\"\xff\"": ErrSyntax, "\"\xed\xa0\x80\"": ErrSyntax, `"\`: ErrSyntax,
		`"\ud800"`: ErrHalfSurrogate, `"\udc00\ud800"`: ErrHalfSurrogate, `"\ud800\u0041"`: ErrHalfSurrogate, `{"\ud800":1}`: ErrHalfSurrogate,
		`["\ud800",]`: ErrSyntax, // the fault that makes it no JSON at all comes first
		`"\ud800\ug"`: ErrSyntax,
	} {
		var d Doc
		if err := d.Scan([]byte(text), nil); !errors.Is(err, want) {
			t.Errorf("%.40q: %v, want %v", text, err, want)
		}
	}
}

func TestMembers(t *testing.T) {
	var p Paths
	at := func(names ...string) Member {
		chain := p.Add(names...)
		return chain[len(chain)-1]
	}
	a, ob, oc, long, longer, esc, empty, list := at("a"), at("o", "b"), at("o", "c"), at("longname"), at("longname and more"), at("é\n"), at(""), at("list", "a")
	root, o := p.Add()[0], at("o")
	var d Doc
	text := []byte(`{"a":-1.50,"a":2,"o":{"c":"x\ty"},"o":{"b":1},"longname":true,"longname and less":0,"longname and more":null,"\u00e9\n":"\ud83d\ude00","":{},"list":[{"a":1}]}`)
	if err := d.Scan(text, &p); err != nil {
		t.Fatal(err)
	}
	for m, want := range map[Member]Kind{root: Object, a: Number, o: Object, ob: Missing, oc: String, long: True, longer: Null, esc: String, empty: Object, list: Missing} {
		if got := d.Kind(m); got != want {
			t.Errorf("member %d is of kind %d, want %d", m, got, want)
		}
	}
	if got := d.Number(a); got != "-1.50" {
		t.Errorf("a is %s", got)
	}
	for range 2 {
		if x, y := d.String(oc), d.String(esc); x != "x\ty" || y != "😀" {
			t.Errorf("%q, %q", x, y)
		}
	}
	if len(d.unescaped) != len("x\ty😀") {
		t.Error("a string that is read twice is unescaped twice")
	}
	if !d.Knows(&p) || d.Knows(&Paths{}) || !d.Escaped() {
		t.Error("it knows other paths than its own, or has no backslash")
	}
	if got := d.Tree().Get("o", "c").String(); got != `"x\ty"` {
		t.Errorf("the tree has %s", got)
	}
}

// However many members there are, and however alike their names, each is found.
func TestManyMembers(t *testing.T) {
	var p Paths
	var members []Member
	var text strings.Builder
	for i := range 500 {
		name := fmt.Sprintf("%smember-%d", strings.Repeat("x", i%3*4), i)
		members = append(members, p.Add(name)[1])
		fmt.Fprintf(&text, `,"other-%d":"","%s":%d`, i, name, i)
	}
	var d Doc
	if err := d.Scan([]byte("{"+text.String()[1:]+"}"), &p); err != nil {
		t.Fatal(err)
	}
	for i, m := range members {
		if d.Kind(m) != Number || d.Number(m) != strconv.Itoa(i) {
			t.Errorf("member %d is %s", i, d.Number(m))
		}
	}
}

// What was found in one text is not found in the next.
func TestDocIsUsedAgain(t *testing.T) {
	var p Paths
	a := p.Add("a")[1]
	var d Doc
	for _, tt := range []struct {
		text string
		kind Kind
	}{{`{"a":"\n"}`, String}, {`{"b":1}`, Missing}, {`{"a":`, Missing}, {`7`, Missing}, {`{"a":[]}`, List}} {
		err := d.Scan([]byte(tt.text), &p)
		if d.Kind(a) != tt.kind || d.Escaped() && tt.kind != String {
			t.Errorf("%s: kind %d, %v", tt.text, d.Kind(a), err)
		}
		if err != nil && d.Knows(&p) {
			t.Errorf("%s: it was refused and can be asked", tt.text)
		}
	}
}

func TestParseGivesATreeAlone(t *testing.T) {
	var p Paths
	p.Add("a")
	var d Doc
	if err := d.Scan([]byte(`{"a":1}`), &p); err != nil {
		t.Fatal(err)
	}
	v, err := d.Parse([]byte(`{"a":2}`))
	if err != nil || v.GetInt("a") != 2 || d.Knows(&p) {
		t.Errorf("%v, %v", v, err)
	}
	if _, err := d.Parse([]byte(nested(MaxDepth+1, ""))); err == nil {
		t.Error("nested too deep, and parsed")
	}
	big := []byte(`["` + strings.Repeat("x", keepBytes) + `"]`)
	for _, text := range [][]byte{big, []byte(`[1]`), big} {
		if v, err = d.Parse(text); err != nil || len(v.GetArray()) != 1 {
			t.Errorf("%v", err)
		}
	}
}

func TestScanAllocatesNothing(t *testing.T) {
	var p Paths
	p.Add("o", "b")
	var d Doc
	text := []byte(`{"a":"\u0041","\u006f":{"b":"x","c":[1,{"d":null}]}}`)
	if n := testing.AllocsPerRun(100, func() {
		if err := d.Scan(text, &p); err != nil {
			t.Error(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
