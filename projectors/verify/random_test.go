// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/projectionist-dev/projectionist/contract/compile/admittest"
	"github.com/projectionist-dev/projectionist/contract/compile/compiletest"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/verify"
)

// TestRandomSpecs: whatever is admitted, in whatever interleaving it was applied, and with partitions that stop where
// an event is refused, the tables hold what the log says; and a row that was changed by hand is found, and no other.
func TestRandomSpecs(t *testing.T) {
	admitted, meddled, stopped := 0, 0, 0
	check := func(rt *rapid.T) {
		c, arrival := admittest.Admit(t, compiletest.Spec(rt))
		if c == nil {
			return
		}
		admitted++
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		w := newWorld(t, c, 2)
		w.Topics.MaxRecords = 1 + random.IntN(3)
		stops := map[event.TopicPartition]bool{}
		for _, m := range compiletest.Interleave(random, compiletest.Partitions(random)) {
			tp := event.TopicPartition{Topic: m.Topic}
			if m.Key() == "2" {
				tp.Partition = 1
			}
			w.Append(tp, event.Record{Key: []byte(m.Key()), Value: m.JSON()})
			if !stops[tp] && w.Apply(tp, 1) != nil {
				stops[tp] = true
				stopped++
			}
		}
		told := func(o *verify.Options) { o.Arrival = arrival }
		r := w.verify(told)
		if !r.Equal() {
			rt.Fatalf("without meddling: %+v\n%+v", r, c.Models[0])
		}
		out := r.Models[0].LeftOut
		rows := w.Store.Rows(c, "m")
		if len(rows) == 0 || len(out) > 0 && out[0].Column == "" {
			return
		}
		meddled++
		row := rows[random.IntN(len(rows))]
		key := row[:len(c.Models[0].Key)]
		w.Meddle(key, func([]value.Value) []value.Value { return nil })
		if m := w.verify(told).Models[0]; m.Missing != 1 || m.Differing() != 1 || !slices.Equal(m.Differences[0].Key, key) {
			rt.Fatalf("row %v was deleted: %+v", row, m)
		}
		w.Meddle(key, func([]value.Value) []value.Value { return row })
		if !w.verify(told).Equal() {
			rt.Fatalf("row %v was brought back", row)
		}
	}
	for range 6 {
		rapid.Check(t, check)
	}
	t.Logf("%d specs were admitted, %d rows deleted, %d partitions stopped", admitted, meddled, stopped)
	if admitted < 50 || meddled < 50 || stopped == 0 {
		t.Error("they are too few to tell anything")
	}
}
