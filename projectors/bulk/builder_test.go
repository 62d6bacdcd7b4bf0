// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package bulk_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/bulk"
	"github.com/projectionist-dev/projectionist/projectors/engine"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/sources"
	sourcemem "github.com/projectionist-dev/projectionist/projectors/sources/memory"
	"github.com/projectionist-dev/projectionist/projectors/stores"
	storemem "github.com/projectionist-dev/projectionist/projectors/stores/memory"
)

// outcome is what the builder decided, by its metric.
func outcome(t testing.TB, b *bulk.Builder) string {
	t.Helper()
	reg := prometheus.NewRegistry()
	b.Register(reg)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "projectionist_builds_total" {
			return f.GetMetric()[0].GetLabel()[0].GetValue()
		}
	}
	return ""
}

func gauge(t testing.TB, b *bulk.Builder, name string) float64 {
	t.Helper()
	reg := prometheus.NewRegistry()
	b.Register(reg)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return 0
}

// follow runs the engine, as a process does after the build, until ok.
func (w *world) follow(ok func(contract.ProjectorStatus) bool) {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	cfg := w.config(nil)
	e := engine.New(engine.Config{
		Log: cfg.Log, Group: w.broker.Join(w.c.Group, "orders"), Writer: cfg.Writer, Models: cfg.Models, NewEvaluator: cfg.NewEvaluator,
		Topics: []string{"orders"}, Owner: "pod-1", Workers: 2,
	})
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	for range 600 {
		time.Sleep(100 * time.Millisecond)
		if ok(e.Status()) {
			break
		}
	}
	if !ok(e.Status()) {
		w.Errorf("the engine does not come there: %+v", e.Status())
	}
	cancel()
	if err := <-done; err != nil {
		w.Fatal(err)
	}
}

func caughtUp(st contract.ProjectorStatus) bool {
	for _, p := range st.Partitions {
		if !p.CaughtUp {
			return false
		}
	}
	return len(st.Partitions) > 0
}

// TestBuild: in memory, with some spilled and with all spilled, the rows are the interpreter's, and the engine goes on from there.
func TestBuild(t *testing.T) {
	for name, tc := range map[string]struct {
		memory  int64
		records int // of a fetch
	}{
		"in memory": {1 << 30, 3}, "some spilled": {120_000, 3}, "all spilled": {1, 3},
		// More effects than wait at once.
		"in memory, large fetches": {1 << 30, 4000}, "all spilled, large fetches": {1, 1000},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, orders(), 3)
				w.fill(0, 4000, 100, 3)
				spilled := 0.0
				b := w.build(func(cfg *bulk.Config) {
					cfg.MaxMemory, cfg.Log.(*sourcemem.Log).MaxRecords = tc.memory, tc.records
					cfg.Writer = &watched{cfg.Writer.(builderWriter), func() { spilled = gauge(t, w.builder, "projectionist_build_spill_bytes") }}
				})
				if got := outcome(t, b); got != "Built" {
					t.Fatalf("outcome %s", got)
				}
				if (spilled > 0) != (tc.memory < 1<<30) {
					t.Errorf("%v bytes were spilled", spilled)
				}
				n, stops := w.expected(nil)
				if wrong := w.holds(n) + w.built(); stops || wrong != "" {
					t.Fatalf("stops %t: %s", stops, wrong)
				}
				events, rows := b.Built()
				if events != 4000 || rows < 100 || b.Status().Build != nil || b.Status().EventsTotal != 4000 {
					t.Errorf("%d events, %d rows, status %+v", events, rows, b.Status())
				}
				w.fill(4000, 300, 100, 3)
				w.follow(caughtUp)
				n, _ = w.expected(nil)
				if wrong := w.holds(n); wrong != "" {
					t.Fatalf("after the build: %s", wrong)
				}
			})
		})
	}
}

type builderWriter interface {
	stores.Writer
	stores.Builder
}

// watched calls a function when a Write begins.
type watched struct {
	builderWriter
	writes func()
}

func (w *watched) StartBuild(ctx context.Context, owner string) (stores.Build, error) {
	b, err := w.builderWriter.StartBuild(ctx, owner)
	if err != nil {
		return nil, err
	}
	return &watchedBuild{b, w.writes}, nil
}

type watchedBuild struct {
	stores.Build
	writes func()
}

func (b *watchedBuild) Write(ctx context.Context, advances []stores.Advance, rows stores.Fill, indexing func()) error {
	b.writes()
	return b.Build.Write(ctx, advances, rows, indexing)
}

// TestOneEventIsRefused: the build leaves all to the engine, which stops where the event is.
func TestOneEventIsRefused(t *testing.T) {
	for name, body := range map[string]string{
		"cannot be decoded":  `{"type": "line", "customer": "c1", "id": 1`,
		"leaves the range":   `{"type": "line", "customer": "c1", "id": 1, "price": 1, "n": 9223372036854775807}`,
		"another key":        `{"type": "line", "customer": "other", "id": 1, "price": 1, "n": 1}`,
		"breaks a check":     "",
		"its sum overflows":  "",
		"found when written": "",
	} {
		for _, memory := range []int64{1 << 30, 1} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := orders()
					switch name {
					case "breaks a check":
						c.Models[0].Checks[0].Rule = "row.lines < 3"
					case "its sum overflows":
						c.Models[0].Columns[3].Max = ptr("0.50")
					case "found when written":
						c.Models[1].Columns[1].Max = ptr("20")
					case "leaves the range":
						c.Models[1].Handlers[0].Add["n"] = "event.n"
					}
					w := newWorld(t, c, 3)
					w.fill(0, 200, 10, 3)
					if body != "" {
						w.append(on(1), event.Record{Key: []byte("c1"), Value: []byte(body)})
					}
					w.fill(200, 100, 10, 3)
					if _, stops := w.expected(nil); !stops {
						t.Fatal("nothing is refused")
					}
					b := w.build(func(cfg *bulk.Config) { cfg.MaxMemory = memory })
					if got := outcome(t, b); got != "EventRefused" {
						t.Errorf("outcome %s", got)
					}
					if wrong := w.untouched(); wrong != "" {
						t.Fatal(wrong)
					}
					again := w.build(nil)
					if got := outcome(t, again); got != "Begun" {
						t.Errorf("it is tried again: %s", got)
					}
					w.follow(func(st contract.ProjectorStatus) bool {
						for _, p := range st.Partitions {
							if p.Stopped == nil && !p.CaughtUp {
								return false
							}
						}
						return len(st.Partitions) == 3
					})
				})
			})
		}
	}
}

// TestNotWorthWhile: what is left to the engine is not even claimed.
func TestNotWorthWhile(t *testing.T) {
	for name, c := range map[string]struct {
		contract func(*contract.Contract)
		config   func(*bulk.Config)
		want     string
	}{
		"short": {nil, func(cfg *bulk.Config) { cfg.MinEvents = 101 }, "ShortLog"},
		"live":  {func(c *contract.Contract) { c.Build = &contract.Build{Mode: contract.BuildLive} }, nil, "Mode"},
		"fan-out": {func(c *contract.Contract) {
			h := &c.Models[0].Handlers[2]
			h.Key, h.Where = nil, map[string]string{"customer": "event.customer"}
		}, nil, "Spec"},
		"unique":  {func(c *contract.Contract) { c.Models[0].Indexes[0].Unique = true }, nil, "Spec"},
		"arrival": {func(c *contract.Contract) { c.Models[1].Order = "Arrival" }, nil, "Spec"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := orders()
			if c.contract != nil {
				c.contract(spec)
			}
			w := newWorld(t, spec, 2)
			w.fill(0, 100, 10, 2)
			b := w.build(c.config)
			if got := outcome(t, b); got != c.want {
				t.Errorf("outcome %s, want %s", got, c.want)
			}
			for _, claim := range w.claims() {
				if claim.Epoch != 0 {
					t.Errorf("%s was claimed", claim.TopicPartition)
				}
			}
		})
	}
}

// TestSpillHasALimit: reaching it, or having no place to spill to, leaves all to the engine.
func TestSpillHasALimit(t *testing.T) {
	for name, c := range map[string]struct {
		limit int64
		dir   bool
		want  string
	}{"limit": {10_000, true, "SpillLimit"}, "no place": {1 << 30, false, "SpillFailed"}} {
		t.Run(name, func(t *testing.T) {
			spec := orders()
			spec.Build = &contract.Build{SpillBytes: c.limit}
			w := newWorld(t, spec, 2)
			random := rand.New(rand.NewPCG(1, 2))
			for i := range 40 {
				tp, rec := order("line", 2, 2, i)
				for range 100 { // what does not compress
					rec.Headers = append(rec.Headers, event.Header{Key: "h", Value: binary.BigEndian.AppendUint64(nil, random.Uint64())})
				}
				w.append(tp, rec)
			}
			b := w.build(func(cfg *bulk.Config) {
				cfg.MaxMemory = 1
				if !c.dir {
					cfg.SpillDir = ""
				}
			})
			if got := outcome(t, b); got != c.want {
				t.Errorf("outcome %s, want %s", got, c.want)
			}
			if wrong := w.untouched(); wrong != "" {
				t.Error(wrong)
			}
		})
	}
}

// TestBarrier: a key that a growth has moved, to a partition that was there or to a new one, is folded in the order of
// its events, however batches come.
func TestBarrier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, orders(), 2)
		send := func(partition int32, key, from, n int) {
			for i := from; i < from+n; i++ {
				_, rec := order("line", 3, 1, 3*i+key)
				w.append(on(partition), rec)
			}
		}
		send(0, 1, 0, 10)
		send(1, 0, 0, 40)
		send(1, 2, 0, 10)
		if _, err := w.store.Writer(w.c).AddPartitions(t.Context(), stores.Barrier{Topic: "orders", Before: 2, After: 3, Ends: []int64{10, 50}}); err != nil {
			t.Fatal(err)
		}
		w.broker.Grow("orders", 3)
		next := *w.c
		next.Revision, next.DataHash = "bbbbbbbbbb", "1:bbbbbbbbbb00"
		w.c = &next
		w.prepare(w.c)
		send(0, 0, 40, 40)
		send(2, 2, 10, 40)
		send(1, 1, 10, 5)
		w.build(nil)
		n, _ := w.expected(nil)
		if wrong := w.holds(n) + w.built(); wrong != "" {
			t.Fatal(wrong)
		}
	})
}

// TestGrowthDuringIt: what a growth moves is not read before the end of what was there, and the engine sees to it.
func TestGrowthDuringIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, orders(), 1)
		for i := range 200 {
			w.append(order("line", 1, 1, i))
		}
		var grown atomic.Bool
		w.build(func(cfg *bulk.Config) {
			cfg.Log = &hookedLog{cfg.Log, func() {
				if grown.Swap(true) {
					return
				}
				w.broker.Grow("orders", 2)
				for i := range 50 {
					_, rec := order("line", 1, 1, 200+i)
					w.append(on(1), rec)
				}
			}}
		})
		if c := w.claims(); len(c) != 1 || c[0].Next != 200 {
			t.Fatalf("positions %+v", c)
		}
		w.follow(func(st contract.ProjectorStatus) bool { return caughtUp(st) && len(st.Partitions) == 2 })
		n, _ := w.expected(nil)
		if wrong := w.holds(n); wrong != "" {
			t.Fatal(wrong)
		}
	})
}

// hookedLog does something before each Fetch.
type hookedLog struct {
	sources.Log
	before func()
}

func (l *hookedLog) Fetch(ctx context.Context, positions []sources.Position) ([]sources.Result, error) {
	l.before()
	return l.Log.Fetch(ctx, positions)
}

// TestChase: what came during a long build is read, too, as long as it gains on it.
func TestChase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, orders(), 1)
		w.fill(0, 400, 10, 1)
		fetches := 0
		w.build(func(cfg *bulk.Config) {
			cfg.MinEvents = 50
			cfg.Log = &hookedLog{cfg.Log, func() {
				if fetches++; fetches <= 100 {
					w.fill(399+fetches, 1, 10, 1)
				}
			}}
		})
		if c := w.claims(); c[0].Next < 490 {
			t.Fatalf("built up to %d of 500", c[0].Next)
		}
		w.follow(caughtUp)
		n, _ := w.expected(nil)
		if wrong := w.holds(n); wrong != "" {
			t.Fatal(wrong)
		}
	})
}

// TestFaultsAreWaitedOut: broker and store may fail at any call, the answer to the commit may be lost; all counts once.
func TestFaultsAreWaitedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, orders(), 2)
		w.fill(0, 500, 20, 2)
		random := rand.New(rand.NewPCG(1, 2))
		var mu sync.Mutex
		w.broker.SetFault(func(string, event.TopicPartition) error {
			mu.Lock()
			defer mu.Unlock()
			if random.IntN(12) == 0 {
				return &sources.Unreachable{Address: "b", Err: errors.New("away")}
			}
			return nil
		})
		down := &stores.EnvironmentError{Reason: stores.ReasonUnreachable, Message: "down"}
		var claims, reads, before, after atomic.Int32
		w.store.SetHooks(storemem.Hooks{
			BeforeClaim:  func(context.Context, []event.TopicPartition) error { return failFirst(&claims, 2, down) },
			BeforeRead:   func(context.Context) error { return failFirst(&reads, 3, down) },
			BeforeCommit: func(context.Context, stores.Commit) error { return failFirst(&before, 2, down) },
			AfterCommit:  func(context.Context, stores.Commit) error { return failFirst(&after, 1, down) },
		})
		b := w.build(nil)
		w.broker.SetFault(nil)
		w.store.SetHooks(storemem.Hooks{})
		if got := outcome(t, b); got != "Built" || after.Load() != 1 || before.Load() < 4 {
			t.Fatalf("outcome %s, %d and %d calls", got, before.Load(), after.Load())
		}
		n, _ := w.expected(nil)
		if wrong := w.holds(n) + w.built(); wrong != "" {
			t.Fatal(wrong)
		}
	})
}

func failFirst(calls *atomic.Int32, n int32, err error) error {
	if calls.Add(1) <= n {
		return err
	}
	return nil
}

// TestOthersWait: one builds, the others are ready and wait; when it dies another one begins anew, and so does one that lost its right.
func TestOthersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, orders(), 2)
		w.c.Build = &contract.Build{MaxEventsPerSecond: 100}
		w.fill(0, 1000, 20, 2)
		start := func(name string) (*bulk.Builder, context.CancelFunc, chan error) {
			ctx, cancel := context.WithCancel(t.Context())
			b, done := bulk.New(w.config(func(cfg *bulk.Config) { cfg.Owner = name })), make(chan error, 1)
			go func() { done <- b.Run(ctx) }()
			time.Sleep(2 * time.Second)
			synctest.Wait()
			return b, cancel, done
		}
		first, killFirst, firstDone := start("pod-1")
		second, _, secondDone := start("pod-2")
		one, two := first.Status(), second.Status()
		if one.Build == nil || one.Build.Phase != contract.BuildReading || one.Build.Of != 1000 || one.Build.Events < 100 || one.Build.Events > 900 {
			t.Fatalf("first: %+v", one.Build)
		}
		if len(one.Partitions) != 2 || one.Partitions[0].Lag != 500 || one.Partitions[0].CaughtUp || one.Partitions[0].Position != "0" || !one.Source.OK || !one.Store.OK {
			t.Fatalf("first: %+v", one)
		}
		if two.Build == nil || two.Build.Phase != contract.BuildWaiting || len(two.Partitions) != 0 || !second.Ready() || !first.Ready() || !first.Alive() || !second.Alive() {
			t.Fatalf("second: %+v", two)
		}
		killFirst()
		if err := <-firstDone; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if wrong := w.untouched(); wrong != "" {
			t.Fatal(wrong)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if st := second.Status(); st.Build == nil || st.Build.Phase != contract.BuildReading {
			t.Fatalf("second: %+v", st.Build)
		}
		// The store ends its session, and a third one is first.
		w.store.EndBuild(w.store.Writer(w.c))
		_, _, thirdDone := start("pod-3")
		if st := second.Status(); st.Build == nil || st.Build.Phase != contract.BuildWaiting {
			t.Fatalf("the second has lost its right: %+v", st.Build)
		}
		began := time.Now()
		for _, done := range []chan error{secondDone, thirdDone} {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took < 7*time.Second || took > 30*time.Second {
			t.Errorf("1000 events at 100 a second took %v", took)
		}
		n, _ := w.expected(nil)
		if wrong := w.holds(n) + w.built(); wrong != "" {
			t.Fatal(wrong)
		}
	})
}

// TestAlive: a process whose reading stands still although all answers is restarted; one that waits or is slowed down on purpose is not.
func TestAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, orders(), 1)
		w.fill(0, 100, 20, 1)
		ctx, cancel := context.WithCancel(t.Context())
		stuck := &stuckLog{}
		b := bulk.New(w.config(func(cfg *bulk.Config) { stuck.Log = cfg.Log; cfg.Log = stuck }))
		done := make(chan error, 1)
		go func() { done <- b.Run(ctx) }()
		time.Sleep(4 * time.Minute)
		if !b.Alive() {
			t.Error("after 4 minutes")
		}
		time.Sleep(2 * time.Minute)
		if b.Alive() {
			t.Error("it reads nothing for 6 minutes, and is alive")
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}

		w.c.Build = &contract.Build{MaxEventsPerSecond: 1}
		ctx, cancel = context.WithCancel(t.Context())
		w.fill(100, 1000, 20, 1)
		slow := w.config(nil)
		slow.Log.(*sourcemem.Log).MaxRecords = 500 // it rests for minutes after each
		b = bulk.New(slow)
		go func() { done <- b.Run(ctx) }()
		for range 9 {
			time.Sleep(time.Minute)
			if !b.Alive() {
				t.Error("it is slow because it is told to be")
			}
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// stuckLog gives nothing.
type stuckLog struct{ sources.Log }

func (*stuckLog) Fetch(ctx context.Context, _ []sources.Position) ([]sources.Result, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(time.Second):
		return nil, nil
	}
}
