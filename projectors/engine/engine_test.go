// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/projectionist-dev/projectionist/projectors/engine"
	"github.com/projectionist-dev/projectionist/projectors/stores"
	storemem "github.com/projectionist-dev/projectionist/projectors/stores/memory"
)

func inBubble(t *testing.T, partitions int32, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(newWorld(t, partitions)) })
}

func TestFollowsTheLog(t *testing.T) {
	inBubble(t, 4, func(w *world) {
		w.spread(4, 10, 5000)
		p := w.start("a", nil)
		w.until("caught up", w.caughtUp)
		w.check()
		w.spread(4, 10, 100)
		w.until("caught up again", w.caughtUp)
		w.check()
		w.until("status says so", func() bool {
			st := p.Status()
			for _, s := range st.Partitions {
				if !s.CaughtUp || s.Lag != 0 {
					return false
				}
			}
			return len(st.Partitions) == 4 && st.Source.OK && st.Store.OK && st.EventsTotal == 5100
		})
	})
}

func TestEventThatCannotBeAppliedStopsItsPartitionAlone(t *testing.T) {
	cases := map[string]struct{ key, value, reason, path string }{
		"not JSON":        {"key-0", "{", "DecodeError", ""},
		"missing field":   {"key-0", `{"k":"key-0"}`, "HandlerError", "models[tally].handlers[count].append.seq"},
		"wrong type":      {"key-0", `{"k":"key-0","i":"canary"}`, "HandlerError", "models[tally].handlers[count].append.seq"},
		"another key":     {"key-1", `{"k":"key-0","i":1}`, "KeyMismatch", ""},
		"column overflow": {"key-0", `{"k":"key-0","i":1,"s":2147483647}`, "", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 2, func(w *world) {
				w.spread(2, 2, 50)
				if name == "column overflow" {
					// The column has to hold something for the add to leave its range.
					w.next++
					w.sent["key-0"] = append(w.sent["key-0"], w.next)
					w.raw(0, "key-0", fmt.Sprintf(`{"k":"key-0","i":%d,"s":5}`, w.next))
				}
				at := w.raw(0, c.key, c.value)
				want := map[string]int{}
				for k, v := range w.sent {
					want[k] = len(v)
				}
				for range 300 {
					w.send(0, "key-0")
				}
				w.send(1, "key-1")
				w.sent["key-0"] = w.sent["key-0"][:want["key-0"]] // nothing after the stop is applied
				p := w.start("a", nil)
				w.until("stopped", func() bool { return p.partition(0).Stopped != nil })
				w.until("the other goes on", func() bool { return p.partition(1).CaughtUp })
				w.check()
				stop := p.partition(0).Stopped
				if got, _ := stop.Position.Offset(); got != at {
					t.Errorf("stopped at %d, want %d", got, at)
				}
				if c.reason != "" && stop.Reason != c.reason || c.path != "" && stop.Path != c.path {
					t.Errorf("stopped with %s at %q (%s)", stop.Reason, stop.Path, stop.Message)
				}
				if got, _ := p.partition(0).Position.Offset(); got != at {
					t.Errorf("position %d, want %d", got, at)
				}
				// Another process comes to the same stop.
				p.kill()
				q := w.start("b", nil)
				w.until("stopped again", func() bool { return q.partition(0).Stopped != nil })
				w.check()
			})
		})
	}
}

var errDown = &stores.EnvironmentError{Reason: "Unreachable", Message: "down", Err: errors.New("down")}

func TestFaultsOfTheStoreAreWaitedOut(t *testing.T) {
	inBubble(t, 3, func(w *world) {
		r := rand.New(rand.NewPCG(1, 2))
		var before, after atomic.Int32
		hooks := storemem.Hooks{
			BeforeCommit: func(context.Context, stores.Commit) error {
				if r.IntN(3) == 0 {
					before.Add(1)
					return errDown
				}
				return nil
			},
			// The acknowledgement is lost: the commit has happened.
			AfterCommit: func(context.Context, stores.Commit) error {
				if r.IntN(3) == 0 {
					after.Add(1)
					return errDown
				}
				return nil
			},
		}
		w.store.SetHooks(hooks)
		p := w.start("a", nil)
		for range 60 {
			w.spread(3, 7, 40)
			time.Sleep(300 * time.Millisecond)
		}
		w.until("caught up", w.caughtUp)
		w.check()
		if before.Load() == 0 || after.Load() == 0 {
			t.Fatalf("faults: %d before, %d after the commit", before.Load(), after.Load())
		}
		w.until("healthy", func() bool { return p.Status().Store.OK && p.partition(0).Stopped == nil })
	})
}

func TestStatusTellsAnOutage(t *testing.T) {
	inBubble(t, 1, func(w *world) {
		var down atomic.Bool
		w.store.SetHooks(storemem.Hooks{BeforeCommit: func(context.Context, stores.Commit) error {
			if down.Load() {
				return errDown
			}
			return nil
		}})
		p := w.start("a", nil)
		w.send(0, "k")
		w.until("caught up", w.caughtUp)
		down.Store(true)
		w.send(0, "k")
		w.until("the outage shows", func() bool { return p.Status().Store.Reason == "Unreachable" })
		time.Sleep(time.Minute)
		down.Store(false)
		w.until("caught up", w.caughtUp)
		w.until("healthy", func() bool { return p.Status().Store.OK })
		w.check()
	})
}

// Members come and go at random while events arrive.
func TestMembersComeAndGo(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inBubble(t, 5, func(w *world) {
				r := rand.New(rand.NewPCG(seed, 7))
				running := []*projector{w.start("p0", nil)}
				for i := range 40 {
					w.spread(5, 11, r.IntN(400))
					time.Sleep(time.Duration(r.IntN(700)) * time.Millisecond)
					switch k := r.IntN(4); {
					case k == 0 && len(running) < 4:
						running = append(running, w.start(fmt.Sprintf("p%d", i+1), nil))
					case k == 1 && len(running) > 1:
						running[0].kill()
						running = running[1:]
					case k == 2:
						w.broker.Rebalance(w.contract.Group)
					}
				}
				w.until("caught up", w.caughtUp)
				w.check()
			})
		})
	}
}

// A projector frozen in the middle of a commit comes back after another one
// has taken its partition: its commit must change nothing.
func TestZombieIsFenced(t *testing.T) {
	inBubble(t, 1, func(w *world) {
		frozen, thaw := make(chan struct{}), make(chan struct{})
		var once atomic.Bool
		w.store.SetHooks(storemem.Hooks{BeforeCommit: func(_ context.Context, c stores.Commit) error {
			if c.Advances[0].Claim.Owner == "zombie" && once.CompareAndSwap(false, true) {
				close(frozen)
				<-thaw // deaf to its context, as a stopped process is
			}
			return nil
		}})
		w.spread(1, 3, 100)
		zombie := w.start("zombie", func(c *engine.Config) { c.DrainTimeout = time.Hour })
		<-frozen
		// Another process reads the same partition as if the group had moved it.
		heir := w.start("heir", func(c *engine.Config) { c.Group = w.broker.Join("another", topic) })
		w.until("caught up", w.caughtUp)
		w.spread(1, 3, 50)
		close(thaw)
		w.until("caught up", w.caughtUp)
		w.check()
		_, _ = zombie, heir
	})
}

// Two groups that both believe to own a partition must not take it from each
// other for ever, and a lost one comes back when its new owner is gone.
func TestLostPartitionIsTakenBack(t *testing.T) {
	inBubble(t, 1, func(w *world) {
		w.start("a", nil)
		w.send(0, "k")
		w.until("caught up", w.caughtUp)
		other := w.start("b", func(c *engine.Config) { c.Group = w.broker.Join("another", topic) })
		w.until("b owns it", func() bool { return other.partition(0).CaughtUp })
		other.kill()
		w.send(0, "k")
		w.until("caught up", w.caughtUp)
		w.check()
	})
}

// A replacement of rows ends the claims of a live projector, which claims anew at once: nobody holds what it lost.
func TestReplacedRowsHoldNothingUp(t *testing.T) {
	inBubble(t, 2, func(w *world) {
		p := w.start("a", func(c *engine.Config) { c.ReclaimAfter = 100 * time.Hour })
		for range 5 {
			w.spread(2, 4, 100)
			w.until("caught up", w.caughtUp)
			if _, err := w.store.Admin().(stores.Replacer).Replace(w.t.Context(), w.contract, stores.Replacement{Owner: "repair",
				Fold: func(context.Context, []stores.Claim, []stores.Barrier) ([]stores.Row, error) { return nil, nil }}); err != nil {
				t.Fatal(err)
			}
		}
		w.spread(2, 4, 100)
		w.until("caught up", w.caughtUp)
		w.check()
		if st := p.partition(0); st.Stopped != nil || st.Waiting != "" {
			t.Errorf("%+v", st)
		}
	})
}

func TestGrowthKeepsTheOrderOfKeys(t *testing.T) {
	inBubble(t, 2, func(w *world) {
		// The growth meets a backlog that takes many fetches, and two members.
		w.spread(2, 6, 3000)
		w.broker.Grow(topic, 4)
		// key-0 moves from partition 0 to 3, key-1 from 1 to 2: their later events must wait.
		for range 200 {
			w.send(3, "key-0")
			w.send(2, "key-1")
			w.send(0, "key-2")
		}
		a, b := w.start("a", nil), w.start("b", nil)
		w.until("caught up", func() bool {
			return w.caughtUp() && len(a.Status().Partitions)+len(b.Status().Partitions) == 4
		})
		w.check()
		// Growth while everything runs.
		w.broker.Grow(topic, 5)
		for range 50 {
			w.send(4, "key-0")
			w.send(1, "key-3")
		}
		w.until("caught up", func() bool {
			return w.caughtUp() && len(a.Status().Partitions)+len(b.Status().Partitions) == 5
		})
		w.check()
	})
}

func TestLogThatIsNotTheSameStops(t *testing.T) {
	cases := map[string]struct {
		change func(*world)
		reason string
	}{
		"recreated": {func(w *world) { w.broker.DeleteTopic(topic); w.broker.CreateTopic(topic, 1); w.raw(0, "k", "{}") }, "TopicRecreated"},
		"trimmed":   {func(w *world) { w.spread(1, 2, 10); w.broker.DeleteRecords(tp(0), 15) }, "OffsetOutOfRange"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, func(w *world) {
				w.spread(1, 2, 10)
				p := w.start("a", nil)
				w.until("caught up", w.caughtUp)
				p.kill()
				sent := map[string][]int64{}
				for k, v := range w.sent {
					sent[k] = v
				}
				c.change(w)
				w.sent = sent
				q := w.start("b", nil)
				w.until("stopped", func() bool { return q.partition(0).Stopped != nil })
				if got := q.partition(0).Stopped; got.Reason != c.reason {
					t.Errorf("stopped with %s: %s", got.Reason, got.Message)
				}
				w.check()
			})
		})
	}
}

func TestTailWithoutRecordsIsCaughtUp(t *testing.T) {
	inBubble(t, 1, func(w *world) {
		w.spread(1, 2, 10)
		w.broker.Skip(tp(0), 5) // control records, or a compacted tail
		p := w.start("a", nil)
		w.until("caught up", func() bool { return w.caughtUp() && p.partition(0).CaughtUp })
		w.check()
	})
}

func TestOpenTransactionIsNotLagZero(t *testing.T) {
	inBubble(t, 1, func(w *world) {
		w.spread(1, 1, 3)
		w.broker.Open(tp(0))
		w.send(0, "key-0")
		held := w.sent["key-0"]
		w.sent["key-0"] = held[:3]
		p := w.start("a", func(c *engine.Config) { c.StalledTransactionAfter = 30 * time.Second })
		w.until("stalled", func() bool { return len(p.partition(0).Waiting) > 13 && p.partition(0).Waiting[:13] == "SourceStalled" })
		if p.partition(0).CaughtUp {
			t.Error("caught up below an open transaction")
		}
		w.check()
		w.broker.Commit(tp(0))
		w.sent["key-0"] = held
		w.until("caught up", func() bool { return w.caughtUp() && p.partition(0).CaughtUp })
		w.check()
	})
}

func TestMissingPositionRowStops(t *testing.T) {
	inBubble(t, 2, func(w *world) {
		w.spread(2, 4, 10)
		p := w.start("a", nil)
		w.until("caught up", w.caughtUp)
		p.kill()
		w.store.DeletePosition(w.contract, tp(0))
		q := w.start("b", nil)
		w.until("stopped", func() bool {
			return q.partition(0).Stopped != nil && q.partition(0).Stopped.Reason == "PositionMissing"
		})
		w.until("the other goes on", func() bool { return q.partition(1).CaughtUp })
	})
}

// A drain commits what was folded and gives the partitions back at once.
func TestDrain(t *testing.T) {
	inBubble(t, 2, func(w *world) {
		a := w.start("a", nil)
		w.until("joined", a.Ready)
		w.spread(2, 4, 2000)
		time.Sleep(time.Second)
		begin := time.Now()
		a.kill()
		if took := time.Since(begin); took > 6*time.Second {
			t.Errorf("drained in %v", took)
		}
		w.start("b", nil)
		w.until("caught up", w.caughtUp)
		w.check()
	})
}

// A revision that is prepared after the growth and before anybody has seen it keeps the order, too.
func TestRevisionPreparedBeforeGrowthIsSeenKeepsTheOrder(t *testing.T) {
	inBubble(t, 2, func(w *world) {
		w.spread(2, 6, 3000)
		w.broker.Grow(topic, 4)
		for range 200 {
			w.send(3, "key-0") // from partition 0
			w.send(2, "key-1") // from partition 1
		}
		next := *w.contract
		next.Revision, next.DataHash, next.Group = "9876543210", "1:9876543210", "g2"
		w.contract = &next
		w.prepare()
		a, b := w.start("a", nil), w.start("b", nil)
		w.until("caught up", func() bool {
			return w.caughtUp() && len(w.claims()) == 4 && len(a.Status().Partitions)+len(b.Status().Partitions) == 4
		})
		w.check()
	})
}
