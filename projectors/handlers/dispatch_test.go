// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
)

func TestPattern(t *testing.T) {
	for p, cases := range map[pattern]map[string]bool{
		"Order*":     {"Order": true, "OrderPlaced": true, "order": false, "AnOrder": false, "": false},
		"*":          {"": true, "x": true, "*": true},
		"*Placed":    {"Placed": true, "OrderPlaced": true, "OrderPlacedV2": false, "PlacedPlaced": true},
		"a*b*c":      {"abc": true, "axxbyyc": true, "abcbc": true, "ab": false, "acb": false, "abcd": false},
		"**":         {"": true, "x": true},
		"x":          {"x": true, "": false, "xx": false},
		"":           {"": true, "x": false},
		"a.b?":       {"a.b?": true, "aXbX": false},
		"*é*":        {"é": true, "aéb": true, "e": false},
		"*a*a*a*a*b": {strings.Repeat("a", 2000): false},
	} {
		for s, want := range cases {
			if got := p.matches(s); got != want {
				t.Errorf("%q matches %.20q: %v", p, s, got)
			}
		}
	}
}

func typed(name, events string) contract.Handler {
	h := contract.Handler{Name: name, Topic: "t", OnAbsent: "Create", Key: exprs("id", "'"+name+"'"), Add: exprs("n", "1")}
	switch events {
	case "default":
		h.Default = true
	case "all":
	default:
		h.Events = strings.Split(events, " ")
	}
	return h
}

// count is a model that counts events by handler.
func count(name string, hs ...contract.Handler) contract.Model {
	return contract.Model{Name: name, Key: []string{"id"}, Columns: []contract.Column{{Name: "id", Type: "text"}, {Name: "n", Type: "int64"}}, Handlers: hs}
}

func TestDispatch(t *testing.T) {
	c := one(count("a", typed("first", "all"), typed("order", "Order*"), typed("rest", "default"), typed("placed", "OrderPlaced X*"), typed("last", "all")))
	c.Models = append(c.Models, count("b", typed("other", "default"), typed("erased", "*Erased")))
	p := compile(t, c)
	ev := p.NewEvaluator()
	for typ, want := range map[string]string{
		"OrderPlaced":  "first order placed last other",
		"OrderErased":  "first order last erased",
		"X":            "first placed last other",
		"Y":            "first rest last other",
		"":             "first rest last other",
		"order":        "first rest last other",
		"PartErased":   "first rest last erased",
		"Order\\u0050": "first order last other",
	} {
		for range 2 { // the second time from memory
			out := mustHandle(t, ev, `{"type":"`+typ+`"}`)
			var got []string
			for _, e := range out {
				got = append(got, e.Key[0].(string))
			}
			if diff := cmp.Diff(strings.Fields(want), got); diff != "" {
				t.Errorf("%q: %s", typ, diff)
			}
		}
	}
}

func TestDispatchNobody(t *testing.T) {
	ev := compile(t, one(count("a", typed("x", "X"), typed("y", "Y*")))).NewEvaluator()
	if out, r, err := handle(ev, `{"type":"Z"}`); err != nil || r != IgnoredType || len(out) != 0 {
		t.Error(out, r, err)
	}
}

// However many types there are, and however long they are, memory does not grow with them.
func TestTypesAreRememberedWithinABound(t *testing.T) {
	ev := compile(t, one(count("a", typed("x", "X*"), typed("rest", "default")))).NewEvaluator()
	for i := range 3 * maxTypes {
		mustHandle(t, ev, fmt.Sprintf(`{"type":"%d"}`, i))
	}
	mustHandle(t, ev, `{"type":"X`+strings.Repeat("x", maxTypeBytes)+`"}`)
	if n := len(ev.last.types); n == 0 || n > maxTypes {
		t.Errorf("%d types are remembered", n)
	}
	for typ := range ev.last.types {
		if len(typ) > maxTypeBytes {
			t.Errorf("a type of %d bytes is remembered", len(typ))
		}
	}
	if out := mustHandle(t, ev, `{"type":"XY"}`); out[0].Key[0] != "x" {
		t.Error("the wrong handler")
	}
}

// A topic without patterns remembers nothing: what is not named is known.
func TestNothingIsRememberedWithoutPatterns(t *testing.T) {
	ev := compile(t, one(count("a", typed("x", "X"), typed("rest", "default")))).NewEvaluator()
	for i := range 10 {
		mustHandle(t, ev, fmt.Sprintf(`{"type":"%d"}`, i))
	}
	if n := len(ev.last.types); n != 0 {
		t.Errorf("%d types are remembered", n)
	}
}

func TestDispatchAllocatesNothing(t *testing.T) {
	h := typed("x", "X*")
	h.When = "event.n > 5"
	ev := compile(t, one(count("a", h))).NewEvaluator()
	rec := &event.Record{Value: []byte(`{"type":"XY","n":1}`)}
	var out []fold.Effect
	if n := testing.AllocsPerRun(1000, func() {
		var err error
		if out, _, err = ev.Handle(event.TopicPartition{Topic: "t"}, rec, out[:0]); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per event", n)
	}
}
