// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package keyreplay_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/projectionist-dev/projectionist/contract/compile/admittest"
	"github.com/projectionist-dev/projectionist/contract/compile/compiletest"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/history"
	"github.com/projectionist-dev/projectionist/projectors/history/historytest"
	"github.com/projectionist-dev/projectionist/projectors/keyreplay"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// TestRandomSpecs: whatever is admitted, and however the projector moves meanwhile, the rows of the keys are those of
// the interpreter at the positions that they were put at, all others are as they were, and the projector goes on from there.
func TestRandomSpecs(t *testing.T) {
	admitted, damaged, arrival, moved, unique, let := 0, 0, 0, 0, 0, 0
	check := func(rt *rapid.T) {
		c, _ := admittest.Admit(t, compiletest.Spec(rt))
		if c == nil {
			return
		}
		admitted++
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 2))
		w := newWorld(t, c, 2)
		w.Topics.MaxRecords = 1 + random.IntN(3)
		var order []event.TopicPartition // of the events that are there, and not applied yet
		for _, m := range compiletest.Interleave(random, compiletest.Partitions(random)) {
			tp := event.TopicPartition{Topic: m.Topic}
			if m.Key() == "2" {
				tp.Partition = 1
			}
			w.append(tp, event.Record{Key: []byte(m.Key()), Value: m.JSON()})
			order = append(order, tp)
		}
		stops := map[event.TopicPartition]bool{}
		next := func() {
			if len(order) == 0 {
				return
			}
			if tp := order[0]; !stops[tp] && !w.step(tp) {
				stops[tp] = true
			}
			order = order[1:]
		}
		for range len(order)/2 + random.IntN(len(order)/2+1) {
			next()
		}
		// By hand: rows are deleted, and the values of one are put under another's key.
		rows := w.Store.Rows(c, "m")
		n := len(c.Models[0].Key)
		var keys []keyreplay.Key
		for _, row := range rows {
			key := row[:n:n]
			switch random.IntN(4) {
			case 0, 1:
				w.put(0, key, nil)
			case 2:
				other := rows[random.IntN(len(rows))]
				w.put(0, key, append(slices.Clone(key), other[n:]...))
			}
			if random.IntN(4) > 0 {
				keys = append(keys, keyreplay.Key{Values: key})
			}
		}
		o := w.options(keys...)
		o.MaxGap = 1 + random.Int64N(3)
		m := w.moving(&o, func(string) {
			for range random.IntN(3) {
				next()
			}
		})
		left := len(order)
		done, err := keyreplay.Run(t.Context(), o)
		var refused *history.RefusedError
		var data *stores.DataError
		switch {
		case c.Models[0].Order != "" && len(keys) > 0:
			if !errors.As(err, &refused) || refused.Code != keyreplay.ReasonOrderArrival {
				rt.Fatalf("rows that depend on arrival: %v", err)
			}
			arrival++
			return
		case errors.As(err, &refused) && refused.Code == history.ReasonEventRefused:
			let++ // the row as it was by hand took an event that the true row refuses
			w.asShadow(rt)
			return
		case errors.As(err, &data):
			unique++ // what was done by hand has taken a value that is unique
			w.asShadow(rt)
			return
		case err != nil:
			rt.Fatal(err)
		}
		if left > len(order) {
			moved++
		}
		if done.Models[0].Written+done.Models[0].Deleted > 0 {
			damaged++
		}
		if done.Tries > m.holds || m.holds == 0 {
			rt.Fatalf("%d tries, %d holds", done.Tries, m.holds)
		}
		w.taken(keys, done.At)
		w.asShadow(rt)
		for len(order) > 0 {
			next()
		}
		w.asShadow(rt)
	}
	for range 6 {
		rapid.Check(t, check)
	}
	t.Logf("%d specs were admitted, %d depend on arrival, rows were changed in %d, the projector moved in %d, %d unique values were taken, %d events let in", admitted, arrival, damaged, moved, unique, let)
	if admitted < 50 || damaged < 20 || moved < 50 || arrival == 0 {
		t.Error("they are too few to tell anything")
	}
}

// TestManyKeys: many rows, but not all, with add, append, fan-outs and a total over all partitions, while the
// projector moves.
func TestManyKeys(t *testing.T) {
	w := newWorld(t, historytest.Orders(), 2)
	w.Topics.MaxRecords = 50
	n := 0
	add := func() {
		tp, r := historytest.Order(historytest.KindOf(n), n)
		n++
		w.append(tp, r)
		if !w.step(tp) {
			t.Fatal("an event is refused")
		}
	}
	for n < 400 {
		add()
	}
	var keys []keyreplay.Key
	for i, row := range w.Store.Rows(w.Contract, "order") {
		key := row[:2:2]
		switch i % 4 {
		case 0:
			changed := slices.Clone(row)
			changed[2] = row[2].(int64) + 5
			w.put(0, key, changed)
		case 1:
			w.put(0, key, nil)
		}
		if i%3 < 2 {
			keys = append(keys, keyreplay.Key{Values: key})
		}
	}
	w.put(0, []value.Value{"by hand", int64(1)}, append([]value.Value{"by hand", int64(1)}, w.Store.Rows(w.Contract, "order")[0][2:]...))
	keys = append(keys, keyreplay.Key{Values: []value.Value{"by hand", int64(1)}}, keyreplay.Key{Model: 1, Values: []value.Value{int64(3)}})
	o := w.options(keys...)
	o.MaxGap = 3
	w.moving(&o, func(where string) {
		if n < 2000 {
			add()
		}
		if where == "replace" && n < 600 {
			for range 5 { // more than may be folded while it waits
				add()
			}
		}
	})
	done, err := keyreplay.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if got := done.Models[0]; got.Written == 0 || got.Deleted < 1 || got.Equal == 0 || done.Models[1] != (stores.ReplacedRows{Equal: 1}) || done.Tries < 2 || done.Events < 400 {
		t.Errorf("%+v", done)
	}
	w.taken(keys, done.At)
	w.asShadow(t)
	for range 50 {
		add()
	}
	w.asShadow(t)
	t.Logf("%+v", done.Total())
}
