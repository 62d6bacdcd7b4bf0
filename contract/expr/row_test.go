// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/contract/value"
)

// rowColumns has a column of every type that a row holds, each once NOT NULL and once nullable, but for a few.
var rowColumns = func() []Column {
	var out []Column
	for _, c := range []struct {
		name, typ string
		notNull   bool
	}{
		{"id", "text", true}, {"note", "text", false}, {"open", "bool", true}, {"n", "int32", true}, {"big", "int64", false},
		{"ratio", "float64", false}, {"total", "decimal(12,2)", true}, {"limit", "decimal(12,2)", false}, {"at", "timestamp", true},
		{"seen", "timestamp", false}, {"day", "date", false}, {"clock", "time", false}, {"uid", "uuid", false}, {"doc", "json", false},
		{"raw", "bytes", false}, {"tags", "text[]", false}, {"marks", "int64[]", true}, {"in", "text", false}, {"package", "text", false}, {"nil", "json", false},
	} {
		out = append(out, Column{c.name, value.MustParse(c.typ), c.notNull})
	}
	return out
}()

func fullRow() []value.Value {
	uid, _ := value.MustParse("uuid").ParseText("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
	return []value.Value{
		"o1", "a note", true, int64(3), int64(9007199254740993),
		0.5, decimal("20.00"), decimal("30.50"), time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC),
		time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2020, 2, 3, 0, 0, 0, 0, time.UTC), value.TimeOfDay(15 * 3600e6), uid, value.JSON(`{"a":1,"b":{"c":2.5},"k\nl":"x"}`),
		[]byte{1, 2}, []value.Value{"x", "y"}, []value.Value{int64(1), int64(2)}, "inside", "boxed", value.JSON("null"),
	}
}

// emptyRow has NULL wherever it may be.
func emptyRow() []value.Value {
	row := fullRow()
	for i, c := range rowColumns {
		if !c.NotNull {
			row[i] = nil
		}
	}
	return row
}

var rowOptions = Options{Row: rowColumns}

func TestRow(t *testing.T) {
	for src, want := range map[string]any{
		`row.id`: "o1", `row.note`: "a note", `row.note == null ? "none" : row.note`: "a note", `row.open && row.n > 2`: true,
		`row.n + 1`: int64(4), `row.big - 1`: int64(9007199254740992), `row.ratio`: 0.5, `row.total * 2`: decimal("40"), `row.total / 3 > 6.66`: true,
		`row.n / 2`: int64(1), `row.total + event.quantity`: decimal("23"), `row.at < row.seen`: true, `row.at`: time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC),
		`row.day`: time.Date(2020, 2, 3, 0, 0, 0, 0, time.UTC), `date(row.at) == row.day`: true, `row.clock`: "15:00:00", `row.uid`: "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
		`row.doc.b.c`: decimal("2.5"), `row.doc["k\nl"]`: "x", `row.doc.?zzz.orValue(7)`: int64(7), `has(row.doc.a)`: true, `row.doc`: map[string]any{"a": int64(1), "b": map[string]any{"c": decimal("2.5")}, "k\nl": "x"},
		`row.raw`: []byte{1, 2}, `row.tags`: []any{"x", "y"}, `"x" in row.tags`: true, `row.tags.map(t, t + row.id)`: []any{"xo1", "yo1"}, `row.marks[1] * 2`: int64(4),
		`row["in"] + row["id"]`: "insideo1", `row.package`: "boxed", `row.nil == null`: true, `row.nil`: nil,
		`event.tags.map(row, row + "!")`: []any{"a!", "b!"}, `event.lines.map(row, row.n)`: []any{int64(1), decimal("2.5")}, `event.lines.map(x, x.n * row.total)`: []any{decimal("20"), decimal("50")},
		`row.total == 20 && row.total != event.price`: true, `row.id in ["o1"]`: true, `string(row.total)`: "20", `event.?gone.orValue(row.note)`: "a note",
		`row.open ? null : row.limit`: nil, `row.open ? row.note : null`: "a note", `row.open ? row.limit : null`: decimal("30.5"),
	} {
		for _, noFast := range []bool{false, true} {
			o := rowOptions
			o.NoFast = noFast
			p, cerr := Compile(src, o)
			if cerr != nil {
				t.Errorf("%s: %v", src, cerr)
				continue
			}
			a := activation(t, order)
			a.Row = fullRow()
			if got, err := p.Eval(a); err != nil || !same(got, want) {
				t.Errorf("%s = %T %v, %v; want %v", src, got, got, err, want)
			}
		}
	}
}

func TestNullColumns(t *testing.T) {
	for _, c := range rowColumns {
		if c.NotNull {
			continue
		}
		src := variableText("row." + c.Name)
		for _, noFast := range []bool{false, true} {
			p, cerr := Compile(src+" == null && !("+src+" != null) && (true ? null : "+src+") == "+src, Options{Row: rowColumns, NoFast: noFast})
			if cerr != nil {
				t.Errorf("%s: %v", src, cerr)
				continue
			}
			a := activation(t, order)
			a.Row = emptyRow()
			if ok, err := p.EvalBool(a); !ok || err != nil {
				t.Errorf("%s: %v, %v", src, ok, err)
			}
		}
	}
	for src, want := range map[string]string{
		`row.big + 1`: "row.big is null, expected a number", `row.limit * 2`: "row.limit is null, expected a number", `row.note + "x"`: "+ does not work where row.note is null",
		`row.doc.a`: "row.doc is null, expected an object with the field a", `row.seen > row.at`: "an order comparison does not work where row.seen is null and row.at is a timestamp",
	} {
		p, cerr := Compile(src, rowOptions)
		if cerr != nil {
			t.Errorf("%s: %v", src, cerr)
			continue
		}
		a := activation(t, order)
		a.Row = emptyRow()
		if _, err := p.Eval(a); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", src, err, want)
		}
	}
}

func TestRowIsRefused(t *testing.T) {
	for src, want := range map[string]string{
		`row`:               "column 1: row as a whole is not a value: name a column, such as row.nil",
		`[row]`:             "row as a whole",
		`row.size()`:        "row as a whole",
		`row == null`:       "row as a whole",
		`row[event.a]`:      "row as a whole",
		`1 + row.totl`:      "column 5: there is no column totl in the row (did you mean row.total?); there are id, note,",
		`row["inn"]`:        `(did you mean row["in"]?)`,
		`row.quantity`:      "there is no column quantity in the row; there are",
		`has(row.note)`:     "a row always has every column: compare row.note with null",
		`row.?note`:         "a row always has every column: compare row.note with null",
		`row[?"note"]`:      "a row always has every column",
		`row.id + 1`:        "+ does not work on (string, int)",
		`row.id == 1`:       "string and int are never equal",
		`row.note * 2`:      "* does not work on (string, int)",
		`row.total == "20"`: "decimal and string are never equal",
		`row.doc / 2`:       "write decimal(...)",
		`row.at.nope`:       "type 'timestamp' does not support field selection",
	} {
		if _, err := Compile(src, rowOptions); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", src, err, want)
		}
	}
	if _, err := Compile(`row.x`, Options{}); err == nil || !strings.Contains(err.Message, "there is no variable row; there are event, key, headers, and meta.topic") {
		t.Errorf("no row: %v", err)
	}
}

func TestColumnsThatAreRead(t *testing.T) {
	p, err := Compile(`row.total + event.lines.map(l, l.n * row.n)[0] + (row["in"] == row["id"] ? 1 : 2)`, rowOptions)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Columns(); !slices.Equal(got, []string{"id", "in", "n", "total"}) || !p.Uses("row") || !p.Uses("row.in") || p.Uses("row.note") || p.IsConstant() {
		t.Errorf("%v, %v", got, p.vars)
	}
	if !slices.Equal(p.Paths(), []string{"event.lines"}) {
		t.Errorf("%v", p.Paths())
	}
	p, err = Compile(`event.lines.map(row, row.total)`, rowOptions)
	if err != nil || p.Uses("row") || len(p.Columns()) != 0 {
		t.Errorf("a macro's own row: %v, %v", p.vars, err)
	}
	p, err = Compile(`event.lines.map(event, event.total) == [.event.id]`, rowOptions)
	if err != nil || !slices.Equal(p.Paths(), []string{"event.id", "event.lines"}) {
		t.Errorf("a macro's own event: %v, %v", p.Paths(), err)
	}
}

func TestCanonicalTextOfRowsReadsBack(t *testing.T) {
	for src, want := range map[string]string{
		`row["in"]`: `row["in"]`, `row["id"]`: `row.id`, `row . id`: `row.id`, `row.package`: `row.package`, `row["package"]+row['in']`: `row.package + row["in"]`,
		`event.l.exists(x, x == row["in"])`: `event.l.exists(x, x == row["in"])`, `row.doc["a b"].c`: `row.doc["a b"].c`,
	} {
		p, err := Compile(src, rowOptions)
		if err != nil || p.Canonical() != want {
			t.Errorf("%s: %v, %v", src, p, err)
			continue
		}
		if again, err := Compile(p.Canonical(), rowOptions); err != nil || again.Canonical() != want || again.Type() != p.Type() {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestScopes(t *testing.T) {
	for _, tt := range []struct {
		o    Options
		src  string
		want string
	}{
		{Options{Scope: ScopeTombstone}, `key + headers.h + string(meta.time)`, ""},
		{Options{Scope: ScopeTombstone, Row: rowColumns}, `row.id == key`, ""},
		{Options{Scope: ScopeTombstone}, `key == event.id`, "column 8: event is not there: the handler takes records without a value (tombstone: true), which have key, headers and meta only"},
		{Options{Scope: ScopeTombstone}, `evnt.id`, "there are key, headers, and meta.topic"},
		{Options{Scope: ScopeRow, Row: rowColumns}, `row.total >= 0`, ""},
		{Options{Scope: ScopeRow, Row: rowColumns}, `row.total >= event.a`, "column 14: event is not there: checks, generated columns and assertions are functions of row alone"},
		{Options{Scope: ScopeRow, Row: rowColumns}, `row.at < meta.time`, "column 10: meta.time is not there: checks"},
		{Options{Scope: ScopeRow, Row: rowColumns}, `rov.at`, "there are row"},
		{Options{Scope: ScopeTopic}, `event.a + item.b`, "item is there in a handler with forEach only"},
		{Options{}, `index`, "index is there in a handler with forEach only"},
		{Options{}, `event.l.map(item, item.a)`, ""},
		{Options{Item: true}, `item.price * event.rate + index`, ""},
	} {
		_, err := Compile(tt.src, tt.o)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.src, err, tt.want)
		}
	}
}

func jsonColumn(text string) value.Value { return value.JSON(text) }

// A store may give back another spelling of a json column's text.
func TestKeysOfJSONColumnsAreWhatTheyMean(t *testing.T) {
	for _, noFast := range []bool{false, true} {
		p, cerr := Compile(`row.doc.a + row.doc.o.b`, Options{Row: rowColumns, NoFast: noFast})
		if cerr != nil {
			t.Fatal(cerr)
		}
		a := activation(t, `{}`)
		a.Row = fullRow()
		for doc, want := range map[string]int64{`{"\u0061":1,"a":2,"o":{"\u0062":3,"b":4}}`: 4, `{"a":5,"o":{"b":6}}`: 11} {
			a.Row[13] = jsonColumn(doc)
			if v, err := p.Eval(a); v != want || err != nil {
				t.Errorf("%s: %v, %v", doc, v, err)
			}
		}
	}
}
