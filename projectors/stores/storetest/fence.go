// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

func positionsOnly(t *testing.T, h Harness) {
	f := h.open(t, one())
	at := time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)
	var advances []stores.Advance
	for _, p := range allPartitions() {
		a := f.advance(p)
		a.EventTime, a.Next = at, a.Next+999
		advances = append(advances, a)
	}
	for i, rows := range []stores.Commit{{Advances: advances[:3]}, {Advances: advances[3:], Rows: f.batch()}} {
		if err := f.w.Commit(f.ctx, rows); err != nil {
			t.Fatalf("commit %d: %v", i, err)
		}
	}
	got := f.state().claims
	for i, c := range got {
		if c.TopicPartition != allPartitions()[i] || c.Next != 1100 || !c.EventTime.Equal(at) || c.LeaderEpoch != 3 || c.TopicID != "id-"+c.Topic || c.Owner != "pod-a" {
			t.Fatalf("position %#v", c)
		}
	}
	f.claimAll()
	if c := f.claims[tp("orders", 3)]; c.Next != 1100 || !c.EventTime.Equal(at) || c.LeaderEpoch != 3 {
		t.Fatalf("claim %#v", c)
	}
}

func claimTakesOver(t *testing.T, h Harness) {
	f := h.open(t, one())
	p := tp("orders", 0)
	f.commit(on("a", add(1, int64(1))))
	old := f.claims[p]

	// Peek takes nothing.
	w := f.db.Writer(t, f.c)
	defer w.Close()
	if _, err := w.Peek(f.ctx); err != nil {
		t.Fatal(err)
	}
	f.commit(on("a", add(1, int64(1))))

	got, err := w.Claim(f.ctx, "pod-b", []event.TopicPartition{p})
	if err != nil || len(got) != 1 {
		t.Fatalf("claims %v, err %v", got, err)
	}
	c := got[0]
	if c.TopicPartition != p || c.Epoch <= old.Epoch || c.Token == old.Token || c.Token == "" || c.Next != 102 || c.Owner != "pod-b" || c.TopicID != "id-orders" {
		t.Fatalf("claim %#v after %#v", c, old)
	}
	before := f.state()
	var fenced *stores.FencedError
	if err := f.try(f.batch(on("a", add(1, int64(1))))); !errors.As(err, &fenced) || !slices.Equal(fenced.Partitions, []event.TopicPartition{p}) {
		t.Fatalf("the old claim's commit: %v", err)
	}
	f.unchanged(before)
	// Other partitions of the old owner go on.
	a := f.advance(tp("orders", 1))
	if err := f.w.Commit(f.ctx, stores.Commit{Advances: []stores.Advance{a}, Rows: f.batch(on("a", add(1, int64(1))))}); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(f.ctx, stores.Commit{Advances: []stores.Advance{{Claim: c, Next: c.Next + 5}}}); err != nil {
		t.Fatal(err)
	}
	f.wants(0, []value.Value{"a", int64(3), nil})
}

func fenceRefuses(t *testing.T, h Harness) {
	f := h.open(t, one())
	f.commit(on("a", add(1, int64(1))), on("b"))
	wrongs := map[string]func(*stores.Advance){
		"epoch before":    func(a *stores.Advance) { a.Claim.Epoch-- },
		"epoch after":     func(a *stores.Advance) { a.Claim.Epoch++ },
		"token":           func(a *stores.Advance) { a.Claim.Token += "x" },
		"no token":        func(a *stores.Advance) { a.Claim.Token = "" },
		"position before": func(a *stores.Advance) { a.Claim.Next-- },
		"position after":  func(a *stores.Advance) { a.Claim.Next++; a.Next++ },
		"held version":    func(a *stores.Advance) { a.Claim.HeldVersion++ },
	}
	before := f.state()
	refused := func(t *testing.T, advances []stores.Advance, wrong ...event.TopicPartition) {
		t.Helper()
		rows := f.batch(on("a", add(1, int64(1))), remove("b"), on("c"), ignore(on("a", push(2, "x"))))
		var fenced *stores.FencedError
		err := f.w.Commit(f.ctx, stores.Commit{Advances: advances, Rows: rows})
		if !errors.As(err, &fenced) || !slices.Equal(fenced.Partitions, wrong) {
			t.Fatalf("err = %v, want %v fenced", err, wrong)
		}
		if stores.Transient(err) {
			t.Fatal("a fence is no passing fault")
		}
		f.unchanged(before)
		// Without rows, too.
		if err := f.w.Commit(f.ctx, stores.Commit{Advances: advances}); !errors.As(err, &fenced) {
			t.Fatalf("positions only: err = %v", err)
		}
		f.unchanged(before)
	}
	for name, spoil := range wrongs {
		t.Run(name, func(t *testing.T) {
			a := f.advance(tp("orders", 0))
			spoil(&a)
			refused(t, []stores.Advance{a}, tp("orders", 0))
			// One of several is enough.
			for i := range 3 {
				var some []stores.Advance
				for _, p := range allPartitions()[2:5] {
					some = append(some, f.advance(p))
				}
				spoil(&some[i])
				refused(t, some, some[i].Claim.TopicPartition)
			}
		})
	}
	t.Run("all", func(t *testing.T) {
		var all []stores.Advance
		for _, p := range allPartitions() {
			a := f.advance(p)
			a.Claim.Token = "other"
			all = append(all, a)
		}
		refused(t, all, allPartitions()...)
	})
	t.Run("twice", func(t *testing.T) {
		a := f.advance(tp("orders", 3))
		rows := f.batch(on("z", add(1, int64(1))))
		for i := range 2 {
			err := f.w.Commit(f.ctx, stores.Commit{Advances: []stores.Advance{a}, Rows: rows})
			var fenced *stores.FencedError
			if i == 0 && err != nil || i == 1 && !errors.As(err, &fenced) {
				t.Fatalf("commit %d: %v", i, err)
			}
		}
		f.wants(0, []value.Value{"a", int64(1), nil}, []value.Value{"b", int64(0), nil}, []value.Value{"z", int64(1), nil})
		f.moved(a)
		before = f.state()
	})
	t.Run("held version was raised", func(t *testing.T) {
		f.db.RaiseHeldVersion(t, f.c, tp("orders", 0))
		before = f.state()
		refused(t, []stores.Advance{f.advance(tp("orders", 0))}, tp("orders", 0))
		f.claimAll()
		if f.claims[tp("orders", 0)].HeldVersion != 1 || f.claims[tp("orders", 1)].HeldVersion != 0 {
			t.Fatalf("claims %#v", f.claims)
		}
		f.commit(on("a", add(1, int64(1))))
	})
}

func missingPosition(t *testing.T, h Harness) {
	f := h.open(t, one())
	f.commit(on("a", add(1, int64(1))))
	gone := tp("orders", 0)
	f.db.DeletePosition(t, f.c, gone)
	before := f.state()
	if len(before.claims) != len(allPartitions())-1 {
		t.Fatalf("positions %#v", before.claims)
	}
	if _, err := f.w.Claim(f.ctx, "pod-b", allPartitions()); !errors.Is(err, stores.ErrNoPosition) || stores.Transient(err) {
		t.Fatalf("Claim: %v, want ErrNoPosition", err)
	}
	f.unchanged(before) // none was claimed
	if _, err := f.w.Claim(f.ctx, "pod-b", []event.TopicPartition{tp("orders", 17)}); !errors.Is(err, stores.ErrNoPosition) {
		t.Fatalf("Claim of a partition that never was: %v", err)
	}
	for _, ps := range [][]event.TopicPartition{{gone}, {tp("customers", 0), gone}} {
		var c stores.Commit
		for _, p := range ps {
			c.Advances = append(c.Advances, f.advance(p))
		}
		c.Rows = f.batch(on("a", add(1, int64(1))))
		if err := f.w.Commit(f.ctx, c); !errors.Is(err, stores.ErrNoPosition) {
			t.Fatalf("Commit: %v, want ErrNoPosition", err)
		}
		f.unchanged(before)
	}
	// Neither preparing again nor growth brings it back: it would count events twice.
	if _, err := f.db.Admin().Prepare(f.ctx, f.c, starts()); err != nil {
		t.Fatal(err)
	}
	f.unchanged(before)
}

func cancelledCommit(t *testing.T, h Harness) {
	f := h.open(t, one())
	before := f.state()
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	err := f.w.Commit(ctx, stores.Commit{Advances: []stores.Advance{f.advance(tp("orders", 0))}, Rows: f.batch(on("a"))})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("err = %v", err)
	}
	f.unchanged(before)
	if err := f.w.Ping(f.ctx); err != nil {
		t.Fatal(err)
	}
	f.commit(on("a"))
}

func barriers(t *testing.T, h Harness) {
	f := h.open(t, one())
	if got, err := f.w.Barriers(f.ctx); err != nil || len(got) != 0 {
		t.Fatalf("barriers %v, err %v", got, err)
	}
	first := stores.Barrier{Topic: "orders", Before: 4, After: 6, Ends: []int64{10, 20, 30, 40}}
	other := stores.Barrier{Topic: "orders", Before: 4, After: 7, Ends: []int64{11, 21, 31, 41}}
	for i, b := range []stores.Barrier{first, first, other} {
		got, err := f.w.AddPartitions(f.ctx, b)
		if err != nil || !reflect.DeepEqual(got, first) {
			t.Fatalf("%d: %+v, err %v; the first one recorded stands", i, got, err)
		}
	}
	claims, err := f.w.Claim(f.ctx, "pod-a", []event.TopicPartition{tp("orders", 4), tp("orders", 5)})
	if err != nil || claims[0].Next != 0 || claims[1].Next != 0 {
		t.Fatalf("claims %#v, err %v", claims, err)
	}
	if _, err = f.w.Claim(f.ctx, "pod-a", []event.TopicPartition{tp("orders", 6)}); !errors.Is(err, stores.ErrNoPosition) {
		t.Fatalf("a partition that the first barrier does not have: %v", err)
	}
	// Adding again takes no position back.
	if err = f.w.Commit(f.ctx, stores.Commit{Advances: []stores.Advance{{Claim: claims[0], Next: 5}}}); err != nil {
		t.Fatal(err)
	}
	before := f.state()
	if _, err = f.w.AddPartitions(f.ctx, first); err != nil {
		t.Fatal(err)
	}
	f.unchanged(before)
	second := stores.Barrier{Topic: "orders", Before: 6, After: 7, Ends: []int64{1, 2, 3, 4, 5, 6}}
	customers := stores.Barrier{Topic: "customers", Before: 2, After: 3, Ends: []int64{7, 8}}
	for _, b := range []stores.Barrier{second, customers} {
		if same, addErr := f.w.AddPartitions(f.ctx, b); addErr != nil || !reflect.DeepEqual(same, b) {
			t.Fatalf("%+v, err %v", same, addErr)
		}
	}
	got, err := f.w.Barriers(f.ctx)
	if err != nil || !reflect.DeepEqual(got, []stores.Barrier{first, second, customers}) {
		t.Fatalf("barriers %+v, err %v", got, err)
	}
	if facts, err := f.db.Admin().Prepare(f.ctx, f.c, nil); err != nil || facts.Partitions["orders"] != 7 || facts.Partitions["customers"] != 3 {
		t.Fatalf("facts %+v, err %v", facts, err)
	}
	if _, err := f.w.AddPartitions(f.ctx, stores.Barrier{Topic: "orders", Before: 9, After: 10, Ends: make([]int64, 9)}); err == nil {
		t.Fatal("a barrier with a gap before it")
	}
	// A row that somebody deleted looks like growth to one who counts rows.
	if _, err := f.w.AddPartitions(f.ctx, stores.Barrier{Topic: "orders", Before: 5, After: 7, Ends: make([]int64, 5)}); !errors.Is(err, stores.ErrNoPosition) {
		t.Fatalf("growth from a number of partitions that the topic never had: %v", err)
	}
}
