// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/apd/v3"
	"github.com/valyala/fastjson"
	"pgregory.net/rapid"

	"github.com/projectionist-dev/projectionist/contract/jsondoc"
	"github.com/projectionist-dev/projectionist/contract/value"
)

var documents = []string{
	`{}`, `null`, `[]`, `5`, `"s"`, `true`,
	`{"a":1,"b":2.50,"s":"x","t":true,"n":null,"o":{"a":3,"b":"y"},"l":[1,2.5,"x",null]}`,
	`{"a":5.0,"b":5,"s":"","t":false,"n":null,"o":{},"l":[]}`,
	`{"a":9007199254740993,"b":9223372036854775807,"s":"9223372036854775808","o":{"a":-9223372036854775808}}`,
	`{"a":` + strings.Repeat("9", 101) + `,"b":1}`,
	`{"a":9223372036854775808,"b":-9223372036854775809,"s":"1e3","o":{"a":1e400,"b":1e401}}`,
	`{"a":-0,"b":-0.0,"s":"-0","o":{"a":0e10,"b":1E-3}}`,
	`{"a":1e2,"b":1.0e+2,"s":"100","o":{"a":100.0}}`,
	`{"a":1,"a":2,"o":{"b":1,"b":"two"}}`,
	`{"\u0061":1,"a":2,"s":"\u00e9\n\ud83d\ude00","o":{"\u0062":"esc"}}`,
	`{"a":"2020-01-01T00:00:00Z","b":"2020-01-01T01:00:00.123456789+01:00","s":"2020-1-1T00:00:00Z"}`,
	`{"a":"9999-12-31T23:59:59Z","b":"0000-01-01T00:00:00Z","s":"2020-01-01T00:00:00,5Z","o":{"a":"2020-01-01T00:00:00+24:00"}}`,
	`{"a":{"a":1},"b":{"a":1.0},"s":[1],"o":{"a":[1,2],"b":[1,2.0]},"l":[[1]]}`,
	`{"a":"1.5","b":1.5,"s":"1_000","o":{"a":"0x10","b":"NaN"}}`,
	`{"a":123456789012345678901234567890.123456789,"b":0.1,"s":"0.1","o":{"a":0.30}}`,
	`{"o":"string","l":{"a":1},"a":[],"n":0,"t":"true"}`,
	`{"a":` + strings.Repeat("9", 101) + `,"b":1e-400,"o":{"a":1e-401}}`,
}

var expressions = []string{
	`event`, `event.a`, `event.o.a`, `event.o.b.c`, `event["s"]`, `event.l`, `key`, `headers.h`, `headers["none"]`,
	`meta.topic`, `meta.partition`, `meta.position`, `meta.time`, `meta.type == ""`, `meta.id`,
	`has(event.a)`, `has(event.o.a)`, `has(event.l.a)`, `!has(event.n)`,
	`event.?a.orValue(7)`, `event.?o.a.orValue("none")`, `event.o.?b.orValue(event.a)`, `event.?o.?b.orValue(null)`, `event.?l.a.orValue(1)`,
	`event.a == 5`, `event.a == 5.0`, `event.a == event.b`, `event.o.a != event.b`, `event.s == "x"`, `event.n == null`, `event.a == event.o`, `event.o == event.l`,
	`event.l == event.l`, `event.a < event.b`, `event.a >= 1.5`, `event.s > "a"`, `event.t < true`, `event.n < null`, `event.s <= event.a`,
	`event.a + event.b`, `event.a - event.b`, `event.a * event.b`, `event.a + 1`, `event.b * -1.25`, `-event.a`, `-event.b`, `event.s + "!"`, `event.s + event.a`, `event.l + event.l`,
	`event.a in [1, 2.5, "x", null]`, `event.o.a in [3]`, `event.t in [true]`,
	`event.t && event.a == 1`, `event.zzz || event.t`, `event.t || event.zzz`, `event.zzz && event.t`, `!event.t`, `event.a && event.b`,
	`event.t ? event.a : event.b`, `event.n ? 1 : 2`, `event.t ? 1 : event.s`,
	`string(event.a)`, `string(event.b)`, `string(event.t)`, `string(event.n)`, `int(event.a)`, `int(event.s)`, `int(event.b)`, `int(event.o.a)`,
	`decimal(event.a)`, `decimal(event.s)`, `decimal(event.o.a)`, `decimal(event.o.b)`, `timestamp(event.a)`, `timestamp(event.b)`, `timestamp(event.s)`, `timestamp(event.o.a)`,
	`timestamp.fromMillis(event.a)`, `timestamp.fromMillis(event.b)`, `timestamp(event.a) < timestamp(event.b)`, `timestamp(event.a) == meta.time`,
	`item`, `item.a`, `item.?b.orValue(index)`, `has(item.a)`, `item.b == event.b`, `index + event.a`, `item.a * index`,
	`row.id`, `row.note`, `row.open`, `row.n`, `row.big`, `row.ratio`, `row.total`, `row.limit`, `row.at`, `row.seen`, `row.day`, `row.clock`, `row.uid`, `row.doc`, `row.raw`, `row.tags`, `row["in"]`,
	`row.doc.a`, `row.doc.b.c + event.b`, `row.doc["k\nl"]`, `row.doc["k\\nl"]`, `row.doc.?a.orValue(row.n)`, `has(row.doc.b)`, `row.nil == null`, `row.note == null`, `row.limit != null && row.limit > row.total`,
	`row.total + event.a`, `row.total * row.limit`, `row.n * event.b`, `row.note + event.s`, `row.at < row.seen`, `row.day == timestamp(event.a)`, `row.uid == event.s`, `string(row.total)`, `row.id in ["o1", null]`, `-row.total`, `row.total == 20`,
	`hash.sha256(event.s)`, `uuid.v5(uuid.dns, event.s)`, `uuid.v5(event.s, key)`, `uuid.v5(row.uid, event.s)`, `timestamp.fromSeconds(event.a)`, `timestamp.fromSeconds(event.b)`, `timestamp.fromMicros(event.a)`,
	`truncate(timestamp(event.a), duration("90m"))`, `truncate(row.at, duration("24h")) == row.day`, `duration("1h") == duration("60m")`, `meta.time + duration("1h")`, `row.seen - row.at > duration("1s")`, `duration("1h") < duration("2h")`,
	`math.abs(event.a)`, `math.abs(event.b)`, `math.floor(event.b)`, `math.ceil(event.o.a)`, `math.round(event.b)`, `math.round(event.a, 1)`, `math.round(event.o.b, 20)`, `math.round(event.b, event.a)`, `math.least(event.a, event.b)`,
	`math.greatest(event.a, event.b)`, `math.greatest(row.total, event.b)`, `math.least(row.n, index)`, `has(event.a.b)`, `event.a.?b.orValue("")`, `event.?a.b.orValue("")`, `event.l.sum()`, `event.l.sort()`, `event.s.find("[a-z]+")`,
	`string(timestamp(event.b))`, `string(decimal(event.s)) + "x"`, `decimal("1.10") == 1.1`, `1 in [1.0]`,
}

func activation(t testing.TB, doc string) *Activation {
	t.Helper()
	v, err := fastjson.Parse(doc)
	if err != nil {
		t.Fatal(err)
	}
	return &Activation{
		Event: v, Escaped: strings.Contains(doc, `\`), Key: []byte("k"), Headers: []Header{{"h", []byte("1")}, {"h", []byte("2")}},
		Topic: "orders", Partition: 3, Offset: 42, Time: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), Index: 7,
	}
}

// everything is all that an expression may name, in a row and an item that the event decides on.
func everything(t testing.TB, doc string) *Activation {
	t.Helper()
	a := activation(t, doc)
	a.Row = fullRow()
	if len(doc)%2 == 0 {
		a.Row = emptyRow()
	}
	a.Item = a.Event.Get("o")
	return a
}

// same tells whether two results are the same, decimals by value.
func same(x, y any) bool {
	switch x := x.(type) {
	case *apd.Decimal:
		y, ok := y.(*apd.Decimal)
		return ok && x.Cmp(y) == 0
	case []any:
		y, ok := y.([]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for i := range x {
			if !same(x[i], y[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		y, ok := y.(map[string]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for k := range x {
			if !same(x[k], y[k]) {
				return false
			}
		}
		return true
	case time.Time:
		y, ok := y.(time.Time)
		return ok && x.Equal(y)
	}
	return reflect.DeepEqual(x, y)
}

// exactly is same, with the spelling of decimals, which a json column shows.
func exactly(x, y any) bool {
	dx, ok1 := x.(*apd.Decimal)
	dy, ok2 := y.(*apd.Decimal)
	if ok1 && ok2 {
		return dx.Text('G') == dy.Text('G')
	}
	return same(x, y)
}

var columnTypes = func() (out []value.Type) {
	for _, s := range []string{"text", "bool", "int32", "int64", "float64", "decimal(12,2)", "decimal(38,20)", "decimal(3,3)", "timestamp", "date", "time", "uuid", "json", "bytes", "text[]", "decimal(9,1)[]"} {
		out = append(out, value.MustParse(s))
	}
	return out
}()

// scanned is everything with the event's members in place of its tree.
func scanned(t testing.TB, doc string, members *jsondoc.Paths) *Activation {
	t.Helper()
	a := everything(t, doc)
	a.Event, a.Members = nil, new(jsondoc.Doc)
	if err := a.Members.Scan([]byte(doc), members); err != nil {
		t.Fatal(err)
	}
	return a
}

// differ fails the test where closures and CEL do not agree on the events, or
// closures over the tree and over members of the text.
func differ(t testing.TB, src string, docs ...string) {
	t.Helper()
	var members jsondoc.Paths
	picked, err0 := Compile(src, Options{Row: rowColumns, Item: true, Members: &members})
	fast, err1 := Compile(src, Options{Row: rowColumns, Item: true})
	slow, err2 := Compile(src, Options{Row: rowColumns, Item: true, NoFast: true})
	if (err1 == nil) != (err2 == nil) || (err1 == nil) != (err0 == nil) {
		t.Fatalf("%s: compiled: over members %v, fast %v, CEL %v", src, err0, err1, err2)
	}
	if err1 != nil {
		return
	}
	for _, doc := range docs {
		differOn(t, src, fast, slow, doc)
		a := scanned(t, doc, &members)
		for range 2 {
			x, errX := fast.Eval(everything(t, doc))
			y, errY := picked.Eval(a)
			if (errX == nil) != (errY == nil) || errX == nil && !exactly(x, y) || errX != nil && errX.Error() != errY.Error() {
				t.Fatalf("%s over %s:\ntree    %T %v, %v\nmembers %T %v, %v", src, doc, x, x, errX, y, y, errY)
			}
		}
	}
}

func differOn(t testing.TB, src string, fast, slow *Program, doc string) {
	t.Helper()
	x, errX := fast.Eval(everything(t, doc))
	y, errY := slow.Eval(everything(t, doc))
	if (errX == nil) != (errY == nil) || errX == nil && !exactly(x, y) {
		t.Fatalf("%s over %s:\nfast %T %v, %v\nCEL  %T %v, %v", src, doc, x, x, errX, y, y, errY)
	}
	if fast.fast == nil {
		return
	}
	// One Activation for all, as a worker has it: values that are used again must not leak.
	a, b := everything(t, doc), everything(t, doc)
	for _, typ := range columnTypes {
		for name, by := range map[string]func(*Program, *Activation) (value.Value, error){
			"Convert":    func(p *Program, a *Activation) (value.Value, error) { return p.Convert(a, typ) },
			"ConvertKey": func(p *Program, a *Activation) (value.Value, error) { return p.ConvertKey(a, typ) },
		} {
			x, errX := by(fast, a)
			y, errY := by(slow, b)
			if (errX == nil) != (errY == nil) || errX == nil && (reflect.TypeOf(x) != reflect.TypeOf(y) || value.Compare(x, y) != 0 || typ.Format(x) != typ.Format(y)) {
				t.Fatalf("%s of %s to %s over %s:\nfast %T %v, %v\nCEL  %T %v, %v", name, src, typ, doc, x, x, errX, y, y, errY)
			}
		}
	}
}

func TestFastEqualsCEL(t *testing.T) {
	for _, src := range expressions {
		differ(t, src, documents...)
	}
}

// What is at fixed paths is read without a tree of the event, and events that were
// not scanned for a program's members are read through their tree.
func TestMembersSpareTheTree(t *testing.T) {
	var members, others jsondoc.Paths
	p, err := Compile(`event.o.a == 3 && has(event.n) && event.?zzz.orValue(event.b) * 2 > 1 ? event.s : "none"`, Options{Members: &members})
	if err != nil {
		t.Fatal(err)
	}
	doc := `{"a":1,"b":2.50,"s":"x","n":null,"o":{"a":3}}`
	text := []byte(doc)
	a := &Activation{Members: new(jsondoc.Doc)}
	if err := a.Members.Scan(text, &members); err != nil {
		t.Fatal(err)
	}
	text[0] = '#' // to make a tree of it would panic
	if v, err := p.Eval(a); err != nil || v != "x" {
		t.Errorf("%v, %v", v, err)
	}
	others.Add("o")
	if v, err := p.Eval(scanned(t, doc, &others)); err != nil || v != "x" {
		t.Errorf("with members of another program: %v, %v", v, err)
	}
}

func TestExpressionsOfTheTableCompileAndMostAreFast(t *testing.T) {
	slow := 0
	for _, src := range expressions {
		p, err := Compile(src, Options{Row: rowColumns, Item: true})
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		if p.fast == nil {
			slow++
			t.Logf("in CEL: %s", src)
		}
	}
	if slow > len(expressions)/10 {
		t.Errorf("%d of %d expressions are evaluated in CEL", slow, len(expressions))
	}
}

// genExpr generates expressions of the shapes that the closures know.
func genExpr(t *rapid.T, depth int) string {
	leaf := func() string {
		return rapid.SampledFrom([]string{
			`event.a`, `event.b`, `event.s`, `event.t`, `event.n`, `event.o.a`, `event.o.b`, `event.l`, `event.zzz`, `event.?zzz.orValue(1)`, `event.?o.a.orValue("d")`,
			`row.note`, `row.total`, `row.limit`, `row.big`, `row.doc.a`, `row.open`, `row.seen`, `item.a`, `item.?b.orValue(2)`, `index`,
			`duration("1h")`, `uuid.dns`, `1`, `0`, `-1`, `2.50`, `0.1`, `9223372036854775807`, `"x"`, `""`, `"5"`, `true`, `false`, `null`, `key`, `meta.partition`, `has(event.a)`, `has(event.o.b)`,
		}).Draw(t, "leaf")
	}
	if depth == 0 {
		return leaf()
	}
	sub := func() string { return genExpr(t, depth-1) }
	switch rapid.IntRange(0, 8).Draw(t, "shape") {
	case 8:
		return rapid.SampledFrom([]string{"math.least", "math.greatest", "math.round", "uuid.v5", "truncate"}).Draw(t, "binary") + "(" + sub() + ", " + sub() + ")"
	case 0:
		return leaf()
	case 1:
		return "(" + sub() + rapid.SampledFrom([]string{" == ", " != ", " < ", " <= ", " > ", " >= "}).Draw(t, "cmp") + sub() + ")"
	case 2:
		return "(" + sub() + rapid.SampledFrom([]string{" + ", " - ", " * "}).Draw(t, "arith") + sub() + ")"
	case 3:
		return "(" + sub() + rapid.SampledFrom([]string{" && ", " || "}).Draw(t, "logic") + sub() + ")"
	case 4:
		return "(" + sub() + " ? " + sub() + " : " + sub() + ")"
	case 5:
		return rapid.SampledFrom([]string{"string", "int", "decimal", "timestamp", "timestamp.fromMillis", "timestamp.fromSeconds", "hash.sha256", "math.abs", "math.floor", "math.round", "!", "-"}).Draw(t, "unary") + "(" + sub() + ")"
	case 6:
		return "(" + sub() + ` in [1, 2.5, "x", null, true])`
	default:
		return `event.?` + rapid.SampledFrom([]string{"a", "o.a", "o.?b", "zzz"}).Draw(t, "opt") + ".orValue(" + sub() + ")"
	}
}

func TestFastEqualsCELOnGeneratedExpressions(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		src := genExpr(rt, rapid.IntRange(1, 3).Draw(rt, "depth"))
		doc := rapid.SampledFrom(documents).Draw(rt, "doc")
		differ(t, src, doc)
	})
}

func FuzzFastEqualsCEL(f *testing.F) {
	for i, src := range expressions {
		f.Add(src, documents[i%len(documents)])
	}
	f.Fuzz(func(t *testing.T, src, doc string) {
		var scan jsondoc.Doc
		if scan.Scan([]byte(doc), nil) != nil {
			return // not a payload that the codec lets through
		}
		differ(t, src, doc)
	})
}
