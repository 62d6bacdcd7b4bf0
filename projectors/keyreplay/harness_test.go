// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package keyreplay_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/fold/naive"
	"github.com/projectionist-dev/projectionist/projectors/history/historytest"
	"github.com/projectionist-dev/projectionist/projectors/keyreplay"
	"github.com/projectionist-dev/projectionist/projectors/sources"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// world is a projection of which rows are made anew.
type world struct {
	*historytest.World
	// all holds every record, by partition.
	all map[event.TopicPartition][]event.Record
	// shadow is what the table holds: what was done by hand is done to it, too, and whatever the projector applies.
	shadow *naive.State
}

func newWorld(t testing.TB, c *contract.Contract, n int32) *world {
	t.Helper()
	w := &world{World: historytest.New(t, c, n), all: map[event.TopicPartition][]event.Record{}}
	w.shadow = naive.New(w.Program.Models())
	return w
}

func (w *world) append(tp event.TopicPartition, r event.Record) {
	w.Append(tp, r)
	feed := w.Feed[tp]
	w.all[tp] = append(w.all[tp], feed[len(feed)-1])
}

// step applies the next event of a partition, claiming it anew where its claim was ended; false where it is refused or there is none.
func (w *world) step(tp event.TopicPartition) bool {
	w.Helper()
	if len(w.Feed[tp]) == 0 {
		return false
	}
	r := w.Feed[tp][0]
	err := w.Apply(tp, 1)
	var fenced *stores.FencedError
	if errors.As(err, &fenced) {
		w.Claim(tp)
		err = w.Apply(tp, 1)
	}
	if err != nil {
		return false
	}
	effects, _, err := w.Program.NewEvaluator().Handle(tp, &r, nil)
	if err == nil {
		err = w.shadow.Apply(effects...)
	}
	if err != nil {
		w.Fatalf("the store took what the interpreter refuses: %v", err)
	}
	return true
}

// put changes a row by hand; nil is no row.
func (w *world) put(model int, key, row []value.Value) {
	w.Store.Meddle(w.Contract, model, key, func([]value.Value) []value.Value { return slices.Clone(row) })
	w.shadowPut(keyreplay.Key{Model: model, Values: key}, row)
}

// truth is what the log says of keys at positions.
func (w *world) truth(keys []keyreplay.Key, at []stores.Claim) *naive.State {
	w.Helper()
	out, eval := naive.New(w.Program.Models()), w.Program.NewEvaluator()
	for _, c := range at {
		for i := range w.all[c.TopicPartition] {
			r := &w.all[c.TopicPartition][i]
			if r.Offset >= c.Next {
				break
			}
			effects, _, err := eval.Handle(c.TopicPartition, r, nil)
			// Of a row that was changed by hand the projector may have taken what the true one refuses.
			effects = slices.DeleteFunc(effects, func(e fold.Effect) bool {
				return e.Where == nil && !slices.ContainsFunc(keys, func(k keyreplay.Key) bool { return k.Model == e.Model && naive.Key(k.Values) == naive.Key(e.Key) })
			})
			if err == nil {
				err = out.Apply(effects...)
			}
			if err != nil {
				w.Fatal(err)
			}
		}
	}
	return out
}

// taken puts the true rows of the keys into the shadow.
func (w *world) taken(keys []keyreplay.Key, at []stores.Claim) {
	w.Helper()
	truth := w.truth(keys, at)
	for _, k := range keys {
		row := []value.Value(nil)
		for key, r := range truth.All(k.Model) {
			if key == naive.Key(k.Values) {
				row = r
			}
		}
		w.shadowPut(k, slices.Clone(row))
	}
}

func (w *world) shadowPut(k keyreplay.Key, row []value.Value) {
	if row != nil {
		w.shadow.Put(k.Model, row)
		return
	}
	kept := naive.New(w.Program.Models())
	for m := range w.Program.Models() {
		for key, r := range w.shadow.All(m) {
			if m != k.Model || key != naive.Key(k.Values) {
				kept.Put(m, r)
			}
		}
	}
	w.shadow = kept
}

// asShadow compares every row of the table.
func (w *world) asShadow(t interface{ Fatalf(string, ...any) }) {
	w.Helper()
	for m, model := range w.Program.Models() {
		want := w.shadow.Rows(m)
		got := w.Store.Rows(w.Contract, model.Name)
		key := func(row []value.Value) string {
			var out []value.Value
			for _, c := range model.Key {
				out = append(out, row[c])
			}
			return naive.Key(out)
		}
		slices.SortFunc(got, func(a, b []value.Value) int { return cmp.Compare(key(a), key(b)) })
		if len(got) != len(want) {
			t.Fatalf("model %s has %d rows, want %d\n%v\n%v", model.Name, len(got), len(want), got, want)
		}
		for i := range got {
			if slices.CompareFunc(got[i], want[i], value.Compare) != 0 {
				t.Fatalf("model %s: row %v, want %v", model.Name, got[i], want[i])
			}
		}
	}
}

func (w *world) options(keys ...keyreplay.Key) keyreplay.Options {
	return keyreplay.Options{
		Log: w.Topics, Store: w.Admin.(stores.Replacer), Contract: w.Contract, Program: w.Program, Keys: keys, Owner: "repair",
		Patience: 5 * time.Second, Hold: stores.MaxHold,
	}
}

// moving lets the projector go on between the steps of a replay: before each fetch, look and replacement, but not
// while the positions are held.
type moving struct {
	sources.Log
	stores.Replacer
	move func(where string)
	held bool
	// holds counts how often positions were given to be folded.
	holds int
}

func (m *moving) Fetch(ctx context.Context, positions []sources.Position) ([]sources.Result, error) {
	if !m.held {
		m.move("fetch")
	}
	return m.Log.Fetch(ctx, positions)
}

func (m *moving) Positions(ctx context.Context, c *contract.Contract) ([]stores.Claim, []stores.Barrier, error) {
	m.move("look")
	return m.Replacer.Positions(ctx, c)
}

func (m *moving) Replace(ctx context.Context, c *contract.Contract, r stores.Replacement) (stores.Replaced, error) {
	m.move("replace")
	fold := r.Fold
	r.Fold = func(ctx context.Context, claims []stores.Claim, barriers []stores.Barrier) ([]stores.Row, error) {
		m.held = true
		m.holds++
		defer func() { m.held = false }()
		return fold(ctx, claims, barriers)
	}
	return m.Replacer.Replace(ctx, c, r)
}

// moving puts move between a replay and the world.
func (w *world) moving(o *keyreplay.Options, move func(where string)) *moving {
	m := &moving{Log: o.Log, Replacer: o.Store, move: move}
	o.Log, o.Store = m, m
	return m
}
