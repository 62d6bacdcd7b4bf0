// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package keyreplay_test

import (
	"strings"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/history/historytest"
	"github.com/projectionist-dev/projectionist/projectors/keyreplay"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// profiles are the rows a and b, by two events each, of which one of b was deleted by hand.
func profiles(t *testing.T) (w *world, tp event.TopicPartition, keys []keyreplay.Key) {
	t.Helper()
	w, tp = newWorld(t, historytest.Profiles(), 1), historytest.Partition(0)
	for n := range 2 {
		for _, id := range []string{"a", "b"} {
			w.append(tp, historytest.Profile(id, n))
			if !w.step(tp) {
				t.Fatal("an event is refused")
			}
		}
	}
	w.put(0, []value.Value{"b"}, nil)
	return w, tp, []keyreplay.Key{{Values: []value.Value{"a"}}, {Values: []value.Value{"b"}}}
}

// compact appends two events of a, of which the projector applies one: which compaction then removes.
func (w *world) compact(tp event.TopicPartition) {
	w.append(tp, historytest.Profile("a", 2))
	if !w.step(tp) {
		w.Fatal("an event is refused")
	}
	w.append(tp, historytest.Profile("a", 3))
	w.Broker.Compact(tp, 5)
}

// TestCompacted: where compaction has taken an event of which a later one is not applied yet, the row cannot be told: the
// replay waits for the projector, and says so when that stands still. Whether it was compacted before the log was read, while
// the projector was chased, or just before it was held up, is all the same: no row is put back to what readers saw before.
func TestCompacted(t *testing.T) {
	for name, place := range map[string]string{"before": "", "in the chase": "look", "before the hold": "replace"} {
		t.Run(name, func(t *testing.T) {
			w, tp, keys := profiles(t)
			o := w.options(keys...)
			looks := 0
			compacted := func(where string) {
				if looks++; where == place && looks > 1 {
					place = ""
					w.compact(tp)
				}
			}
			if place == "" {
				w.compact(tp)
			}
			o.Patience = 1
			w.moving(&o, compacted)
			if r, err := keyreplay.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "NotCaughtUp: compaction has removed events of orders/0, and its projector is at 5, 1 before the end") {
				t.Fatalf("%+v (%v)", r, err)
			}
			w.asShadow(t)

			o = w.options(keys...)
			o.Patience = time.Minute
			looks = 0
			w.moving(&o, func(where string) {
				if looks++; where == "look" && looks > 10 {
					w.step(tp)
				}
			})
			done, err := keyreplay.Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			w.taken(keys, done.At)
			w.asShadow(t)
			if done.At[0].Next != 6 || w.Store.Rows(w.Contract, "profile")[0][1] != int64(3) {
				t.Errorf("replaced at %+v: %v", done.At, w.Store.Rows(w.Contract, "profile"))
			}
		})
	}
}

// TestTransactionsAreNoHoles: what transactions leave in the log is waited for by nobody, however far the end is.
func TestTransactionsAreNoHoles(t *testing.T) {
	w, tp, keys := profiles(t)
	w.Broker.Skip(tp, 1)
	w.append(tp, historytest.Profile("a", 2))
	claim := w.Claims[tp]
	if err := w.Writer.Commit(t.Context(), stores.Commit{Advances: []stores.Advance{{Claim: claim, Next: 5}}}); err != nil {
		t.Fatal(err)
	}
	claim.Next = 5
	w.Claims[tp] = claim
	o := w.options(keys...)
	o.Patience = 1
	done, err := keyreplay.Run(t.Context(), o)
	if err != nil || done.At[0].Next != 5 {
		t.Fatalf("%+v (%v)", done, err)
	}
	w.taken(keys, done.At)
	w.asShadow(t)
}
