// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package bulk_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/bulk"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/sources"
	"github.com/projectionist-dev/projectionist/projectors/stores"
	storemem "github.com/projectionist-dev/projectionist/projectors/stores/memory"
)

// run starts a builder and gives it two seconds.
func (w *world) run(change func(*bulk.Config)) (*bulk.Builder, chan error) {
	b, done := bulk.New(w.config(change)), make(chan error, 1)
	go func() { done <- b.Run(w.Context()) }()
	time.Sleep(2 * time.Second)
	return b, done
}

func phase(b *bulk.Builder) string {
	if st := b.Status().Build; st != nil {
		return st.Phase
	}
	return "none"
}

// changes are what makes a log unfit for a build that has not begun.
var changes = map[string]func(w *world){
	"growth": func(w *world) {
		w.broker.Grow("orders", 3)
		for i := range 20 {
			_, rec := order("line", 20, 2, 1000+i)
			w.append(on(int32(i%20%2)), rec)
		}
	},
	"retention": func(w *world) {
		w.broker.DeleteRecords(on(0), 5)
		w.broker.DeleteRecords(on(1), 5)
	},
}

// TestOthersJudgeNothing: what happens to the log while one builds is not for those who wait to judge: they would take the
// partitions from it.
func TestOthersJudgeNothing(t *testing.T) {
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, orders(), 2)
				w.c.Build = &contract.Build{MaxEventsPerSecond: 100}
				w.fill(0, 1000, 20, 2)
				first, firstDone := w.run(nil)
				second, secondDone := w.run(func(cfg *bulk.Config) { cfg.Owner = "pod-2" })
				change(w)
				time.Sleep(2 * time.Second)
				third, thirdDone := w.run(func(cfg *bulk.Config) { cfg.Owner = "pod-3" })
				if phase(first) != contract.BuildReading || phase(second) != contract.BuildWaiting || phase(third) != contract.BuildWaiting {
					t.Fatalf("phases %s, %s, %s", phase(first), phase(second), phase(third))
				}
				for _, done := range []chan error{firstDone, secondDone, thirdDone} {
					if err := <-done; err != nil {
						t.Fatal(err)
					}
				}
				if outcome(t, first) != "Built" || outcome(t, second) != "Begun" || outcome(t, third) != "Begun" {
					t.Errorf("outcomes %s, %s, %s", outcome(t, first), outcome(t, second), outcome(t, third))
				}
				w.follow(func(st contract.ProjectorStatus) bool { return caughtUp(st) && len(st.Partitions) == len(w.claims()) })
				n, _ := w.expected(nil)
				if wrong := w.holds(n); wrong != "" {
					t.Fatal(wrong)
				}
			})
		})
	}
}

// TestJudgedTooLate: one that looked at the bookkeeping before anybody had begun, and at the log after it changed, waits for
// the one that has begun in between.
func TestJudgedTooLate(t *testing.T) {
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, orders(), 2)
				w.c.Build = &contract.Build{MaxEventsPerSecond: 100}
				w.fill(0, 1000, 20, 2)
				var first *bulk.Builder
				var firstDone chan error
				second, secondDone := w.run(func(cfg *bulk.Config) {
					cfg.Owner = "pod-2"
					cfg.Log = &hookedBounds{cfg.Log, func() {
						if first == nil {
							first, firstDone = w.run(nil)
							change(w)
						}
					}}
				})
				time.Sleep(4 * time.Second)
				synctest.Wait()
				if phase(first) != contract.BuildReading || phase(second) != contract.BuildWaiting {
					t.Fatalf("phases %s, %s", phase(first), phase(second))
				}
				for _, done := range []chan error{firstDone, secondDone} {
					if err := <-done; err != nil {
						t.Fatal(err)
					}
				}
				if outcome(t, first) != "Built" || outcome(t, second) != "Begun" {
					t.Errorf("outcomes %s, %s", outcome(t, first), outcome(t, second))
				}
			})
		})
	}
}

// hookedBounds does something before the ends are asked.
type hookedBounds struct {
	sources.Log
	before func()
}

func (l *hookedBounds) Bounds(ctx context.Context, tps ...event.TopicPartition) (map[event.TopicPartition]sources.Bounds, error) {
	l.before()
	return l.Log.Bounds(ctx, tps...)
}

// TestTheNextOneJudges: what makes a log unfit is found by who takes the place of a builder that died.
func TestTheNextOneJudges(t *testing.T) {
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, orders(), 2)
				w.c.Build = &contract.Build{MaxEventsPerSecond: 100}
				w.fill(0, 1000, 20, 2)
				ctx, kill := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- bulk.New(w.config(nil)).Run(ctx) }()
				time.Sleep(2 * time.Second)
				change(w)
				kill()
				if err := <-done; !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
				if got := outcome(t, w.build(func(cfg *bulk.Config) { cfg.Owner = "pod-2" })); got != "Topics" {
					t.Errorf("outcome %s", got)
				}
				if wrong := w.untouched(); wrong != "" {
					t.Fatal(wrong)
				}
				if got := outcome(t, w.build(nil)); got != "Begun" {
					t.Errorf("it is tried again: %s", got)
				}
			})
		})
	}
}

// faultyBarriers fails the first time that barriers are asked for.
type faultyBarriers struct {
	builderWriter
	calls atomic.Int32
}

var errAway = &stores.EnvironmentError{Reason: stores.ReasonUnreachable, Message: "down"}

func (f *faultyBarriers) Barriers(ctx context.Context) ([]stores.Barrier, error) {
	if err := failFirst(&f.calls, 1, errAway); err != nil {
		return nil, err
	}
	return f.builderWriter.Barriers(ctx)
}

// TestStoreIsWholeAgain: a fault of the store that is over is not shown for the rest of the build, nor does it keep a
// process that stands still from being restarted.
func TestStoreIsWholeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, orders(), 1)
		w.fill(0, 100, 20, 1)
		barriers := &faultyBarriers{}
		var reading, writing atomic.Bool
		var b *bulk.Builder
		var commits atomic.Int32
		w.store.SetHooks(storemem.Hooks{
			BeforeCommit: func(context.Context, stores.Commit) error { return failFirst(&commits, 1, errAway) },
			AfterCommit: func(context.Context, stores.Commit) error {
				writing.Store(b.Status().Store.OK)
				return nil
			},
		})
		b = bulk.New(w.config(func(cfg *bulk.Config) {
			barriers.builderWriter = cfg.Writer.(builderWriter)
			cfg.Writer = barriers
			cfg.Log = &hookedLog{cfg.Log, func() { reading.Store(b.Status().Store.OK) }}
		}))
		if err := b.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if barriers.calls.Load() != 2 || commits.Load() != 2 {
			t.Fatalf("%d and %d calls: the test says nothing", barriers.calls.Load(), commits.Load())
		}
		if !reading.Load() || !writing.Load() || !b.Status().Store.OK {
			t.Errorf("the store is whole: %t while reading, %t at the commit, %t after it", reading.Load(), writing.Load(), b.Status().Store.OK)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, orders(), 1)
		w.fill(0, 100, 20, 1)
		ctx, cancel := context.WithCancel(t.Context())
		b := bulk.New(w.config(func(cfg *bulk.Config) {
			cfg.Writer = &faultyBarriers{builderWriter: cfg.Writer.(builderWriter)}
			cfg.Log = &stuckLog{cfg.Log}
		}))
		done := make(chan error, 1)
		go func() { done <- b.Run(ctx) }()
		time.Sleep(6 * time.Minute)
		if b.Alive() {
			t.Error("it reads nothing for 6 minutes, and is alive")
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// TestRowsThatCannotBeWritten: an error that trying again does not mend is told, as often as it costs a reading of the log.
func TestRowsThatCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, orders(), 1)
		w.fill(0, 100, 20, 1)
		var told bytes.Buffer
		var commits atomic.Int32
		w.store.SetHooks(storemem.Hooks{BeforeCommit: func(context.Context, stores.Commit) error {
			return failFirst(&commits, 2, errors.New("no such column"))
		}})
		b := w.build(func(cfg *bulk.Config) { cfg.Logger = slog.New(slog.NewTextHandler(&told, nil)) })
		if got := outcome(t, b); got != "Built" {
			t.Fatalf("outcome %s", got)
		}
		if n := strings.Count(told.String(), "level=ERROR msg=\"the rows cannot be written, the log is read anew\" error=\"no such column\""); n != 2 {
			t.Errorf("it is told %d times:\n%s", n, told.String())
		}
	})
}
