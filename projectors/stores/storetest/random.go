// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/fold/foldtest"
	"github.com/projectionist-dev/projectionist/projectors/fold/naive"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// randomHistories commits random logs in random cuts and compares every model
// with the naive interpreter after each commit, also after one that must fail.
func randomHistories(t *testing.T, h Harness) {
	f := h.matrix(t)
	histories, failed := 0, false
	rapid.Check(t, func(r *rapid.T) {
		// A failure is run again, to make it smaller.
		if histories++; h.RapidScale > 1 && histories%h.RapidScale != 0 && !failed {
			return
		}
		finished := false
		defer func() { failed = failed || !finished }()
		h.did("random histories", 1)
		f.TB = tb{t, r}
		f.clear()
		n := naive.New(f.models)
		for range rapid.IntRange(1, 5).Draw(r, "commits") {
			b := fold.NewBatch(f.models)
			pending, refused := n.Clone(), false
			for range rapid.IntRange(0, 8).Draw(r, "events") {
				e := foldtest.Event(f.models).Draw(r, "event")
				if b.Apply(e...) != nil {
					continue // the engine would cut here
				}
				refused = pending.Apply(e...) != nil || refused
			}
			err := f.try(b)
			var d *stores.DataError
			switch {
			case refused && !errors.As(err, &d):
				r.Fatalf("err = %v, but one by one an event is refused", err)
			case !refused && err != nil:
				r.Fatalf("Commit: %v", err)
			case !refused:
				n = pending
			}
			for m := range f.models {
				f.wants(m, n.Rows(m)...)
			}
		}
		finished = true
	})
	f.TB = t
}

// tb lets a fixture fail a rapid check; the rest is the test's.
type tb struct {
	testing.TB
	r *rapid.T
}

func (t tb) Fatal(args ...any)                 { t.r.Fatal(args...) }
func (t tb) Fatalf(format string, args ...any) { t.r.Fatalf(format, args...) }

// clear removes every row.
func (f *fixture) clear() {
	var effects []fold.Effect
	for m := range f.models {
		for _, row := range f.db.Rows(f, f.c, m) {
			var key []value.Value
			for _, k := range f.models[m].Key {
				key = append(key, row[k])
			}
			effects = append(effects, fold.Effect{Model: m, Key: key, Delete: true})
		}
	}
	f.commit(effects...)
}

// intervalsTile: over commits, failures and takeovers, the acknowledged moves of
// each partition follow each other without gap or overlap, and epochs never fall.
func intervalsTile(t *testing.T, h Harness) {
	f := h.open(t, one())
	next, epoch := map[event.TopicPartition]int64{}, map[event.TopicPartition]int64{}
	for _, p := range allPartitions() {
		next[p], epoch[p] = 100, f.claims[p].Epoch
	}
	var sum int64
	for i := range 40 {
		if i%9 == 8 {
			f.claimAll()
		}
		ps := slices.Clone(allPartitions()[i%3:])
		if i%2 == 0 {
			ps = ps[:1]
		}
		var c stores.Commit
		for _, p := range ps {
			a := f.advance(p)
			a.Next = a.Claim.Next + int64(i%4) // sometimes it does not move
			if i%7 == 6 {
				a.Claim.Token = "stale"
			}
			c.Advances = append(c.Advances, a)
			if a.Claim.Epoch < epoch[p] {
				t.Fatalf("%s: the epoch fell from %d to %d", p, epoch[p], a.Claim.Epoch)
			}
			epoch[p] = a.Claim.Epoch
		}
		// Rows come with a move: without one nobody could tell after a lost answer whether they were applied.
		rows := int64(0)
		if i%4 != 0 {
			rows = int64(len(ps))
			c.Rows = f.batch(on("sum", add(1, rows)))
		}
		err := f.w.Commit(f.ctx, c)
		if (err != nil) != (i%7 == 6) {
			t.Fatalf("commit %d: %v", i, err)
		}
		if err != nil {
			continue
		}
		sum += rows
		for _, a := range c.Advances {
			if a.Claim.Next != next[a.Claim.TopicPartition] {
				t.Fatalf("%s: from %d after %d", a.Claim.TopicPartition, a.Claim.Next, next[a.Claim.TopicPartition])
			}
			next[a.Claim.TopicPartition] = a.Next
			f.moved(a)
		}
	}
	for _, c := range f.state().claims {
		if c.Next != next[c.TopicPartition] {
			t.Fatalf("%s is at %d, want %d", c.TopicPartition, c.Next, next[c.TopicPartition])
		}
	}
	f.wants(0, []value.Value{"sum", sum, nil})
}
