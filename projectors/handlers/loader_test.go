// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
)

func TestLoad(t *testing.T) {
	tests := []struct {
		name string
		h    contract.Handler
		body string
		row  []string // nil: none
		want string
		// untyped topics say nothing of an event's type.
		untyped bool
	}{
		{name: "row alone", h: contract.Handler{Set: exprs("note", "row.status == 'sold' ? 'late' : 'ok'")}, body: `{"id":"a"}`, row: []string{"id", "a", "status", "sold"}, want: "note=late"},
		{name: "row of defaults", h: contract.Handler{Set: exprs("note", "row.id + row.status + string(row.n)")}, body: `{"id":"a"}`, want: "note=anew0"},
		{name: "NULL", h: contract.Handler{Set: exprs("note", "row.price == null ? 'none' : string(row.price)")}, body: `{"id":"a"}`, row: []string{"id", "a", "n", "5"}, want: "note=none"},
		{name: "row and event", h: contract.Handler{Set: exprs("price", "row.n * event.price", "note", "event.note")}, body: `{"id":"a","price":0.125,"note":"x","big":"CANARY"}`,
			row: []string{"id", "a", "n", "3"}, want: "price=0.38 note=x"},
		{name: "condition", h: contract.Handler{When: "row.n >= event.n", Add: exprs("n", "-event.n")}, body: `{"id":"a","n":4}`, row: []string{"id", "a", "n", "4"}, want: "n+=-4"},
		{name: "condition false", h: contract.Handler{When: "row.n >= event.n", Add: exprs("n", "-event.n")}, body: `{"id":"a","n":4}`, row: []string{"id", "a", "n", "3"}, want: "skip"},
		{name: "operand that the condition does not ask for", h: contract.Handler{When: "row.n > 5", Set: exprs("note", "event.note")}, body: `{"id":"a"}`,
			row: []string{"id", "a", "n", "3"}, want: "skip"},
		{name: "operand that the condition asks for", h: contract.Handler{When: "row.n > 5", Set: exprs("note", "event.note")}, body: `{"id":"a"}`, row: []string{"id", "a", "n", "6"},
			want: "HandlerError models[items].handlers[h0].set.note: event.note is missing (write event.?note.orValue(...) if it may be)"},
		{name: "delete", h: contract.Handler{When: "row.n == 0", Delete: true}, body: `{"id":"a"}`, row: []string{"id", "a"}, want: "delete"},
		{name: "delete of none", h: contract.Handler{When: "row.n == 0", Delete: true}, body: `{"id":"a"}`, want: "skip"},
		{name: "every operation", body: `{"id":"a","x":"y"}`, h: contract.Handler{
			SetOnce: exprs("note", "row.status + event.x"), Add: exprs("n", "row.n"), Max: exprs("price", "row.n"), Append: exprs("tags", "row.id"), Merge: exprs("doc", "{row.id: event.x}"),
		}, row: []string{"id", "a", "n", "7"}, want: `n+=7 price^=7.00 tags<<a doc|={"a":"y"} note?=newy`},
		{name: "everything else that expressions read", body: `{"type":"T","id":"a","deep":{"a b":["é\n\"\u0001\\",5.10]}}`, h: contract.Handler{
			Set: exprs("note", "row.id + key + headers.h + meta.topic + string(meta.partition) + meta.position + meta.type + string(meta.time) + event.deep['a b'][0] + string(event['deep']['a b'][1])"),
		}, want: "note=ak1Ht27T2020-09-13T12:26:40Zé\n\"\x01\\5.1"},
		{name: "all of the event", h: contract.Handler{Set: exprs("doc", "row.n == 0 ? event : null")}, body: `{"id":"a","b":[1.50,null,true,{"c":"\ud83d\ude00"}]}`,
			want: `doc={"b":[1.50,null,true,{"c":"😀"}],"id":"a"}`},
		{name: "an event that is no object", h: contract.Handler{Key: exprs("id", "key"), Set: exprs("note", "row.id + event.x")}, body: `["CANARY"]`, untyped: true,
			want: "HandlerError models[items].handlers[h0].set.note: event is a list, expected an object with the field x"},
		{name: "missing member", h: contract.Handler{Set: exprs("note", "row.id + event.x")}, body: `{"id":"a"}`,
			want: "HandlerError models[items].handlers[h0].set.note: event.x is missing (write event.?x.orValue(...) if it may be)"},
		{name: "optional member", h: contract.Handler{Set: exprs("note", "row.id + event.?x.orValue('none')")}, body: `{"id":"a"}`, want: "note=anone"},
		{name: "twice the same member", h: contract.Handler{Set: exprs("note", "row.id + event.x")}, body: `{"id":"a","\u0078":"1","x":"2"}`, want: "note=a1"},
		{name: "rules", h: contract.Handler{Set: exprs("status", "row.note")}, body: `{"id":"a"}`, row: []string{"id", "a", "note", "CANARY"},
			want: "ConstraintViolation models[items].handlers[h0].set.status: row.note is not one of the values in the column's enum (column status)"},
		{name: "conversion", h: contract.Handler{Set: exprs("price", "row.n * 1000000")}, body: `{"id":"a"}`, row: []string{"id", "a", "n", "3"},
			want: "HandlerError models[items].handlers[h0].set.price: row.n * 1000000 is too large for decimal(8,2)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := one(items(tt.h))
			if tt.untyped {
				c.Topics[0].EventType = ""
			}
			p := compile(t, c)
			ev := p.NewEvaluator()
			out := mustHandle(t, ev, tt.body, event.Header{Key: "h", Value: []byte("H")})
			mustNotSee(t, ev)
			row := rowOf(t, p, tt.row...)
			if tt.row == nil {
				row = nil
			}
			before := fmt.Sprint(row)
			for range 2 { // a commit that is tried again
				if got := showStep(p, out[0], row); got != tt.want {
					t.Errorf("%s\nwant %s", got, tt.want)
				}
			}
			if fmt.Sprint(row) != before {
				t.Error("the row was modified")
			}
		})
	}
}

// mustNotSee evaluates another event, so that what still points to the evaluator's memory is seen.
func mustNotSee(t *testing.T, ev *Evaluator) {
	t.Helper()
	_, _, _ = handle(ev, `{"type":"#","id":"##########","x":"#","note":"#","price":0,"n":0,"deep":{"a b":["#############",0]}}`, event.Header{Key: "h", Value: []byte("#")})
}

func TestLoadOfElements(t *testing.T) {
	h := contract.Handler{ForEach: "event.lines", Key: exprs("id", "item.sku"), Set: exprs("note", "row.status + item.x + event.o + string(index)")}
	p := compile(t, one(items(h)))
	ev := p.NewEvaluator()
	out := mustHandle(t, ev, `{"o":"O","lines":[{"sku":"a","x":"\"1\""},{"sku":"b","x":"2"}],"big":"`+strings.Repeat("x", 10_000)+`"}`)
	mustNotSee(t, ev)
	for i, want := range []string{`note=new"1"O0`, "note=new2O1"} {
		if got := showStep(p, out[i], nil); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if a, b := out[0].Load.Bytes(), out[1].Load.Bytes(); a <= b || b < loaderBytes {
		t.Errorf("the first counts %d bytes, the second %d: the first has what they share", a, b)
	}
	if n := out[0].Load.Bytes(); n > 1000 {
		t.Errorf("%d bytes are kept of an event of which two members are read", n)
	}
}

// versioned is a model whose deletes leave tombstones.
func versioned() contract.Model {
	return contract.Model{
		Name: "prices", Key: []string{"id"}, Versions: []contract.VersionGroup{{Column: "v", Columns: []string{"price", "note"}}},
		Columns: []contract.Column{{Name: "id", Type: "text"}, {Name: "v", Type: "int64"}, {Name: "price", Type: "decimal(8,2)", Default: ptr("1")}, {Name: "note", Type: "text"}},
		Handlers: []contract.Handler{
			{Name: "set", Topic: "t", Events: []string{"Set"}, OnAbsent: "Create", Key: exprs("id", "event.id"), VersionBy: &contract.VersionBy{Column: "v", Value: "event.v"},
				Set: exprs("price", "event.price", "note", "'was ' + (row.note == null ? 'none' : row.note)")},
			{Name: "touch", Topic: "t", Events: []string{"Touch"}, OnAbsent: "Ignore", Key: exprs("id", "event.id"), VersionBy: &contract.VersionBy{Column: "v", Value: "event.v"},
				Set: exprs("price", "event.price", "note", "'t'")},
			{Name: "drop", Topic: "t", Events: []string{"Drop"}, OnAbsent: "Ignore", Key: exprs("id", "event.id"), VersionBy: &contract.VersionBy{Column: "v", Value: "event.v"}, Delete: true},
			{Name: "plain", Topic: "t", Events: []string{"Plain"}, OnAbsent: "Create", Key: exprs("id", "event.id"), Add: exprs("price", "1")},
			{Name: "purge", Topic: "t", Events: []string{"Purge"}, OnAbsent: "Create", Key: exprs("id", "event.id"), Delete: true},
			{Name: "all", Topic: "t", Events: []string{"All"}, OnAbsent: "Create", Where: exprs("price", "1"), Set: exprs("note", "'all'")},
			{Name: "ignoring", Topic: "t", Events: []string{"Ignoring"}, OnAbsent: "Ignore", Where: exprs("price", "1"), Set: exprs("note", "'all'")},
			{Name: "drop-all", Topic: "t", Events: []string{"DropAll"}, OnAbsent: "Create", Where: exprs("price", "1"), VersionBy: &contract.VersionBy{Column: "v", Value: "event.v"}, Delete: true},
		},
	}
}

func TestVersions(t *testing.T) {
	p := compile(t, one(versioned()))
	ev := p.NewEvaluator()
	row := []string{"id", "a", "v", "5", "price", "2", "note", "n"}
	unversioned := []string{"id", "a", "note", "n"}
	tombstone := []string{"id", "a", "v", "5", "_deleted", "true"}
	body := func(typ string, v int) string { return fmt.Sprintf(`{"type":"%s","id":"a","v":%d,"price":3}`, typ, v) }
	for _, tt := range []struct {
		name, body string
		row        []string
		want       string
	}{
		{"newer", body("Set", 6), row, "v=6 price=3.00 note=was n"},
		{"tie", body("Set", 5), row, "v=5 price=3.00 note=was n"},
		{"older", body("Set", 4), row, "skip"},
		{"row without a version", body("Set", -9), unversioned, "v=-9 price=3.00 note=was n"},
		{"no row", body("Set", 1), nil, "v=1 price=3.00 note=was none"},
		{"deleted before", body("Set", 6), tombstone, "_deleted=false v=6 price=3.00 note=was none"},
		{"deleted at the same version", body("Set", 5), tombstone, "_deleted=false v=5 price=3.00 note=was none"},
		{"deleted after", body("Set", 4), tombstone, "skip"},
		{"ignore, newer", body("Touch", 6), row, "v=6 price=3.00 note=t"},
		{"ignore, no row", body("Touch", 6), nil, "skip"},
		{"ignore, deleted", body("Touch", 6), tombstone, "skip"},
		{"delete", body("Drop", 5), row, "price=1.00 note=NULL v=5 _deleted=true"},
		{"old delete", body("Drop", 4), row, "skip"},
		{"delete of what is not there yet", body("Drop", 4), nil, "price=1.00 note=NULL v=4 _deleted=true"},
		{"delete again", body("Drop", 7), tombstone, "price=1.00 note=NULL v=7 _deleted=true"},
		{"without a version, deleted", body("Plain", 0), tombstone, "price=1.00 note=NULL _deleted=false price+=1.00"},
		{"without a version", body("Plain", 0), row, "price+=1.00"},
		{"purge", body("Purge", 0), row, "delete"},
		{"purge of what is deleted", body("Purge", 0), tombstone, "skip"},
		{"fan-out", body("All", 0), row, "note=all"},
		{"fan-out on what is deleted", body("All", 0), tombstone, "skip"},
		{"fan-out that ignores absent rows, on what is deleted", body("Ignoring", 0), tombstone, "skip"},
		{"delete of all", body("DropAll", 5), row, "price=1.00 note=NULL v=5 _deleted=true"},
		{"delete of all, on what is deleted", body("DropAll", 6), tombstone, "skip"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := mustHandle(t, ev, tt.body)
			r := rowOf(t, p, tt.row...)
			if tt.row == nil {
				r = nil
			}
			if got := showStep(p, out[0], r); got != tt.want {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
		})
	}
	if out := mustHandle(t, ev, body("Drop", 5)); out[0].IgnoreAbsent {
		t.Error("a delete with a version leaves no tombstone where there is no row")
	}
	_, _, err := handle(ev, `{"type":"Set","id":"a","v":null,"price":3}`)
	wantError(t, err, "HandlerError: models[prices].handlers[set].versionBy.v: event.v is null, and a version is never null")
	_, _, err = handle(ev, `{"type":"Set","id":"a","v":"CANARY","price":3}`)
	wantError(t, err, "HandlerError: models[prices].handlers[set].versionBy.v: event.v is a string, expected a number")
	_, _, err = handle(ev, `{"type":"Set","id":"a","v":1,"price":"CANARY"}`)
	wantError(t, err, "HandlerError: models[prices].handlers[set].set.price: event.price is a string, expected a number")
}

// Loaders are called by the store, again and again, while their evaluator goes on.
func TestLoadersRunBesideTheirEvaluator(t *testing.T) {
	h := contract.Handler{Set: exprs("note", "row.status + event.x.map(v, string(v)).join(',')", "price", "row.n + event.n"), When: "row.n < event.n"}
	p := compile(t, one(items(h)))
	ev := p.NewEvaluator()
	var wg sync.WaitGroup
	for i := range 50 {
		out := mustHandle(t, ev, fmt.Sprintf(`{"id":"a","n":%d,"x":["\u0061",%d]}`, i+1, i))
		row := rowOf(t, p, "id", "a")
		for range 4 {
			wg.Go(func() {
				for range 20 {
					if got, want := showStep(p, out[0], row), fmt.Sprintf("price=%d.00 note=newa,%d", i+1, i); got != want {
						t.Errorf("%s, want %s", got, want)
					}
				}
			})
		}
	}
	wg.Wait()
}

// What is loading is decided when the spec is compiled (ADR 0014).
func TestWhatLoads(t *testing.T) {
	for name, tt := range map[string]struct {
		h     contract.Handler
		loads bool
	}{
		"blind":     {contract.Handler{Set: exprs("note", "event.x")}, false},
		"operand":   {contract.Handler{Set: exprs("note", "row.status")}, true},
		"condition": {contract.Handler{When: "row.n > 1", Set: exprs("note", "'x'")}, true},
		"shadowed":  {contract.Handler{Set: exprs("note", "[1].map(row, string(row))[0]")}, false},
	} {
		p := compile(t, one(items(tt.h)))
		out := mustHandle(t, p.NewEvaluator(), `{"id":"a","x":"y"}`)
		if got := out[0].Load != nil; got != tt.loads {
			t.Errorf("%s: loads %v", name, got)
		}
	}
}

func TestFirstMember(t *testing.T) {
	for in, want := range map[string]string{
		"event": "", "event.a": "a", "event.a.b": "a", "event.a[\"x\"].b": "a", `event["a b"]`: "a b", `event["a\"]"].b`: `a"]`,
	} {
		got, ok := firstMember(in)
		if got != want || ok != (want != "") {
			t.Errorf("%s: %q %v", in, got, ok)
		}
	}
	if diff := cmp.Diff(reads{members: []string{"a"}}, func() (r reads) {
		r.add(compile(t, one(items(contract.Handler{Set: exprs("note", "event.a.b + event.a.c")}))).topics["t"].dispatch.others[0].changes[0].prg)
		return r
	}(), cmp.AllowUnexported(reads{})); diff != "" {
		t.Error(diff)
	}
}

// Batches are closed by what their effects hold: what a loader says must be near what it takes (Law 10).
func TestLoaderBytes(t *testing.T) {
	for name, h := range map[string]contract.Handler{
		"row alone":        {Set: exprs("note", "row.status")},
		"row and a member": {Set: exprs("note", "row.status + event.x")},
		"whole event":      {Set: exprs("doc", "row.n == 0 ? event : null")},
		"operands":         {Set: exprs("note", "row.status", "doc", "event.big"), Append: exprs("tags", "event.big"), Min: exprs("price", "event.p")},
		"elements":         {ForEach: "[1,2,3]", Set: exprs("note", "string(item) + row.status + event.big")},
	} {
		p := compile(t, one(items(h)))
		ev := p.NewEvaluator()
		held := make([]fold.Loader, 0, 6000)
		heap := func() int64 {
			for range 3 { // pools give up what they hold in two
				runtime.GC()
			}
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return int64(m.HeapAlloc)
		}
		before := heap()
		said := 0
		for i := range 2000 {
			for _, e := range mustHandle(t, ev, fmt.Sprintf(`{"id":"%d","x":"%d","p":%d.5,"big":"%0300d"}`, i, i, i, i)) {
				held = append(held, e.Load)
				said += e.Load.Bytes()
			}
		}
		took := float64(heap() - before)
		t.Logf("%s: %d loaders say %d bytes each and take %.0f", name, len(held), said/len(held), took/float64(len(held)))
		if ratio := float64(said) / took; ratio < 0.6 || ratio > 2 {
			t.Errorf("%s: the loaders say %d bytes and take %.0f", name, said, took)
		}
		runtime.KeepAlive(held)
	}
}
