// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/apd/v3"

	"github.com/projectionist-dev/projectionist/contract/value"
)

func decimal(s string) *apd.Decimal {
	d, _, err := apd.NewFromString(s)
	if err != nil {
		panic(err)
	}
	return d
}

const order = `{"id":"o1","price":19.99,"quantity":3,"big":9007199254740993,"five":5.0,"at":"2020-02-03T04:05:06Z","tags":["a","b"],"lines":[{"n":1},{"n":2.5}],"odd key":1,
	"customer":{"name":"Ada","vip":true,"none":null}}`

func TestEval(t *testing.T) {
	tests := map[string]any{
		`event.price * event.quantity`:     decimal("59.97"),
		`0.1 * 3 == 0.3`:                   true,
		`0.1 + 0.2`:                        decimal("0.3"),
		`1e3`:                              decimal("1000"),
		`123456789012345678901234567890.5`: decimal("123456789012345678901234567890.5"),
		`event.big + 0`:                    int64(9007199254740993),
		`event.five`:                       int64(5),
		`string(event.five)`:               "5",
		`int(event.five) / 2`:              int64(2),
		`decimal(event.five) / 2`:          decimal("2.5"),
		`decimal(1) / 3`:                   decimal("0." + strings.Repeat("3", DivisionDigits)),
		`decimal(2) / 3 * 3`:               decimal("2.0000000000000000000000000000000000000001"),
		`(int(event.quantity) + 2) / size(event.tags)`:            int64(2),
		`(true ? 4 : int(event.id)) / -2`:                         int64(-2),
		`timestamp(event.at).getHours() / 2 + meta.partition / 2`: int64(3),
		`int(event.quantity) % 2`:                                 int64(1),
		`decimal("1.50")`:                                         decimal("1.5"),
		`string(decimal("1.50"))`:                                 "1.5",
		`string(decimal("1e3"))`:                                  "1000",
		`int(decimal("3.00"))`:                                    int64(3),
		`double(event.price)`:                                     19.99,
		`event.customer.name.upperAscii()`:                        "ADA",
		`event.lines.filter(l, l.n > 1.5).map(l, l.n * 2)`:        []any{decimal("5")},
		`event.lines.all(l, l.n > 0)`:                             true,
		`size(event.tags)`:                                        int64(2),
		`event.tags.join("-")`:                                    "a-b",
		`event.?customer.?phone.orValue("none")`:                  "none",
		`event.customer.none`:                                     nil,
		`event.customer.none == null`:                             true,
		`has(event.customer.none)`:                                true,
		`{"a": event.five, "b": [event.price]}`:                   map[string]any{"a": int64(5), "b": []any{decimal("19.99")}},
		`timestamp(event.at)`:                                     time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC),
		`date(timestamp(event.at))`:                               time.Date(2020, 2, 3, 0, 0, 0, 0, time.UTC),
		`timestamp(event.at).getFullYear()`:                       int64(2020),
		`timestamp(event.at) + duration("1h")`:                    time.Date(2020, 2, 3, 5, 5, 6, 0, time.UTC),
		`timestamp.fromMillis(1500)`:                              time.Date(1970, 1, 1, 0, 0, 1, 5e8, time.UTC),
		`base64.decode("AAE=")`:                                   []byte{0, 1},
		`cel.bind(x, event.price, x + x)`:                         decimal("39.98"),
		`event["odd key"]`:                                        int64(1),
		`headers.h`:                                               "2",
		`"h" in headers`:                                          true,
		`meta.position`:                                           "42",
		`meta.topic + "/" + string(meta.partition)`:               "orders/3",
		`event.price in [1, 19.99]`:                               true,
		`19.99 in event.lines`:                                    false,
		`event.lines[1].n == 2.5`:                                 true,
		`event.lines == [{"n": 1.0}, {"n": decimal("2.50")}]`:     true,
		`event.price > event.quantity && event.quantity <= 3.00`:  true,
		`event.id == "o1" || event.nothing == 1`:                  true,
	}
	for src, want := range tests {
		p, cerr := Compile(src, Options{})
		if cerr != nil {
			t.Errorf("%s: %v", src, cerr)
			continue
		}
		got, err := p.Eval(activation(t, order))
		if err != nil || !same(got, want) {
			t.Errorf("%s = %T %v, %v; want %v", src, got, got, err, want)
		}
	}
}

func TestEvalTimeIsConvert(t *testing.T) {
	for _, src := range []string{
		`timestamp(event.at)`, `event.at`, `meta.time`, `timestamp("2020-02-03T04:05:06.123456789+02:00")`, `timestamp.fromMillis(1500)`,
		`null`, `event.nothing`, `event.id`, `event.missing`, `event.price`, `timestamp(event.id)`,
	} {
		p, cerr := Compile(src, Options{})
		if cerr != nil {
			t.Errorf("%s: %v", src, cerr)
			continue
		}
		want, werr := p.Convert(activation(t, order), value.Type{Kind: value.Timestamp})
		at, ok, err := p.EvalTime(activation(t, order))
		if fmt.Sprint(err) != fmt.Sprint(werr) || ok != (want != nil) || ok && at != want {
			t.Errorf("%s = %v, %t, %v; Convert gives %v, %v", src, at, ok, err, want, werr)
		}
	}
}

// A map of CEL is a Go map: its order must not reach a result.
func TestMapsHaveAnOrder(t *testing.T) {
	for src, want := range map[string]string{
		`{"b": event.a, "c": 2, "a": 3, "d": 4, "B": 5}.map(k, k).join()`: "Babcd", `headers.map(h, h + "=" + headers[h]).join(",")`: "a=4,b=3,h=2,z=5",
		`{2: "x", 1: "y", true: "z", "s": "w"}.map(k, string(k)).join()`: "true12s", `{"x": {"b": event.a, "a": 1, "c": 1}}.x.map(k, k).join()`: "abc",
	} {
		p, cerr := Compile(src, Options{})
		if cerr != nil {
			t.Errorf("%s: %v", src, cerr)
			continue
		}
		for range 20 {
			a := activation(t, `{"a":1}`)
			a.Headers = append(a.Headers, Header{"b", []byte("3")}, Header{"a", []byte("4")}, Header{"z", []byte("5")})
			if got, err := p.EvalText(a); got != want || err != nil {
				t.Errorf("%s = %s, %v; want %s", src, got, err, want)
				break
			}
		}
	}
}

func TestCompileErrors(t *testing.T) {
	for src, want := range map[string]string{
		``:                           "the expression is empty",
		`event.`:                     "Syntax error",
		`row.status`:                 "there is no variable row; there are event, key, headers, and meta.topic",
		`evnt.a`:                     "there are event, key, headers",
		`meta.nope`:                  "undeclared reference to 'meta.nope'",
		`event.a / 2`:                "column 6: the left or right side of / may be an int or a decimal, and they divide differently: write decimal(...)",
		`2 / event.a`:                "write decimal(...) to keep the fraction, int(...) to drop it",
		`event.a % 2`:                "% works on ints: write int(...)",
		`event[?"a"].orValue(1) / 2`: "write decimal(...)",
		`(event.t ? event.l[?0].orValue(1) : 2) / 2`: "write decimal(...)",
		`(1 + event.a) / 2`:                          "write decimal(...)",
		`cel.bind(x, event.a, x / 2)`:                "write decimal(...)",
		`event.l.map(x, x / 2)`:                      "write decimal(...)",
		`decimal(event.a) % 2`:                       "% does not work on (decimal, int)",
		`1 / 0`:                                      "a division by zero",
		`decimal("x")`:                               "the operand of decimal(...) is a string that is not a number",
		`9223372036854775807 + 1`:                    "the result of + is out of the range of an int",
		`"a" + 1`:                                    "+ does not work on (string, int); convert an operand with int(...), decimal(...) or string(...)",
		`"a" == 1`:                                   "string and int are never equal",
		`double("1") == 1`:                           "double and int are never equal",
		`double("1") * 1.5`:                          "* does not work on (double, decimal)",
		`double("1") < 1`:                            "< does not work on (double, int)",
		`now()`:                                      "undeclared reference to 'now'",
		`meta.time.getHours("Asia/Tokyo")`:           "getHours does not work on",
		`1e401`:                                      "invalid double literal",
		strings.Repeat("1+", 3000) + "1":             "longer than 4096 bytes",
		strings.Repeat("(", 200) + "1" + strings.Repeat(")", 200): "recursion",
	} {
		_, err := Compile(src, Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %q", src, err, want)
		}
		if err != nil && (err.Line < 1 || err.Column < 1) {
			t.Errorf("%.60s: at %d:%d", src, err.Line, err.Column)
		}
	}
	if _, err := Compile("event.a +\n  nope", Options{}); err == nil || err.Line != 2 || err.Column != 3 {
		t.Errorf("place: %v", err)
	}
	if _, err := Compile("meta.time", Options{Scope: ScopeTopic}); err == nil {
		t.Error("an EventTopic's expression reads meta")
	}
}

func TestFailures(t *testing.T) {
	for src, want := range map[string]string{
		`event.id * 2`:              "event.id is a string, expected a number",
		`2 - event.customer`:        "event.customer is an object, expected a number",
		`event.nothing.x`:           "event.nothing is missing (write event.?nothing.orValue(...) if it may be)",
		`event.id.x`:                "event.id is a string, expected an object with the field x",
		`event.customer.none.x`:     "event.customer.none is null, expected an object with the field x",
		`event["no way"]`:           `event["no way"] is missing (write event[?"no way"].orValue(...) if it may be)`,
		`event.price && true`:       "event.price is a number, expected a bool",
		`event.lines[7].n`:          "an index is outside of its list",
		`event.lines.map(l, l.zzz)`: "a field that the expression reads is missing",
		`size(event.price)`:         "size does not work where event.price is a number",
		`int(event.price)`:          "event.price is a number with a fraction, or out of the range of an int",
		`event.big * event.big`:     "the result of * is out of the range of an int",
		`decimal(event.price) / (event.five - 5 == 0 ? decimal(0) : decimal(1))`: "a division by zero",
		`headers.nope`:   `the record has no header "nope"`,
		`event.?nothing`: "the result is an optional: add .orValue(...)",
	} {
		p, cerr := Compile(src, Options{})
		if cerr != nil {
			t.Errorf("%s: %v", src, cerr)
			continue
		}
		_, err := p.Eval(activation(t, order))
		var f *Failure
		if !errors.As(err, &f) || f.Message != want {
			t.Errorf("%s: %v, want %q", src, err, want)
		}
	}
	p, _ := Compile("key", Options{})
	if _, err := p.Eval(&Activation{}); err == nil || err.Error() != "key is null" {
		t.Errorf("null key: %v", err)
	}
	if _, err := p.Eval(&Activation{Key: []byte{0xff}}); err == nil || err.Error() != "key is not valid UTF-8" {
		t.Errorf("key: %v", err)
	}
}

// CEL quotes operands in its errors; none of that may get out.
func TestFailuresCarryNoValue(t *testing.T) {
	doc := `{"s":"CANARY(","n":77777,"o":{"CANARY(":1},"l":["CANARY("]}`
	for _, src := range []string{
		`int(event.s)`, `double(event.s)`, `bool(event.s)`, `duration(event.s)`, `timestamp(event.s)`, `decimal(event.s)`, `event[event.s]`, `event.o[event.s + "x"]`, `event.l[event.n]`,
		`event.l[event.s]`, `"x".matches(event.s)`, `event.s.matches(event.s)`, `base64.decode(event.s)`, `event.s.charAt(event.n)`, `event.s.substring(event.n)`,
		`event.s * event.n`, `-event.s`, `event.s < event.n`, `event.s in event.n`, `event.o + event.s`, `event.l + event.s`, `event.l.exists(x, x > 5)`,
		`event.s ? 1 : 2`, `uint(event.s)`, `timestamp(event.n * event.n * event.n * event.n)`, `{event.s: 1}[event.n]`, `headers[event.s]`, `event.l.map(x, int(x))`, `event.n.CANARY2`,
		`optional.none().value() == event.s`, `event.l.filter(x, x)`, `{event.l: 1}`, `[event.s][event.n]`, `event.s.split(event.n)`, `duration(event.s) > duration("1s")`,
	} {
		for _, o := range []Options{{}, {NoFast: true}} {
			p, cerr := Compile(src, o)
			if cerr != nil {
				t.Errorf("%s: %v", src, cerr)
				continue
			}
			if _, err := p.Eval(activation(t, doc)); err == nil {
				t.Errorf("%s: no error", src)
			} else if strings.Contains(err.Error(), "CANARY(") || strings.Contains(err.Error(), "7777") {
				t.Errorf("%s: %v", src, err)
			}
		}
	}
}

func TestCostIsBounded(t *testing.T) {
	doc := `{"l":[` + strings.Repeat("1,", 2000) + `1]}`
	p, cerr := Compile(`event.l.all(x, event.l.all(y, event.l.all(z, x + y + z > 0)))`, Options{})
	if cerr != nil {
		t.Fatal(cerr)
	}
	_, err := p.Eval(activation(t, doc))
	if err == nil || !strings.Contains(err.Error(), "takes more than 1000000 steps") {
		t.Errorf("%v", err)
	}
}

// Each of these would take far more memory or time than its text and event do.
func TestWhatIsBuiltIsBounded(t *testing.T) {
	doc := `{"s":"` + strings.Repeat("x", 700_000) + `","l":[` + strings.Repeat("1,", 60_000) + `1]}`
	nested := "event.l"
	for range 16 {
		nested = "cel.bind(x, " + nested + ", [x, x])"
	}
	for _, src := range []string{
		`event.s + event.s`, `string(event.s) + event.s == ""`, `event.s.replace("", event.s)`, `event.s.replace("x", "yyy", 500000)`, `event.l.map(x, event.s).join()`,
		`[event.s, event.s].join(",")`, `event.l + event.l`, nested, nested + " == " + nested, `bytes(event.s) + bytes(event.s)`,
	} {
		for _, o := range []Options{{}, {NoFast: true}} {
			p, cerr := Compile(src, o)
			if cerr != nil {
				t.Errorf("%.60s: %v", src, cerr)
				continue
			}
			if _, err := p.Eval(activation(t, doc)); err == nil {
				t.Errorf("%.60s: no error", src)
			}
		}
	}
}

func TestCanonicalAndPaths(t *testing.T) {
	for _, same := range [][]string{{`event.a`, ` event . a `, `(event.a)`}, {`'x' + event.b`, `"x"+event.b`}, {`1.50`, `1.5`}} {
		first, _ := Compile(same[0], Options{})
		for _, src := range same[1:] {
			if p, err := Compile(src, Options{}); err != nil || p.Canonical() != first.Canonical() {
				t.Errorf("%s and %s differ: %v", same[0], src, err)
			}
		}
	}
	all := Options{Row: rowColumns, Item: true}
	for _, src := range expressions {
		p, err := Compile(src, all)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Compile(p.Canonical(), all)
		if err != nil || again.Canonical() != p.Canonical() || again.Type() != p.Type() {
			t.Errorf("%s: canonical %s: %v", src, p.Canonical(), err)
		}
	}
	for src, want := range map[string][]string{
		`event.a.b + event.c`: {"event.a.b", "event.c"}, `has(event.a.b)`: {"event.a.b"}, `event.?a.b.orValue(event.z)`: {"event.a.b", "event.z"},
		`event`: {"event"}, `event["odd key"].x`: {`event["odd key"].x`}, `event.l.map(x, x.y)`: {"event.l"}, `key`: {}, `1`: {}, `event[key]`: {"event"},
	} {
		p, err := Compile(src, Options{})
		if err != nil || !slices.Equal(p.Paths(), want) {
			t.Errorf("%s: %v, %v", src, p.Paths(), err)
		}
	}
	for src, constant := range map[string]bool{`1 + 1`: true, `"x"`: true, `event.a`: false, `key`: false, `meta.time`: false, `size(headers)`: false, `[1].map(x, x)`: true} {
		if p, err := Compile(src, Options{}); err != nil || p.IsConstant() != constant {
			t.Errorf("%s: %v", src, err)
		}
	}
}

func TestCheckColumn(t *testing.T) {
	for _, tt := range []struct {
		src, typ, err string
	}{
		{`event.a`, "int32", ""}, {`"x"`, "text", ""}, {`1`, "decimal(12,2)", ""}, {`1.5`, "int32", "a number with a fraction"}, {`'x'`, "int32", "is a string, expected a number"},
		{`meta.time`, "timestamp", ""}, {`meta.time`, "date", ""}, {`meta.time`, "text", "the column is text, the expression is timestamp; write string(...)"},
		{`string(event.a)`, "int64", "the expression is string; write int(...)"}, {`double(event.a)`, "decimal(12,2)", "the expression is double; write decimal(...)"},
		{`event.a == 1`, "bool", ""}, {`event.l.map(x, x)`, "text[]", ""}, {`event.a + "x"`, "text[]", "write a list"}, {`null`, "text", ""}, {`event.?a`, "text", "the expression is optional"},
		{`'2020-13-01'`, "date", "not a date"}, {`{"a": event.a}`, "json", ""}, {`-1`, "int32", ""},
	} {
		p, cerr := Compile(tt.src, Options{})
		if cerr != nil {
			t.Errorf("%s: %v", tt.src, cerr)
			continue
		}
		err := p.CheckColumn(value.MustParse(tt.typ))
		if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s as %s: %v, want %q", tt.src, tt.typ, err, tt.err)
		}
	}
}

func TestEqualsKey(t *testing.T) {
	for _, tt := range []struct {
		src, key string
		want     bool
		err      string
	}{
		{`event.id`, "o1", true, ""}, {`event.id`, "o2", false, ""}, {`event.five`, "5", true, ""}, {`event.five`, "5.0", false, ""}, {`event.customer.vip`, "true", true, ""},
		{`timestamp(event.at)`, "2020-02-03T04:05:06Z", true, ""}, {`event.price`, "19.99", false, "event.price is a decimal, expected"}, {`event.customer`, "x", false, "an object, expected"},
		{`event.id + "/" + event.id`, "o1/o1", true, ""}, {`event.tags.join("")`, "ab", true, ""},
	} {
		p, cerr := Compile(tt.src, Options{})
		if cerr != nil {
			t.Fatal(cerr)
		}
		a := activation(t, order)
		a.Key = []byte(tt.key)
		got, err := p.EqualsKey(a)
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s, key %s: %v, %v", tt.src, tt.key, got, err)
		}
	}
}

func TestAProgramIsSafeForConcurrentUse(t *testing.T) {
	p, cerr := Compile(`event.lines.map(l, l.n * 2) == [2, 5] && event.price * 2 > 39.97`, Options{})
	if cerr != nil {
		t.Fatal(cerr)
	}
	var wg sync.WaitGroup
	for range 8 {
		a := activation(t, order)
		wg.Go(func() {
			for range 200 {
				if ok, err := p.EvalBool(a); !ok || err != nil {
					t.Errorf("%v, %v", ok, err)
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkEval(b *testing.B) {
	for _, src := range []string{`event.customer.name`, `event.price * event.quantity`, `event.quantity > 2 && event.customer.vip`, `event.tags.join("-")`} {
		for name, o := range map[string]Options{"closures": {}, "CEL": {NoFast: true}} {
			b.Run(name+"/"+src, func(b *testing.B) {
				p, err := Compile(src, o)
				if err != nil {
					b.Fatal(err)
				}
				a := activation(b, order)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := p.Eval(a); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
