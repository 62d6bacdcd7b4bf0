// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/projectors/engine"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/stores"
	storemem "github.com/projectionist-dev/projectionist/projectors/stores/memory"
)

// The store fails over to a replica that lacks the last commit of a partition,
// in which no event comes any more that would show it.
func TestQuietPartitionSeesThatTheStoreWentBack(t *testing.T) {
	for name, claimed := range map[string]bool{"the commit is lost": true, "and so is the claim": false} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 2, func(w *world) {
				w.spread(2, 4, 20)
				before := w.store.Replica(w.contract)
				p := w.start("a", nil)
				w.until("caught up", func() bool { return w.caughtUp() && p.partition(0).CaughtUp })
				if claimed {
					before = w.store.Replica(w.contract)
					w.send(0, "key-0")
					w.until("caught up again", w.caughtUp)
				}
				before()
				w.until("what was lost is there again", w.caughtUp)
				w.until("status says so", func() bool { return p.partition(0).CaughtUp && p.partition(1).CaughtUp })
				w.check()
			})
		})
	}
}

// A claim that somebody else has made and does not use is taken back, although there is nothing to commit.
func TestQuietPartitionSeesAnotherClaim(t *testing.T) {
	inBubble(t, 1, func(w *world) {
		w.spread(1, 2, 10)
		w.start("a", nil)
		w.until("caught up", w.caughtUp)
		if _, err := w.store.Writer(w.contract).Claim(t.Context(), "passer-by", []event.TopicPartition{tp(0)}); err != nil {
			t.Fatal(err)
		}
		w.until("taken back", func() bool { return w.claims()[0].Owner == "a" })
	})
}

// A stop is found again after the store went back, and nothing behind it is applied.
func TestStoppedPartitionSeesThatTheStoreWentBack(t *testing.T) {
	inBubble(t, 1, func(w *world) {
		before := w.store.Replica(w.contract)
		w.spread(1, 1, 5)
		at := w.raw(0, "key-0", "{")
		p := w.start("a", nil)
		stopped := func() bool { return p.partition(0).Stopped != nil }
		w.until("stopped", stopped)
		before()
		w.until("it is seen", func() bool { return !stopped() })
		w.until("stopped again", stopped)
		if got, _ := p.partition(0).Position.Offset(); got != at {
			t.Errorf("position %d, want %d", got, at)
		}
		w.check()
	})
}

func TestQuietPartitionSeesThatItsRowIsGone(t *testing.T) {
	inBubble(t, 2, func(w *world) {
		w.spread(2, 4, 20)
		p := w.start("a", nil)
		w.until("caught up", w.caughtUp)
		w.store.DeletePosition(w.contract, tp(0))
		w.until("stopped", func() bool {
			return p.partition(0).Stopped != nil && p.partition(0).Stopped.Reason == "PositionMissing"
		})
		if p.partition(1).Stopped != nil || !p.partition(1).CaughtUp {
			t.Error("the other partition has its row")
		}
	})
}

// Looking at the rows while commits of ours move them takes no partition from us.
func TestLookingFencesNoCommitOfOurs(t *testing.T) {
	inBubble(t, 2, func(w *world) {
		var commits atomic.Int32
		w.store.SetHooks(storemem.Hooks{
			BeforeCommit: func(context.Context, stores.Commit) error { time.Sleep(700 * time.Millisecond); return nil },
			// An answer that takes longer than a look, and one that does not.
			AfterCommit: func(context.Context, stores.Commit) error {
				time.Sleep(time.Duration(commits.Add(1)%3) * 2500 * time.Millisecond)
				return nil
			},
		})
		slow := &slowPeek{Writer: w.store.Writer(w.contract)}
		w.start("a", func(c *engine.Config) { c.Writer, c.WatchInterval = slow, 300*time.Millisecond })
		for i := range 300 {
			w.send(0, "key-0")
			time.Sleep(time.Duration(1000+i%7*970) * time.Millisecond)
		}
		w.until("caught up", w.caughtUp)
		w.check()
		if n := slow.moved.Load(); n < 20 {
			t.Fatalf("the row moved during %d looks only", n)
		}
		for _, c := range w.claims() {
			if c.Epoch != 1 {
				t.Errorf("%s was claimed %d times", c.TopicPartition, c.Epoch)
			}
		}
	})
}

// slowPeek takes its time before and after the rows are read.
type slowPeek struct {
	stores.Writer
	moved atomic.Int32 // reads that were out of date when they arrived
}

func (s *slowPeek) Peek(ctx context.Context) ([]stores.Claim, error) {
	time.Sleep(1500 * time.Millisecond)
	rows, err := s.Writer.Peek(ctx)
	time.Sleep(3 * time.Second)
	if now, _ := s.Writer.Peek(ctx); len(rows) > 0 && len(now) > 0 && now[0].Next != rows[0].Next {
		s.moved.Add(1)
	}
	return rows, err
}

// A store that is away is seen also when nothing is to be committed, and so is its return.
func TestQuietProjectorSeesTheStore(t *testing.T) {
	inBubble(t, 1, func(w *world) {
		w.spread(1, 2, 10)
		p := w.start("a", nil)
		w.until("caught up", w.caughtUp)
		w.store.SetHooks(storemem.Hooks{BeforeRead: func(context.Context) error { return errDown }})
		w.until("away", func() bool { return !p.Status().Store.OK })
		w.store.SetHooks(storemem.Hooks{})
		w.until("back", func() bool { return p.Status().Store.OK })
	})
}

func (w *world) claims() []stores.Claim {
	w.t.Helper()
	claims, err := w.store.Writer(w.contract).Peek(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return claims
}
