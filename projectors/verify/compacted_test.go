// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"strings"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/history/historytest"
	"github.com/projectionist-dev/projectionist/projectors/verify"
)

// compacted is a projection of a log that has forgotten the event which made a row, of which a later one is not applied yet.
func compacted(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, historytest.Profiles(), 1)
	tp := partition(0)
	w.Applied(tp, historytest.Profile("a", 1), historytest.Profile("b", 1), historytest.Profile("a", 2))
	w.Append(tp, historytest.Profile("a", 3))
	w.Broker.Compact(tp, 3)
	return w
}

// TestCompacted: a row that the log cannot tell any more is no difference. The projector is waited for, and where it stands
// still there is no answer.
func TestCompacted(t *testing.T) {
	w := compacted(t)
	o := w.options()
	o.Patience = 300 * time.Millisecond
	if r, err := verify.Run(t.Context(), o); err == nil || !strings.HasPrefix(err.Error(), "NotCaughtUp: compaction has removed events of orders/0, and its projector is at 3, 1 before the end") {
		t.Fatalf("%+v (%v)", r, err)
	}
	h := &hooked{beforeSnapshot: func(n int) {
		if n == 3 {
			if err := w.Apply(partition(0), -1); err != nil {
				t.Error(err)
			}
		}
	}}
	if r := w.verify(w.hook(h)); !r.Equal() || r.Models[0].Equal != 2 || r.Again[0].Next != 4 || h.snapshots != 4 {
		t.Errorf("%+v after %d snapshots", r, h.snapshots)
	}
}

// TestCompactedAndDifferent: rows that differ are told, although the log is compacted and more comes all the time.
func TestCompactedAndDifferent(t *testing.T) {
	w := compacted(t)
	w.Meddle([]value.Value{"b"}, func(row []value.Value) []value.Value { row[1] = int64(7); return row })
	n := 10
	h := &hooked{beforeSnapshot: func(int) {
		if err := w.Apply(partition(0), -1); err != nil {
			t.Error(err)
		}
		w.Append(partition(0), historytest.Profile("c", n))
		n++
	}}
	r := w.verify(w.hook(h))
	if m := r.Models[0]; m.Changed != 1 || m.Differing() != 1 || m.Differences[0].Key[0] != "b" {
		t.Errorf("%+v", r)
	}
}

// TestCompactedMeanwhile: what is compacted while the log is read on to the second snapshot is waited for as well.
func TestCompactedMeanwhile(t *testing.T) {
	w := newWorld(t, historytest.Profiles(), 1)
	tp := partition(0)
	w.Applied(tp, historytest.Profile("a", 1))
	w.Meddle([]value.Value{"a"}, func(row []value.Value) []value.Value { row[1] = int64(7); return row })
	h := &hooked{beforeSnapshot: func(n int) {
		switch n {
		case 1:
			w.Applied(tp, historytest.Profile("a", 2))
			w.Append(tp, historytest.Profile("a", 3))
			w.Broker.Compact(tp, 3)
		case 4:
			if err := w.Apply(tp, -1); err != nil {
				t.Error(err)
			}
		}
	}}
	if r := w.verify(w.hook(h)); !r.Equal() || r.Again[0].Next != 3 || h.snapshots != 5 {
		t.Errorf("%+v after %d snapshots", r, h.snapshots)
	}
}
