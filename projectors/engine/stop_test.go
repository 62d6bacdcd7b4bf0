// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"context"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/projectors/engine"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/handlers"
	"github.com/projectionist-dev/projectionist/projectors/sources"
	sourcemem "github.com/projectionist-dev/projectionist/projectors/sources/memory"
	"github.com/projectionist-dev/projectionist/projectors/stores"
	storemem "github.com/projectionist-dev/projectionist/projectors/stores/memory"
)

// loses starts a projector of one partition with ten events, whose claim is ended before their commit is answered; free
// comes when the partition is known to be lost.
func (w *world) loses(change func(c *engine.Config, free <-chan struct{})) *projector {
	w.t.Helper()
	held, free := make(chan struct{}), make(chan struct{})
	w.store.SetHooks(storemem.Hooks{BeforeCommit: func(context.Context, stores.Commit) error {
		<-held
		return nil
	}})
	p := w.start("a", func(c *engine.Config) {
		c.Log.(*sourcemem.Log).MaxRecords = 10
		// The watch that takes it back comes behind what was under way when it was lost.
		c.WatchInterval, c.LookInterval = time.Minute, time.Hour
		change(c, free)
	})
	time.Sleep(time.Second)
	if _, err := w.store.Admin().(stores.Replacer).Replace(w.t.Context(), w.contract, stores.Replacement{Owner: "repair",
		Fold: func(context.Context, []stores.Claim, []stores.Barrier) ([]stores.Row, error) { return nil, nil }}); err != nil {
		w.t.Fatal(err)
	}
	close(held)
	time.Sleep(time.Second)
	if st := p.partition(0); st.Stopped != nil || st.Position != "0" {
		w.t.Fatalf("%+v", st)
	}
	close(free)
	time.Sleep(time.Second)
	return p
}

// An event that cannot be applied, and is found when the partition is lost already, does not keep it from being taken back.
func TestAStopThatComesTooLateIsNone(t *testing.T) {
	inBubble(t, 1, func(w *world) {
		w.spread(1, 2, 10)
		w.raw(0, "key-0", "{")
		p := w.loses(func(c *engine.Config, free <-chan struct{}) {
			c.NewEvaluator = func() engine.Evaluator { return &slowFrom{w.program.NewEvaluator(), 10, free} }
		})
		if st := p.partition(0); st.Stopped != nil {
			t.Errorf("it is stopped, and nobody's: %+v", st)
		}
		w.until("stopped where it must", func() bool {
			n, _ := p.partition(0).Position.Offset()
			return n == 10 && p.partition(0).Stopped != nil
		})
		w.check()
	})
}

// slowFrom evaluates the record at an offset only when it is free to.
type slowFrom struct {
	engine.Evaluator
	offset int64
	free   <-chan struct{}
}

func (s *slowFrom) Handle(tp event.TopicPartition, r *event.Record, effects []fold.Effect) ([]fold.Effect, handlers.Outcome, error) {
	if r.Offset == s.offset {
		<-s.free
	}
	return s.Evaluator.Handle(tp, r, effects)
}

// A fetch that fails for good and began under a claim that is lost stops nothing: the next claim asks again.
func TestAFetchOfALostClaimStopsNothing(t *testing.T) {
	inBubble(t, 1, func(w *world) {
		w.spread(1, 2, 20)
		p := w.loses(func(c *engine.Config, free <-chan struct{}) { c.Log = &failsOnce{Log: c.Log, offset: 10, free: free} })
		if st := p.partition(0); st.Stopped != nil {
			t.Errorf("it is stopped, and nobody's: %+v", st)
		}
		w.until("caught up", w.caughtUp)
		w.check()
	})
}

// failsOnce says of the first fetch from an offset, when it is free to, that there is no such.
type failsOnce struct {
	sources.Log
	offset int64
	free   <-chan struct{}
	done   bool
}

func (l *failsOnce) Fetch(ctx context.Context, positions []sources.Position) ([]sources.Result, error) {
	if l.done || len(positions) != 1 || positions[0].Offset != l.offset {
		return l.Log.Fetch(ctx, positions)
	}
	l.done = true
	<-l.free
	tp := positions[0].TopicPartition
	return []sources.Result{{
		Batch: event.Batch{TopicPartition: tp, First: l.offset, Next: l.offset, End: -1, HighWatermark: -1},
		Err:   &sources.OffsetOutOfRange{TopicPartition: tp, Asked: l.offset, Earliest: l.offset + 1, End: 20, Below: true},
	}}, nil
}
