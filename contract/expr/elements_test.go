// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"fmt"
	"strings"
	"testing"

	"github.com/valyala/fastjson"
)

func TestElements(t *testing.T) {
	const doc = `{"l":[{"n":1.50},2,"x",null],"empty":[],"o":{"b":1,"a":{"x":2},"b":3,"\u0061":4,"B":5},"n":null,"s":"x","at":"2020-02-03T04:05:06Z"}`
	for _, tt := range []struct {
		src  string
		want string
		err  string
	}{
		{`event.l`, `{"n":1.50} 2 "x" null`, ""},
		{`event.empty`, ``, ""},
		{`event.o`, `{"key":"B","value":5} {"key":"a","value":{"x":2}} {"key":"b","value":1}`, ""},
		{`event.?gone.orValue([])`, ``, ""},
		{`event.?gone.orValue(event.l)`, `{"n":1.50} 2 "x" null`, ""},
		{`event.l.filter(x, x != null)`, `{"n":1.50} 2 "x"`, ""},
		{`event.l.map(x, {"of": event.s, "x": x, "d": 0.10, "l": [true, null, double(1)], "at": timestamp(event.at)})`,
			`{"at":"2020-02-03T04:05:06Z","d":0.1,"l":[true,null,1],"of":"x","x":{"n":1.50}} {"at":"2020-02-03T04:05:06Z","d":0.1,"l":[true,null,1],"of":"x","x":2} ` +
				`{"at":"2020-02-03T04:05:06Z","d":0.1,"l":[true,null,1],"of":"x","x":"x"} {"at":"2020-02-03T04:05:06Z","d":0.1,"l":[true,null,1],"of":"x","x":null}`, ""},
		{`{"y": 1, "x": event.n}`, `{"key":"x","value":null} {"key":"y","value":1}`, ""},
		{`["a", key]`, `"a" "k"`, ""},
		{`row.doc.lines`, `1 2`, ""},
		{`row.tags`, `"x" "y"`, ""},
		{`event.gone`, "", "event.gone is missing"},
		{`event.n`, "", "event.n is null, expected a list or an object"},
		{`event.s`, "", "event.s is a string, expected a list or an object"},
		{`event.?l`, "", "the result is an optional"},
		{`[b"x"]`, "", "the result has bytes in it"},
		{`{1: 2}`, "", "a key that is not a string"},
	} {
		for _, noFast := range []bool{false, true} {
			p, cerr := Compile(tt.src, Options{Row: rowColumns, NoFast: noFast})
			if cerr != nil {
				if tt.err == "" || !strings.Contains(cerr.Message, tt.err) {
					t.Errorf("%s: %v", tt.src, cerr)
				}
				continue
			}
			a := activation(t, doc)
			a.Row = fullRow()
			a.Row[13] = jsonColumn(`{"lines":[1,2]}`)
			var e Elements
			for range 2 { // the arena is used again
				err := p.Elements(a, &e)
				var got []string
				for _, v := range e.Items {
					got = append(got, v.String())
				}
				if strings.Join(got, " ") != tt.want && err == nil || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
					t.Errorf("%s: %s, %v", tt.src, got, err)
				}
			}
		}
	}
}

func TestElementsAreBounded(t *testing.T) {
	list := `[` + strings.Repeat("1,", MaxElements) + `1]`
	var members strings.Builder
	for i := range MaxElements + 1 {
		fmt.Fprintf(&members, `"k%d":1,`, i)
	}
	doc := `{"l":` + list + `,"o":{` + strings.TrimSuffix(members.String(), ",") + `}}`
	var e Elements
	for _, src := range []string{`event.l`, `event.o`, `event.l.map(x, x)`} {
		p, cerr := Compile(src, Options{})
		if cerr != nil {
			t.Fatal(cerr)
		}
		if err := p.Elements(activation(t, doc), &e); err == nil || !strings.Contains(err.Error(), "has more than 10000 elements") {
			t.Errorf("%s: %v", src, err)
		}
	}
	p, _ := Compile(`event.l.filter(x, x == 1)[0] == 1 ? event.?none.orValue(event.l.map(x, x)) : []`, Options{})
	if err := p.Elements(activation(t, `{"l":[`+strings.Repeat("1,", MaxElements-1)+`1]}`), &e); err != nil || len(e.Items) != MaxElements {
		t.Errorf("%d, %v", len(e.Items), err)
	}
}

func TestItem(t *testing.T) {
	each, cerr := Compile(`event.lines`, Options{})
	if cerr != nil {
		t.Fatal(cerr)
	}
	for src, want := range map[string]string{
		`string(item.n * 2) + "@" + string(index)`: "2@0 5@1", `string(event.quantity * item.n)`: "3 7.5", `item.?x.orValue(key)`: "k k", `has(item.n) ? event.id + string(index) : ""`: "o10 o11",
		`event.lines.map(item, string(item.n)).join("+")`: "1+2.5 1+2.5", `item == event.lines[1] ? "last" : "first"`: "first last",
	} {
		for _, noFast := range []bool{false, true} {
			p, cerr := Compile(src, Options{Item: true, NoFast: noFast})
			if cerr != nil {
				t.Errorf("%s: %v", src, cerr)
				continue
			}
			a := activation(t, order)
			var e Elements
			if err := each.Elements(a, &e); err != nil {
				t.Fatal(err)
			}
			var got []string
			for i, v := range e.Items {
				a.Item, a.Index = v, int64(i)
				s, err := p.EvalText(a)
				if err != nil {
					t.Errorf("%s: %v", src, err)
				}
				got = append(got, s)
			}
			if strings.Join(got, " ") != want {
				t.Errorf("%s: %v, want %s", src, got, want)
			}
		}
	}
	for src, want := range map[string]string{
		`item.sku`: "item.sku is missing (write item.?sku.orValue(...) if it may be)", `item.n.x`: "item.n is a number, expected an object with the field x", `item.n + "x"`: "item.n is a number",
	} {
		p, cerr := Compile(src, Options{Item: true})
		if cerr != nil {
			t.Fatal(cerr)
		}
		a := activation(t, order)
		a.Item = fastjson.MustParse(`{"n":1}`)
		if _, err := p.Eval(a); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", src, err, want)
		}
	}
}

func TestAMemberOfAnObjectIsAnItem(t *testing.T) {
	each, _ := Compile(`event.stock`, Options{})
	p, _ := Compile(`item.key + "=" + string(item.value.n)`, Options{Item: true})
	a := activation(t, `{"stock":{"\u0062":{"n":2},"a":{"\u006e":1}}}`)
	var e Elements
	if err := each.Elements(a, &e); err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, v := range e.Items {
		a.Item, a.Index = v, int64(i)
		s, err := p.EvalText(a)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, s)
	}
	if strings.Join(got, " ") != "a=1 b=2" {
		t.Error(got)
	}
}

func TestEvalJSON(t *testing.T) {
	for src, want := range map[string]string{
		`event.price`: `19.99`, `event.customer`: `{"name":"Ada","vip":true,"none":null}`, `event.price * 10`: `199.9`, `"a\n" + event.id`: `"a\no1"`, `event.customer.none`: `null`,
		`event.customer.vip`: `true`, `{"x": event.lines}`: `{"x":[{"n":1},{"n":2.5}]}`, `meta.time`: `"2020-01-01T00:00:00Z"`, `event.big`: `9007199254740993`, `2 * 1e30`: `2000000000000000000000000000000`,
	} {
		for _, noFast := range []bool{false, true} {
			p, cerr := Compile(src, Options{NoFast: noFast})
			if cerr != nil {
				t.Fatal(cerr)
			}
			var arena fastjson.Arena
			v, err := p.EvalJSON(activation(t, order), &arena)
			if err != nil || v.String() != want {
				t.Errorf("%s: %v, %v; want %s", src, v, err, want)
			}
		}
	}
}
