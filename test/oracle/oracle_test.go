// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"slices"
	"strings"
	"testing"
)

func fold(t *testing.T, events []Event) *Fold {
	t.Helper()
	f := NewFold()
	for _, e := range events {
		if err := f.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func generate(seed uint64, n int) []Event {
	g := NewGenerator(seed, 50, 7)
	events := make([]Event, n)
	for i := range events {
		events[i] = g.Next()
	}
	return events
}

func compareFolds(want, have *Fold) *Result {
	r := &Result{}
	for i, w := range want.Tables() {
		r.Compare(w, have.Tables()[i])
	}
	return r
}

// A seed is enough to repeat a run.
func TestSameSeedSameEvents(t *testing.T) {
	a, b := generate(7, 5000), generate(7, 5000)
	for i := range a {
		if a[i].Topic != b[i].Topic || a[i].Key != b[i].Key || string(a[i].Value) != string(b[i].Value) {
			t.Fatalf("event %d: %s and %s", i, a[i].Value, b[i].Value)
		}
	}
	if r := compareFolds(fold(t, a), fold(t, b)); !r.OK() {
		t.Fatal(r)
	}
}

// Each single mistake at a line shows, and is called by its name.
func TestMistakesShow(t *testing.T) {
	events := generate(11, 3000)
	want := fold(t, events)
	var lines []int // of a key that comes again directly, without an erasure in between
	for i := 2850; i < len(events)-1; i++ {
		if events[i].Topic == Orders && strings.Contains(string(events[i].Value), `"line"`) {
			lines = append(lines, i)
		}
	}
	later := func(i int) int {
		for j := i + 1; j < len(events); j++ {
			if events[j].Key == events[i].Key && strings.Contains(string(events[j].Value), `"line"`) {
				return j
			}
		}
		return -1
	}
	erasedAfter := func(i int) bool {
		return slices.ContainsFunc(events[i:], func(e Event) bool {
			return e.Key == events[i].Key && strings.Contains(string(e.Value), `"erased"`)
		})
	}
	for _, i := range lines {
		if erasedAfter(i) {
			continue // what was erased can be seen in the balances alone
		}
		if r := compareFolds(want, fold(t, slices.Delete(slices.Clone(events), i, i+1))); r.Lost != 1 || r.Duplicated != 0 {
			t.Fatalf("without event %d: %v", i, r)
		}
		if r := compareFolds(want, fold(t, slices.Insert(slices.Clone(events), i, events[i]))); r.Duplicated != 1 || r.Lost != 0 {
			t.Fatalf("event %d twice: %v", i, r)
		}
		if j := later(i); j > 0 {
			swapped := slices.Clone(events)
			swapped[i], swapped[j] = swapped[j], swapped[i]
			if r := compareFolds(want, fold(t, swapped)); r.Reordered == 0 || r.Lost+r.Duplicated != 0 {
				t.Fatalf("events %d and %d swapped: %v", i, j, r)
			}
		}
	}
	if len(lines) < 50 {
		t.Fatal("too few cases", len(lines))
	}
}

func TestJudge(t *testing.T) {
	claim := func(pos string, epoch int64, old, token, owner string) Move {
		return Move{Operation: "UPDATE", At: "orders/0", OldPosition: pos, NewPosition: pos,
			OldEpoch: epoch - 1, NewEpoch: epoch, OldToken: old, NewToken: token, NewOwner: owner}
	}
	commit := func(from, to string, epoch int64, token, owner string) Move {
		return Move{Operation: "UPDATE", At: "orders/0", OldPosition: from, NewPosition: to,
			OldEpoch: epoch, NewEpoch: epoch, OldToken: token, NewToken: token, NewOwner: owner}
	}
	start := Move{Operation: "START", At: "orders/0", NewPosition: "0"}
	good := []Move{start, claim("0", 1, "", "t1", "a"), commit("0", "9", 1, "t1", "a"), commit("9", "100", 1, "t1", "a"),
		claim("100", 2, "t1", "t2", "b"), commit("100", "101", 2, "t2", "b")}
	if a := Judge(good); !a.OK() || a.Commits != 3 || a.Claims != 2 || a.Owners != 2 || a.Next["orders/0"] != "101" {
		t.Fatalf("%+v", a)
	}
	zombie := commit("101", "110", 2, "t2", "b")
	zombie.NewEpoch, zombie.NewToken = 1, "t1"
	back := commit("101", "50", 2, "t2", "b")
	gap := commit("105", "110", 2, "t2", "b")
	forged := commit("101", "110", 2, "t2", "b")
	forged.NewToken = "t9"
	again := claim("101", 3, "t2", "t1", "a")
	foreign := commit("101", "110", 2, "t2", "c")
	for what, m := range map[string]Move{"zombie": zombie, "back": back, "gap": gap, "forged": forged, "token again": again, "foreign owner": foreign} {
		if a := Judge(append(slices.Clone(good), m)); a.OK() {
			t.Errorf("%s passes", what)
		}
	}
	a := Judge(good)
	if a.Reached(map[string]int64{"orders/0": 101}); !a.OK() {
		t.Error(a)
	}
	if a.Reached(map[string]int64{"orders/0": 102}); a.OK() {
		t.Error("an end that was not reached passes")
	}
}
