// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/event"
)

func TestEffects(t *testing.T) {
	lines := contract.Handler{ForEach: "event.lines", Key: exprs("id", "item.sku"), Set: exprs("note", "string(index) + event.order"), Add: exprs("n", "item.n")}
	filtered := lines
	filtered.When = "item.n > 0"
	byName := contract.Handler{ForEach: "event.prices", Key: exprs("id", "item.key"), Set: exprs("price", "item.value")}
	tests := []struct {
		name    string
		h       contract.Handler
		body    string
		effects []string
		result  Result
		err     string
	}{
		{name: "every operation", body: `{"id":"a","s":"sold","n":5,"p":1.005,"t":"x","d":{"a":1,"b":null},"m":2}`, h: contract.Handler{
			SetOnce: exprs("note", "event.s"), Set: exprs("status", "event.s"), Add: exprs("n", "event.n"), Min: exprs("price", "event.p"),
			Append: exprs("tags", "event.t"), Merge: exprs("doc", "event.d"),
		}, effects: []string{`items[a] status=sold n+=5 price_=1.01 tags<<x doc|={"a":1,"b":null} note?=sold`}, result: Applied},
		{name: "unset", body: `{"id":"a"}`, h: contract.Handler{Unset: []string{"price", "note"}}, effects: []string{"items[a] price=NULL note=NULL"}, result: Applied},
		{name: "null operands", body: `{"id":"a","x":null}`, h: contract.Handler{
			SetOnce: exprs("note", "event.x"), Add: exprs("n", "event.x"), Min: exprs("price", "event.x"), Append: exprs("tags", "event.x"), Merge: exprs("doc", "event.x"),
		}, effects: []string{"items[a] n+=NULL price_=NULL tags<<NULL doc|=NULL note?=NULL"}, result: Applied},
		{name: "merge of no object", body: `{"id":"a","x":["CANARY"]}`, h: contract.Handler{Merge: exprs("doc", "event.x")},
			err: "HandlerError: models[items].handlers[h0].merge.doc: event.x is not an object, and merge takes the members of one"},
		{name: "list", body: `{"order":"o","lines":[{"sku":"a","n":1},{"sku":"b","n":2},{"sku":"a","n":3}]}`, h: lines, result: Applied,
			effects: []string{"items[a] n+=1 note=0o", "items[b] n+=2 note=1o", "items[a] n+=3 note=2o"}},
		{name: "condition per element", body: `{"order":"o","lines":[{"sku":"a","n":0},{"sku":"b","n":2}]}`, h: filtered, result: Applied, effects: []string{"items[b] n+=2 note=1o"}},
		{name: "no element left", body: `{"order":"o","lines":[{"sku":"a","n":0}]}`, h: filtered, result: IgnoredWhen},
		{name: "empty", body: `{"order":"o","lines":[]}`, h: lines, result: IgnoredWhen},
		{name: "object by key", body: `{"prices":{"b":2,"B":3,"a":1.5,"b":9}}`, h: byName, result: Applied, effects: []string{"items[B] price=3.00", "items[a] price=1.50", "items[b] price=2.00"}},
		{name: "second element fails", body: `{"order":"o","lines":[{"sku":"a","n":1},{"sku":"b","n":"CANARY"}]}`, h: lines,
			err: "HandlerError: models[items].handlers[h0].add.n: item.n is a string, expected a number"},
		{name: "elements of no list", body: `{"order":"o","lines":"CANARY"}`, h: lines, err: "HandlerError: models[items].handlers[h0].forEach: event.lines is a string, expected a list or an object"},
		{name: "null elements", body: `{"order":"o","lines":null}`, h: lines, err: "HandlerError: models[items].handlers[h0].forEach: event.lines is null, expected a list or an object"},
		{name: "built list", body: `{"id":"a","x":"p\"\u0001","y":"q"}`, h: contract.Handler{ForEach: "[event.x, event.y]", Key: exprs("id", "item"), Add: exprs("n", "index")},
			effects: []string{"items[p\"\x01] n+=0", "items[q] n+=1"}, result: Applied},
		{name: "fan-out", body: `{"s":"sold","p":3}`, h: contract.Handler{Where: exprs("status", "event.s", "price", "event.p"), OnAbsent: "Ignore", Set: exprs("note", "'x'")},
			effects: []string{"items[price:3.00,status:sold] ignore-absent note=x"}, result: Applied},
		{name: "fan-out by the key", body: `{"id":"a"}`, h: contract.Handler{Where: exprs("id", "event.id"), OnAbsent: "Ignore", Delete: true},
			effects: []string{"items[id:a] delete ignore-absent"}, result: Applied},
		{name: "fan-out on what no row holds", body: `{"s":"CANARY"}`, h: contract.Handler{Where: exprs("status", "event.s"), OnAbsent: "Ignore", Delete: true},
			effects: []string{"items[status:CANARY] delete ignore-absent"}, result: Applied},
		{name: "fan-out on NULL", body: `{"s":null}`, h: contract.Handler{Where: exprs("status", "event.s"), OnAbsent: "Ignore", Delete: true}, result: Applied},
		{name: "fan-out on a NULL key", body: `{"id":null}`, h: contract.Handler{Where: exprs("id", "event.id"), OnAbsent: "Ignore", Delete: true}, result: Applied},
		{name: "fan-out on another type", body: `{"s":5}`, h: contract.Handler{Where: exprs("status", "event.s"), OnAbsent: "Ignore", Delete: true},
			err: "HandlerError: models[items].handlers[h0].where.status: event.s is an int, expected a string (write string(...) to convert)"},
		{name: "not in the enum", body: `{"id":"a","s":"CANARY"}`, h: contract.Handler{Set: exprs("status", "event.s")},
			err: "ConstraintViolation: models[items].handlers[h0].set.status: event.s is not one of the values in the column's enum (column status)"},
		{name: "null in notNull", body: `{"id":"a","x":null}`, h: contract.Handler{Set: exprs("n", "event.x")},
			err: "ConstraintViolation: models[items].handlers[h0].set.n: event.x is null, and the column is notNull (column n)"},
		{name: "below the range", body: `{"id":"a","x":-1}`, h: contract.Handler{Set: exprs("n", "event.x")},
			err: "ConstraintViolation: models[items].handlers[h0].set.n: event.x is less than the column's range.min (column n)"},
		{name: "max above the range", body: `{"id":"a","x":101}`, h: contract.Handler{Max: exprs("n", "event.x")},
			err: "ConstraintViolation: models[items].handlers[h0].max.n: event.x is greater than the column's range.max (column n)"},
		{name: "add takes any difference", body: `{"id":"a","x":-500}`, h: contract.Handler{Add: exprs("n", "event.x")}, effects: []string{"items[a] n+=-500"}, result: Applied},
		{name: "a list is one that was appended", body: `{"id":"a","x":["p","q","p","r","s","p"]}`, h: contract.Handler{Set: exprs("tags", "event.x")},
			effects: []string{`items[a] tags=["r","s","p"]`}, result: Applied},
		{name: "null key", body: `{"id":null}`, h: contract.Handler{Delete: true},
			err: "HandlerError: models[items].handlers[h0].key.id: event.id is null, and a key column must not be null"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := compile(t, one(items(tt.h)))
			out, r, err := handle(p.NewEvaluator(), tt.body)
			if tt.err != "" {
				wantError(t, err, tt.err)
				if len(out) != 0 {
					t.Error("effects beside an error")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.effects, showAll(p, out)); diff != "" || r != tt.result {
				t.Error(diff, r)
			}
		})
	}
}

// Rules hold for constants when the spec is compiled.
func TestConstantsObeyTheRules(t *testing.T) {
	for want, h := range map[string]contract.Handler{
		"models[items].handlers[h0].set.status: \"lost\" is not one of the values": {Set: exprs("status", "'lost'")},
		"models[items].handlers[h0].min.n: -1 is less than":                        {Min: exprs("n", "-1")},
		"models[items].handlers[h0].set.n: null is null, and":                      {Set: exprs("n", "null")},
		"models[items].handlers[h0].unset: column n is notNull":                    {Unset: []string{"n"}},
		"models[items].handlers[h0].setOnce.n: column n has a default":             {SetOnce: exprs("n", "1")},
		"models[items].handlers[h0].merge.doc: type mismatch":                      {Merge: exprs("doc", "bytes('x')")},
		"models[items].handlers[h0].merge.doc: 5 is not an object":                 {Merge: exprs("doc", "5")},
	} {
		if _, err := Compile(one(items(h)), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// The rules of a key column hold for keys, too.
func TestKeysObeyTheRules(t *testing.T) {
	m := items(contract.Handler{Delete: true})
	m.Columns[0].Enum = []string{"a"}
	_, _, err := handle(compile(t, one(m)).NewEvaluator(), `{"id":"CANARY"}`)
	wantError(t, err, "ConstraintViolation: models[items].handlers[h0].key.id: event.id is not one of the values in the column's enum (column id)")
}

func TestTooManyEffects(t *testing.T) {
	each := contract.Handler{ForEach: "event.x", Key: exprs("id", "string(index)"), Add: exprs("n", "1")}
	list := func(n int) string { return `{"x":[1` + strings.Repeat(",1", n-1) + `]}` }
	p := compile(t, one(items(each)))
	if out := mustHandle(t, p.NewEvaluator(), list(MaxEffects)); len(out) != MaxEffects {
		t.Errorf("%d effects", len(out))
	}
	_, _, err := handle(p.NewEvaluator(), list(MaxEffects+1))
	wantError(t, err, "TooManyEffects: models[items].handlers[h0].forEach: event.x has more than 10000 elements")
	// Over all handlers.
	p = compile(t, one(items(each, contract.Handler{Key: exprs("id", "'x'"), Delete: true})))
	out, _, err := handle(p.NewEvaluator(), list(MaxEffects))
	wantError(t, err, "TooManyEffects: models[items].handlers[h1]: the event makes more than 10000 effects: split it, or filter the elements in forEach")
	if len(out) != 0 {
		t.Errorf("%d effects beside an error", len(out))
	}
}

func TestTombstones(t *testing.T) {
	gone := contract.Handler{Tombstone: true, Key: exprs("id", "key"), Delete: true}
	c := one(items(contract.Handler{Set: exprs("note", "'x'")}, gone))
	c.Topics[0].KeyedBy = "event.id"
	p := compile(t, c)
	if diff := cmp.Diff([]string{"items[k1] delete"}, showAll(p, mustHandle(t, p.NewEvaluator(), ""))); diff != "" {
		t.Error(diff)
	}
	gone.Delete, gone.Set = false, exprs("note", "headers.why + meta.position + meta.type + string(meta.time)")
	gone.When = "'why' in headers"
	p = compile(t, one(items(gone)))
	ev := p.NewEvaluator()
	if diff := cmp.Diff([]string{"items[k1] note=moved72020-09-13T12:26:40Z"}, showAll(p, mustHandle(t, ev, "", event.Header{Key: "why", Value: []byte("moved")}))); diff != "" {
		t.Error(diff)
	}
	if _, r, err := handle(ev, ""); r != IgnoredWhen || err != nil {
		t.Error(r, err)
	}
	if _, r, err := handle(ev, `{"type":"x"}`); r != IgnoredType || err != nil {
		t.Error("a tombstone handler takes an event:", r, err)
	}
}

// The outcome's counts add up to the events: each has exactly one result.
func TestKeyIsCheckedOncePerEvent(t *testing.T) {
	c := one(items(
		contract.Handler{When: "false"},
		contract.Handler{ForEach: "event.x", Key: exprs("id", "item"), Set: exprs("note", "'x'")},
	))
	c.Models[0].Handlers[0].Set = exprs("note", "'y'")
	c.Topics[0].KeyedBy = "event.k"
	ev := compile(t, c).NewEvaluator()
	mustHandle(t, ev, `{"k":"k1","x":["a","b"]}`)
	_, _, err := handle(ev, `{"k":"CANARY","x":["a"]}`)
	wantError(t, err, "KeyMismatch: topics[t].keyedBy: the message key is not the text of event.k: correct keyedBy, or the producer")
	if _, r, err := handle(ev, `{"k":"other","x":[]}`); r != IgnoredWhen || err != nil {
		t.Error("an event without effects is held to the key:", r, err)
	}
}
