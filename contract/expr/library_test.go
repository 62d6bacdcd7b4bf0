// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"strings"
	"testing"
	"time"
)

const library = `{"s":"abc 12 de 345","l":[3,1.5,2,1.50,3.0],"w":["b","a","c","a"],"lines":[{"n":2,"p":1.25},{"n":3,"p":0.5}],"nested":[[1,2],[3],4,[[5]]],"empty":[],
	"price":-2.345,"n":7,"big":9223372036854775807,"ms":1700000000123,"sec":1700000000.5,"at":"2026-03-04T05:06:07.89Z","ns":"6BA7B810-9DAD-11D1-80B4-00C04FD430C8","none":null,
	"objects":[{"a":1,"b":[1.0]},{"b":[1],"a":1.0},{"a":2}]}`

func TestLibrary(t *testing.T) {
	at := func(s string) time.Time {
		out, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for src, want := range map[string]any{
		`hash.sha256("abc")`:                                                       "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		`hash.sha256(b"abc") == hash.sha256("abc")`:                                true,
		`hash.sha256(event.s).size()`:                                              int64(64),
		`uuid.v5(uuid.dns, "www.example.com")`:                                     "2ed6657d-e927-568b-95e1-2665a8aea6a2",
		`uuid.v5(event.ns, "www.example.com")`:                                     "2ed6657d-e927-568b-95e1-2665a8aea6a2",
		`uuid.v5(uuid.url, event.s) != uuid.v5(uuid.oid, key)`:                     true,
		`timestamp.fromMillis(event.ms)`:                                           at("2023-11-14T22:13:20.123Z"),
		`timestamp.fromSeconds(event.sec)`:                                         at("2023-11-14T22:13:20.5Z"),
		`timestamp.fromSeconds(1700000000)`:                                        at("2023-11-14T22:13:20Z"),
		`timestamp.fromSeconds(-0.25)`:                                             at("1969-12-31T23:59:59.75Z"),
		`timestamp.fromSeconds(0.0000000019)`:                                      at("1970-01-01T00:00:00.000000001Z"),
		`timestamp.fromMicros(1500000)`:                                            at("1970-01-01T00:00:01.5Z"),
		`truncate(timestamp(event.at), duration("15m"))`:                           at("2026-03-04T05:00:00Z"),
		`truncate(timestamp(event.at), duration("1h"))`:                            at("2026-03-04T05:00:00Z"),
		`truncate(timestamp(event.at), duration("24h"))`:                           at("2026-03-04T00:00:00Z"),
		`truncate(timestamp(event.at), duration("168h"))`:                          at("2026-03-02T00:00:00Z"), // a Monday
		`truncate(timestamp(event.at), duration("1s")) + duration("1s")`:           at("2026-03-04T05:06:08Z"),
		`duration("1h") + duration("30m") == duration("90m")`:                      true,
		`timestamp(event.at) - timestamp("2026-03-04T05:06:07Z") < duration("1s")`: true,
		`math.abs(event.price)`:                                                    decimal("2.345"), `math.abs(-7)`: int64(7), `math.abs(event.n)`: int64(7),
		`math.floor(event.price)`: decimal("-3"), `math.ceil(event.price)`: decimal("-2"), `math.floor(2.0)`: decimal("2"), `math.ceil(event.n)`: int64(7),
		`math.round(event.price, 2)`: decimal("-2.35"), `math.round(2.345, 2)`: decimal("2.35"), `math.round(0.5)`: decimal("1"), `math.round(-0.5)`: decimal("-1"),
		`math.round(-0.4)`: decimal("0"), `math.round(event.n, 2)`: int64(7), `math.round(1e30)`: decimal("1e30"), `math.round(12345678901234567890.125, 2)`: decimal("12345678901234567890.13"),
		`math.least(event.n, 2.5)`: decimal("2.5"), `math.greatest(event.n, 2.5)`: decimal("7"), `math.least(1, 2)`: int64(1), `math.greatest(event.big, 1e30)`: decimal("1e30"),
		`math.greatest(event.n, 3) * 2`: int64(14), `math.round(decimal(event.n), 1) / 2`: decimal("3.5"), `math.greatest(1, 2) / 2`: int64(1), `math.greatest(1.0, 3) / 2`: decimal("1.5"),
		`event.l.sum()`: decimal("11"), `event.empty.sum()`: int64(0), `int([1, 2].sum()) / 2`: int64(1), `[0.1, 0.2].sum()`: decimal("0.3"), `event.lines.map(x, x.n * x.p).sum()`: decimal("4"),
		`event.l.min()`: decimal("1.5"), `event.l.max()`: int64(3), `event.w.max()`: "c", `[timestamp(event.at), meta.time].min()`: at("2020-01-01T00:00:00Z"), `[duration("2h"), duration("1h")].min()`: time.Hour,
		`event.l.isSorted()`: false, `[1, 1.0, 2].isSorted()`: true, `event.empty.isSorted()`: true,
		`event.l.sort()`: []any{decimal("1.5"), decimal("1.5"), int64(2), int64(3), int64(3)}, `event.w.sort().join()`: "aabc", `event.w.reverse().join()`: "acab", `event.w.distinct().join()`: "bac",
		`event.l.distinct()`: []any{int64(3), decimal("1.5"), int64(2)}, `event.objects.distinct().size()`: int64(2), `[1, "1", true, null, 1.0, b"1"].distinct().size()`: int64(5),
		`event.nested.flatten()`: []any{int64(1), int64(2), int64(3), int64(4), []any{int64(5)}}, `event.w.slice(1, 3).join()`: "ac", `event.w.slice(0, 0)`: []any{},
		`event.w.indexOf("a")`: int64(1), `event.w.lastIndexOf("a")`: int64(3), `event.l.indexOf(1.5)`: int64(1), `event.l.indexOf(2.0)`: int64(2), `event.w.indexOf("z")`: int64(-1), `event.s.indexOf("12")`: int64(4),
		`event.w.first().orValue("")`: "b", `event.empty.last().orValue("none")`: "none",
		`event.s.find("[0-9]+")`: "12", `event.s.find("[xyz]")`: "", `event.s.findAll("[0-9]+").join("+")`: "12+345", `event.s.findAll("[0-9]+", 1)`: []any{"12"}, `event.s.findAll("x")`: []any{},
		`int(row.marks.sum()) / 2`: int64(1), `row.tags.indexOf("y")`: int64(1), `math.round(row.total / 3, 2)`: decimal("6.67"),
	} {
		for _, noFast := range []bool{false, true} {
			p, cerr := Compile(src, Options{Row: rowColumns, NoFast: noFast})
			if cerr != nil {
				t.Errorf("%s: %v", src, cerr)
				break
			}
			a := activation(t, library)
			a.Row = fullRow()
			if got, err := p.Eval(a); err != nil || !same(got, want) {
				t.Errorf("%s = %T %v, %v; want %v", src, got, got, err, want)
			}
			if again, err := Compile(p.Canonical(), Options{Row: rowColumns}); err != nil || again.Canonical() != p.Canonical() {
				t.Errorf("%s: canonical %s: %v", src, p.Canonical(), err)
			}
		}
	}
}

func TestLibraryRefuses(t *testing.T) {
	for src, want := range map[string]string{
		`hash.md5("x")`:                            "undeclared reference",
		`hash.sha256(1)`:                           "hash.sha256 does not work on (int)",
		`uuid.v4()`:                                "undeclared reference",
		`uuid.v5("x", "y")`:                        "the first operand of uuid.v5 is not a uuid",
		`truncate(meta.time, "1h")`:                "truncate does not work on (timestamp, string)",
		`math.round(1.5, -1)`:                      "not a number of digits from 0 to 100",
		`math.round(1.5, 101)`:                     "not a number of digits from 0 to 100",
		`math.round(1.5, 2.0)`:                     "math.round does not work on (decimal, decimal)",
		`math.abs(-9223372036854775808)`:           "out of the range of an int",
		`math.abs(double(1))`:                      "math.abs does not work on (double)",
		`math.random()`:                            "undeclared reference",
		`timestamp.fromSeconds(1e12)`:              "outside of the years 1 to 9999",
		`timestamp.fromSeconds(1e99)`:              "outside of the years 1 to 9999",
		`timestamp.fromMicros(-99999999999999999)`: "outside of the years 1 to 9999",
		`event.s.find(event.s)`:                    "column 19: the pattern of find is not a literal",
		`event.s.findAll("(")`:                     "the pattern is not one of RE2",
		`event.s.find("((a{1000}){1000}){3}")`:     "the pattern is not one of RE2",
		`event.s.find("a{1000}b{1000}c{1000}d{1000}e{1000}f{1000}g{1000}h{1000}i{1000}j{1000}")`: "more than 10000 steps",
		`math.greatest(event.a, 1) / 2`: "write decimal(...)",
		`[1, 2].sum("x")`:               "sum does not work on",
	} {
		if _, err := Compile(src, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", src, err, want)
		}
	}
	for src, want := range map[string]string{
		`hash.sha256(event.n)`: "", `math.abs(event.s)`: "event.s", `math.least(event.n, event.none)`: "event.none", `truncate(timestamp(event.at), duration("-1h"))`: "not a duration above zero",
		`truncate(timestamp("0001-01-01T00:00:00Z"), duration("999h") + duration(event.?d.orValue("1h")))`: "", `uuid.v5(event.s, "x")`: "the first operand of uuid.v5 is not a uuid",
		`event.empty.min()`: "min gets an empty list", `event.nested.max()`: "max does not work on a list", `event.w.sum()`: "sum gets a list with a string in it", `[event.n, event.s].sort()`: "sort does not work on a list with a string and a number in it",
		`[event.n, event.s].isSorted()`: "isSorted does not work", `event.w.slice(2, 1)`: "slice gets places that are not within its list", `event.w.slice(0, 9)`: "slice gets places", `event.w.slice(-1, 1)`: "slice gets places",
		`event.n.find("x")`: "find does not work on a number", `[event.big, 1].sum()`: "a number or time is out of range", `event.objects.sort()`: "sort does not work", `event.n.sum()`: "", `math.abs(event.objects)`: "event.objects",
		`[double(event.n), double(1)].distinct()`: "distinct does not work on a list with a double in it", `timestamp.fromSeconds(event.big)`: "outside of the years",
	} {
		for _, noFast := range []bool{false, true} {
			p, cerr := Compile(src, Options{NoFast: noFast})
			if cerr != nil {
				t.Errorf("%s: %v", src, cerr)
				break
			}
			v, err := p.Eval(activation(t, library))
			switch {
			case err == nil && src[:8] != "truncate":
				t.Errorf("%s = %v", src, v)
			case err == nil:
			case !strings.Contains(err.Error(), want):
				t.Errorf("%s: %v, want %q", src, err, want)
			case strings.Contains(err.Error(), "abc 12") || strings.Contains(err.Error(), "9223372036854775807"):
				t.Errorf("%s: an error with a value: %v", src, err)
			}
		}
	}
}

func TestLibraryIsBounded(t *testing.T) {
	doc := `{"s":"` + strings.Repeat("x", 700_000) + `","l":[` + strings.Repeat("1,", 60_000) + `1],"long":[` + strings.Repeat("1,", maxElements) + `1]}`
	for src, want := range map[string]string{
		`event.l.map(x, event.l.sum()).size()`:                  "takes more than 1000000 steps",
		`event.l.map(x, event.l.sort()).size()`:                 "takes more than 1000000 steps",
		`event.l.map(x, hash.sha256(event.s)).size()`:           "takes more than 1000000 steps",
		`event.l.map(x, event.s.split("")).size()`:              "takes more than 1000000 steps",
		`event.l.map(x, event.s.upperAscii()).size()`:           "takes more than 1000000 steps",
		`event.l.map(x, event.s.find("xx+y")).size()`:           "takes more than 1000000 steps",
		`event.long.sum()`:                                      "sum gets a list of more than 100000 elements",
		`event.long.min()`:                                      "min gets a list of more than 100000 elements",
		`event.l.map(x, event.s).distinct()`:                    "distinct looks at more than",
		`[event.l, event.l].flatten()`:                          "a list of more than 100000 elements is built",
		`[event.l + [2], event.l + [3]].indexOf(event.l + [4])`: "indexOf looks at more than 100000 elements",
		`event.s.findAll("")`:                                   "a list of more than 100000 elements is built",
		`event.s.find("(x?){800}y")`:                            "find takes more than 100000000 steps on a text",
	} {
		p, cerr := Compile(src, Options{})
		if cerr != nil {
			t.Errorf("%s: %v", src, cerr)
			continue
		}
		if v, err := p.Eval(activation(t, doc)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %.50v, %v; want %q", src, v, err, want)
		}
	}
}
