// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/projectors/engine"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/handlers"
	"github.com/projectionist-dev/projectionist/projectors/sources"
	"github.com/projectionist-dev/projectionist/projectors/stores"
	storemem "github.com/projectionist-dev/projectionist/projectors/stores/memory"
)

var errAway = &sources.Unreachable{Address: "b:9092", Err: errors.New("gone")}

// A rollout replaces the old pods as soon as the new ones are ready: one that
// never reached its store must not be.
func TestReadyOnlyWithBrokerAndStore(t *testing.T) {
	inBubble(t, 1, func(w *world) {
		var up atomic.Bool
		down := func() error {
			if up.Load() {
				return nil
			}
			return errDown
		}
		w.store.SetHooks(storemem.Hooks{
			BeforeRead:  func(context.Context) error { return down() },
			BeforeClaim: func(context.Context, []event.TopicPartition) error { return down() },
			BeforePing:  func(context.Context) error { return down() },
		})
		p := w.start("a", nil)
		time.Sleep(time.Minute)
		if p.Ready() {
			t.Error("ready without having reached the store")
		}
		up.Store(true)
		w.until("ready", p.Ready)
		// With more projectors than partitions the one without is ready, too.
		q := w.start("b", nil)
		w.until("the second is ready", q.Ready)
	})
}

func TestCaughtUpNeedsAFreshSample(t *testing.T) {
	inBubble(t, 1, func(w *world) {
		w.send(0, "k")
		p := w.start("a", nil)
		w.until("caught up", func() bool { return p.partition(0).CaughtUp })
		w.broker.SetFault(func(op string, _ event.TopicPartition) error {
			if op == "Bounds" || op == "Fetch" {
				return errAway
			}
			return nil
		})
		w.send(0, "k")
		time.Sleep(time.Minute)
		if s := p.partition(0); s.CaughtUp {
			t.Errorf("caught up with a log that has not been seen since %v", s.UpdatedAt)
		}
		w.broker.SetFault(nil)
		w.until("caught up again", func() bool { return w.caughtUp() && p.partition(0).CaughtUp })
		w.check()
	})
}

// A quiet partition gives no batch that would tell that its fault is over.
func TestFaultOfAQuietPartitionEnds(t *testing.T) {
	inBubble(t, 2, func(w *world) {
		w.spread(2, 2, 10)
		p := w.start("a", nil)
		w.until("caught up", w.caughtUp)
		w.broker.SetFault(func(op string, at event.TopicPartition) error {
			if op == "Fetch" && at == tp(0) {
				return errAway
			}
			return nil
		})
		w.until("the fault shows", func() bool { return p.partition(0).Waiting != "" })
		w.broker.SetFault(nil)
		time.Sleep(time.Minute)
		if s := p.partition(0); s.Waiting != "" {
			t.Errorf("still waiting a minute after the fault was over: %s", s.Waiting)
		}
	})
}

// A source asks a partition that failed again after a pause; in between its
// answers are good ones, which does not make the source whole.
func TestSourceHealthDoesNotFlap(t *testing.T) {
	inBubble(t, 2, func(w *world) {
		w.spread(2, 2, 10)
		p := w.start("a", nil)
		w.until("caught up", w.caughtUp)
		var last atomic.Int64
		w.broker.SetFault(func(op string, at event.TopicPartition) error {
			now := time.Now().UnixMilli()
			if op == "Fetch" && at == tp(0) && now-last.Load() >= 1000 {
				last.Store(now)
				return errAway
			}
			return nil
		})
		w.until("the fault shows", func() bool { return !p.Status().Source.OK })
		for range 600 {
			time.Sleep(100 * time.Millisecond)
			if p.Status().Source.OK {
				t.Fatal("the source is said to be whole while a partition of it cannot be read")
			}
		}
		w.broker.SetFault(nil)
		w.until("healthy", func() bool { return p.Status().Source.OK })
	})
}

// Producers that write micro- or nanoseconds where milliseconds belong are
// common: their events are good, and must neither block nor blind anything.
func TestTimestampsOfAnotherUnit(t *testing.T) {
	inBubble(t, 1, func(w *world) {
		p := w.start("a", nil)
		for _, ms := range []int64{1_700_000_000_000_000, 1_700_000_000_000_000_000, -5} {
			w.next++
			w.sent["k"] = append(w.sent["k"], w.next)
			w.broker.Append(tp(0), event.Record{Key: []byte("k"), Value: []byte(`{"k":"k","i":` + itoa(w.next) + `}`), Timestamp: ms})
			w.until("caught up", func() bool { return w.caughtUp() && p.partition(0).CaughtUp })
			if _, err := json.Marshal(p.Status()); err != nil {
				t.Fatalf("the status cannot be told: %v", err)
			}
			if y := p.partition(0).EventTime.Year(); y > 9999 {
				t.Errorf("the newest event is of the year %d", y)
			}
		}
		w.check()
	})
}

func itoa(n int64) string {
	b, _ := json.Marshal(n)
	return string(b)
}

// Small batches without effect wait long for company; they must not hold up others.
func TestIgnoredEventsDoNotDelayOthers(t *testing.T) {
	inBubble(t, 2, func(w *world) {
		w.contract.Models[0].Handlers[0].When = "event.k != 'ignored'"
		w.compile()
		p := w.start("a", func(c *engine.Config) { c.IdleCommit = time.Minute })
		w.until("joined", func() bool { return p.Ready() && len(p.Status().Partitions) == 2 })
		for range 10 {
			w.raw(0, "ignored", `{"k":"ignored"}`)
			time.Sleep(50 * time.Millisecond)
		}
		w.send(1, "k")
		time.Sleep(time.Second)
		if len(w.store.Rows(w.contract, "tally")) != 1 {
			t.Error("an event waited for another partition's ignored ones")
		}
		w.until("caught up", w.caughtUp)
		w.check()
	})
}

// Records cost more memory than their bytes: many small ones are bounded, too (Law 10).
func TestSmallEventsInFlightAreBounded(t *testing.T) {
	inBubble(t, 16, func(w *world) {
		w.spread(16, 16, 16*400)
		held := make(chan struct{})
		w.store.SetHooks(storemem.Hooks{BeforeCommit: func(ctx context.Context, _ stores.Commit) error {
			select {
			case <-held:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}})
		var fetched atomic.Int64
		p := w.start("a", func(c *engine.Config) {
			c.MaxInFlightBytes = 64 << 10
			c.Log = countingLog{c.Log, &fetched}
		})
		w.until("reading", func() bool { return fetched.Load() > 0 })
		time.Sleep(10 * time.Second)
		// One fetch more than the budget allows: 40 records of each partition.
		if n := fetched.Load(); n > 64<<10/engine.RecordWeight+16*40 {
			t.Errorf("%d records in flight", n)
		}
		close(held)
		w.until("caught up", w.caughtUp)
		w.check()
		_ = p
	})
}

type countingLog struct {
	sources.Log
	n *atomic.Int64
}

func (l countingLog) Fetch(ctx context.Context, ps []sources.Position) ([]sources.Result, error) {
	rs, err := l.Log.Fetch(ctx, ps)
	for i := range rs {
		l.n.Add(int64(len(rs[i].Batch.Records)))
	}
	return rs, err
}

func TestMissingLastPositionRowStops(t *testing.T) {
	inBubble(t, 3, func(w *world) {
		w.spread(3, 6, 30)
		p := w.start("a", nil)
		w.until("caught up", w.caughtUp)
		p.kill()
		// Its absence looks like a topic that has grown.
		w.store.DeletePosition(w.contract, tp(2))
		q := w.start("b", nil)
		w.until("stopped", func() bool {
			return q.partition(2).Stopped != nil && q.partition(2).Stopped.Reason == "PositionMissing"
		})
		w.until("the others go on", func() bool { return q.partition(0).CaughtUp && q.partition(1).CaughtUp })
	})
}

func TestPositionRowThatVanishesStopsItsPartitionAlone(t *testing.T) {
	inBubble(t, 2, func(w *world) {
		w.spread(2, 4, 10)
		p := w.start("a", nil)
		w.until("caught up", func() bool { return w.caughtUp() && p.partition(0).CaughtUp && p.partition(1).CaughtUp })
		w.store.DeletePosition(w.contract, tp(0))
		w.raw(0, "key-0", `{"k":"key-0","i":1}`)
		w.send(1, "key-1")
		w.until("stopped", func() bool {
			return p.partition(0).Stopped != nil && p.partition(0).Stopped.Reason == "PositionMissing"
		})
		w.until("the other goes on", func() bool { return p.partition(1).CaughtUp && p.Status().Store.OK })
		if n, _ := p.partition(1).Position.Offset(); n != 6 {
			t.Errorf("the other stands at %d", n)
		}
	})
}

// A stop that lies ahead of events which were lost to another claim must not
// keep them from being applied when that claim's owner is gone.
func TestLostPartitionWithAStopAheadIsTakenBack(t *testing.T) {
	inBubble(t, 1, func(w *world) {
		held := make(chan struct{})
		w.store.SetHooks(storemem.Hooks{BeforeCommit: func(context.Context, stores.Commit) error {
			<-held
			return nil
		}})
		w.spread(1, 2, 30)
		w.raw(0, "key-0", "{")
		p := w.start("a", nil)
		time.Sleep(time.Second)
		if _, err := w.store.Writer(w.contract).Claim(t.Context(), "dies at once", []event.TopicPartition{tp(0)}); err != nil {
			t.Fatal(err)
		}
		close(held)
		w.until("stopped where it must", func() bool {
			n, _ := p.partition(0).Position.Offset()
			return n == 30 && p.partition(0).Stopped != nil
		})
		w.check()
	})
}

// An event of a transaction that was open when the topic grew is older than the
// growth, although it becomes readable after it.
func TestGrowthWaitsForOpenTransactions(t *testing.T) {
	inBubble(t, 2, func(w *world) {
		w.spread(2, 2, 10)
		w.broker.Open(tp(0))
		w.send(0, "key-0")
		w.broker.Grow(topic, 3)
		w.send(2, "key-0") // key-0 lives in partition 2 now
		w.start("a", nil)
		time.Sleep(time.Minute)
		w.broker.Commit(tp(0))
		w.until("caught up", w.caughtUp)
		w.check()
	})
}

// Brokers learn of new partitions one after the other: the one that is asked may
// know less than the one that the assignment came from.
func TestAssignmentAheadOfMetadata(t *testing.T) {
	inBubble(t, 2, func(w *world) {
		w.spread(2, 4, 10)
		w.start("a", nil).kill()
		w.broker.Grow(topic, 4)
		w.send(3, "new")
		begin := time.Now()
		p := w.start("b", func(c *engine.Config) { c.Log = staleLog{c.Log, begin.Add(5 * time.Second)} })
		w.until("caught up", func() bool { return w.caughtUp() && p.partition(3).CaughtUp })
		if s := p.partition(3); s.Stopped != nil || strings.Contains(s.Waiting, "missing") {
			t.Errorf("%+v", s)
		}
		w.check()
	})
}

// staleLog knows of two partitions until some time.
type staleLog struct {
	sources.Log
	until time.Time
}

func (l staleLog) Describe(ctx context.Context, topics ...string) (map[string]sources.TopicInfo, error) {
	infos, err := l.Log.Describe(ctx, topics...)
	if time.Now().Before(l.until) {
		for name, i := range infos {
			i.Partitions = 2
			infos[name] = i
		}
	}
	return infos, err
}

// A buffer that is released twice is given to two readers at once.
func TestEachBatchIsReleasedOnce(t *testing.T) {
	inBubble(t, 12, func(w *world) {
		w.spread(12, 12, 12*10)
		var got, freed atomic.Int64
		var twice atomic.Bool
		held := make(chan struct{})
		p := w.start("a", func(c *engine.Config) {
			c.Workers = 1 // whose queue fills up, so that the fetcher stands in front of it
			c.Log = releaseLog{c.Log, &got, &freed, &twice}
			inner := c.NewEvaluator
			c.NewEvaluator = func() engine.Evaluator { return heldEvaluator{inner(), held} }
		})
		w.until("reading", func() bool { return got.Load() > 0 })
		go func() {
			time.Sleep(time.Second)
			close(held)
		}()
		p.kill()
		if twice.Load() || got.Load() != freed.Load() {
			t.Errorf("%d batches, %d released; one of them twice: %v", got.Load(), freed.Load(), twice.Load())
		}
	})
}

type heldEvaluator struct {
	engine.Evaluator
	held chan struct{}
}

func (e heldEvaluator) Handle(at event.TopicPartition, r *event.Record, out []fold.Effect) ([]fold.Effect, handlers.Outcome, error) {
	<-e.held
	return e.Evaluator.Handle(at, r, out)
}

type releaseLog struct {
	sources.Log
	got, freed *atomic.Int64
	twice      *atomic.Bool
}

func (l releaseLog) Fetch(ctx context.Context, ps []sources.Position) ([]sources.Result, error) {
	rs, err := l.Log.Fetch(ctx, ps)
	for i := range rs {
		if rs[i].Err != nil {
			continue
		}
		l.got.Add(1)
		var once atomic.Bool
		rs[i].Batch.Free = func() {
			if once.Swap(true) {
				l.twice.Store(true)
			}
			l.freed.Add(1)
		}
	}
	return rs, err
}

// When everything is stopped nothing is fetched that would tell of the source.
func TestSourceIsWholeAgainAfterAllHasStopped(t *testing.T) {
	inBubble(t, 1, func(w *world) {
		w.raw(0, "k", "{")
		p := w.start("a", nil)
		w.until("stopped", func() bool { return p.partition(0).Stopped != nil })
		w.broker.SetFault(func(op string, _ event.TopicPartition) error {
			if op == "Bounds" {
				return errAway
			}
			return nil
		})
		w.until("the fault shows", func() bool { return !p.Status().Source.OK })
		w.broker.SetFault(nil)
		w.until("healthy", func() bool { return p.Status().Source.OK })
	})
}

// A topic that grows twice may be seen once by one member and twice by another.
func TestGrowthSeenInTwoSteps(t *testing.T) {
	inBubble(t, 2, func(w *world) {
		w.spread(2, 4, 10)
		w.broker.Grow(topic, 4)
		w.send(3, "new")
		var once atomic.Bool
		p := w.start("a", func(c *engine.Config) {
			c.Log = boundsLog{c.Log, func() {
				if !once.Swap(true) {
					b := stores.Barrier{Topic: topic, Before: 2, After: 3, Ends: []int64{5, 5}}
					if _, err := w.store.Writer(w.contract).AddPartitions(t.Context(), b); err != nil {
						t.Error(err)
					}
				}
			}}
		})
		w.until("caught up", func() bool { return len(p.Status().Partitions) == 4 && p.partition(3).CaughtUp })
		w.check()
	})
}

// boundsLog calls before each look at the bounds.
type boundsLog struct {
	sources.Log
	before func()
}

func (l boundsLog) Bounds(ctx context.Context, ps ...event.TopicPartition) (map[event.TopicPartition]sources.Bounds, error) {
	l.before()
	return l.Log.Bounds(ctx, ps...)
}
