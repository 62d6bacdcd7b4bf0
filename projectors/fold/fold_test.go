// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package fold_test

import (
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/fold/foldtest"
	"github.com/projectionist-dev/projectionist/projectors/fold/naive"
)

type world struct {
	models []fold.Model
	// rows by model and key; absent where there is none.
	rows []map[string][]value.Value
}

func newWorld(models []fold.Model) *world {
	w := &world{models: models}
	for range models {
		w.rows = append(w.rows, map[string][]value.Value{})
	}
	return w
}

// commit applies a batch as a store does: all or nothing.
func (w *world) commit(t *rapid.T, b *fold.Batch) error {
	next := newWorld(w.models)
	for m := range w.models {
		maps.Copy(next.rows[m], w.rows[m])
	}
	for _, s := range b.Segments() {
		if err := next.segment(t, s); err != nil {
			return err
		}
	}
	w.rows = next.rows
	return nil
}

func (w *world) segment(t *rapid.T, s fold.Segment) error {
	for m := range w.models {
		rows := s.Rows(m)
		for i, u := range rows {
			if i > 0 && compareKeys(rows[i-1].Key(), u.Key()) >= 0 {
				t.Fatalf("rows out of order: %v, %v", rows[i-1].Key(), u.Key())
			}
			k := naive.Key(u.Key())
			old := w.rows[m][k]
			kept := slices.Clone(old)
			row, err := u.Apply(old)
			if !same(old, kept) {
				t.Fatalf("Apply has modified its row")
			}
			byShape(t, &w.models[m], u, old, row, err)
			if err := w.put(t, m, k, row, err); err != nil {
				return err
			}
		}
	}
	for _, f := range s.FanOuts() {
		m := f.Model()
		for _, k := range slices.Sorted(maps.Keys(w.rows[m])) {
			if !f.Matches(w.rows[m][k]) {
				continue
			}
			row, err := f.Apply(w.rows[m][k])
			if err := w.put(t, m, k, row, err); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *world) put(t *rapid.T, m int, k string, row []value.Value, err error) error {
	if err != nil {
		var o *fold.OverflowError
		var r *fold.RowError
		if !errors.As(err, &r) && (!errors.As(err, &o) || o.Column == "" || o.Message == "") {
			t.Fatalf("not a good error: %v", err)
		}
		return err
	}
	delete(w.rows[m], k)
	if row != nil {
		w.rows[m][k] = row
	}
	return nil
}

func compareKeys(a, b []value.Value) int { return slices.CompareFunc(a, b, value.Compare) }

// byShape does what a database does, with nothing but the shape and the
// operands, and demands the same row.
func byShape(t *rapid.T, m *fold.Model, u fold.Mutation, old, want []value.Value, wantErr error) {
	s := u.Shape()
	got, err := slices.Clone(old), error(nil)
	inserted := func() []value.Value {
		out := make([]value.Value, len(m.Columns))
		for c := range out {
			out[c] = u.Inserted(c)
		}
		return out
	}
	switch {
	case s.Arms == fold.Load:
		return
	case s.Arms == fold.Delete:
		got = nil
	case s.Arms == fold.Replace, s.Arms == fold.Upsert && old == nil:
		got = inserted()
	case old == nil:
	default:
		for c := range m.Columns {
			if got[c], err = touched(&m.Columns[c], s.Touch(c), u, c, old[c]); err != nil {
				break
			}
			if s.Arms != fold.Upsert {
				continue
			}
			// What the inserted value gives must be what the operand gives.
			var x value.Value
			switch s.Touch(c) {
			case fold.Max:
				x = value.Max(old[c], u.Inserted(c))
			case fold.Min:
				x = value.Min(old[c], u.Inserted(c))
			case fold.SetOnce:
				if x = old[c]; x == nil {
					x = u.Inserted(c)
				}
			case fold.Concat:
				def, _ := m.Columns[c].Default.([]value.Value)
				list, _ := old[c].([]value.Value)
				x = newest(&m.Columns[c], slices.Concat(list, u.Inserted(c).([]value.Value)[len(def):]))
			default:
				continue
			}
			if !same(got[c], x) {
				t.Fatalf("touch %d: the inserted value cannot stand for the operand", s.Touch(c))
			}
		}
	}
	if (err != nil) != (wantErr != nil) {
		t.Fatalf("shape %v: err %v, Apply says %v (old %v)", s, err, wantErr, old)
	}
	if err == nil && !same(got, want) {
		t.Fatalf("shape %v gives\n%v, Apply gives\n%v", s, got, want)
	}
}

// newest keeps what maxItems keeps.
func newest(col *fold.Column, list []value.Value) []value.Value {
	if n := col.Rules.MaxItems; n > 0 && len(list) > n {
		return list[len(list)-n:]
	}
	return list
}

func touched(col *fold.Column, touch fold.Touch, u fold.Mutation, c int, x value.Value) (value.Value, error) {
	sum := func(d value.Value) (value.Value, error) {
		if x == nil {
			x = zeroOf(col.Type)
		}
		v, err := col.Type.Add(x, d)
		return v, errors.Join(err, col.Obeys(v))
	}
	switch touch {
	case fold.Set:
		return u.Operand(c), nil
	case fold.SetOnce:
		if x == nil {
			return u.Operand(c), nil
		}
	case fold.Max:
		return value.Max(x, u.Operand(c)), nil
	case fold.Min:
		return value.Min(x, u.Operand(c)), nil
	case fold.Concat:
		list, _ := x.([]value.Value)
		return newest(col, slices.Concat(list, u.Operand(c).([]value.Value))), nil
	case fold.AddChecked:
		lo, hi := u.Prefix(c)
		for _, p := range []value.Value{lo, hi} {
			if _, err := sum(p); err != nil {
				return nil, err
			}
		}
		fallthrough
	case fold.Add:
		return sum(u.Operand(c))
	}
	return x, nil
}

// zeroOf is what a database takes for a NULL.
func zeroOf(t value.Type) value.Value {
	v, err := t.Convert(int64(0))
	if err != nil {
		panic(err)
	}
	return v
}

func same(a, b any) bool { return fmt.Sprintf("%#v", show(a)) == fmt.Sprintf("%#v", show(b)) }

// show makes decimals comparable by their text; nil and empty differ only for rows.
func show(v any) any {
	switch x := v.(type) {
	case []value.Value:
		if x == nil {
			return "none"
		}
		out := make([]any, len(x))
		for i := range x {
			out[i] = show(x[i])
		}
		return out
	case fmt.Stringer:
		return x.String()
	default:
		return v
	}
}

func start(t *rapid.T, models []fold.Model) (*world, *naive.State) {
	w, n := newWorld(models), naive.New(models)
	for m := range models {
		for _, row := range rapid.SliceOfN(foldtest.Row(&models[m]), 0, 3).Draw(t, "rows") {
			n.Put(m, row)
		}
		for _, row := range n.Rows(m) {
			w.rows[m][naive.Key(keyOf(&models[m], row))] = row
		}
	}
	return w, n
}

func keyOf(m *fold.Model, row []value.Value) []value.Value {
	var key []value.Value
	for _, c := range m.Key {
		key = append(key, row[c])
	}
	return key
}

func (w *world) equals(t *rapid.T, n *naive.State) {
	for m := range w.models {
		want := n.Rows(m)
		if len(want) != len(w.rows[m]) {
			t.Fatalf("model %d: %d rows, want %d", m, len(w.rows[m]), len(want))
		}
		for _, row := range want {
			if got := w.rows[m][naive.Key(keyOf(&w.models[m], row))]; !same(got, row) {
				t.Fatalf("model %d:\n got %v\nwant %v", m, got, row)
			}
		}
	}
}

// TestFoldEqualsOneByOne is the law: any log, from any rows, in any cut, gives
// the rows and the failing event that one-by-one application gives.
func TestFoldEqualsOneByOne(t *testing.T) {
	models := foldtest.Models()
	b := fold.NewBatch(models)
	rapid.Check(t, func(t *rapid.T) {
		w, n := start(t, models)
		b.Reset()
		pending := n.Clone()
		failed := false // whether an event in the batch fails one by one
		for range rapid.IntRange(0, 25).Draw(t, "events") {
			event := foldtest.Event(models).Draw(t, "event")
			err := b.Apply(event...)
			nerr := pending.Apply(event...)
			if err != nil {
				if nerr == nil && !failed {
					t.Fatalf("the fold refuses an event that applies: %v", err)
				}
				// The batch is as it was: without this event.
				if cerr := w.commit(t, b); (cerr != nil) != failed {
					t.Fatalf("commit before the refused event: %v, one by one failed: %v", cerr, failed)
				}
				if !failed {
					w.equals(t, pending)
				}
				return
			}
			failed = failed || nerr != nil
			if rapid.IntRange(0, 4).Draw(t, "cut") == 0 {
				if cerr := w.commit(t, b); (cerr != nil) != failed {
					t.Fatalf("commit: %v, one by one failed: %v", cerr, failed)
				}
				if failed {
					w.equals(t, n) // nothing has changed
					return
				}
				w.equals(t, pending)
				n = pending.Clone()
				b.Reset()
			}
		}
		if cerr := w.commit(t, b); (cerr != nil) != failed {
			t.Fatalf("commit: %v, one by one failed: %v", cerr, failed)
		}
		if !failed {
			w.equals(t, pending)
		}
	})
}

// TestMergeIsAssociative folds three runs of a log apart and merges them both
// ways; a run of one event also shows that composition in full and in place agree.
func TestMergeIsAssociative(t *testing.T) {
	models := foldtest.Models()
	rapid.Check(t, func(t *rapid.T) {
		w, n := start(t, models)
		runs := make([]*fold.Batch, 3)
		failed := false
		for i := range runs {
			runs[i] = fold.NewBatch(models)
			for range rapid.IntRange(0, 6).Draw(t, "events") {
				event := foldtest.Event(models).Draw(t, "event")
				if runs[i].Apply(event...) != nil {
					return // TestFoldEqualsOneByOne looks at these
				}
				failed = n.Apply(event...) != nil || failed
			}
		}
		left := fold.NewBatch(models)
		for _, r := range runs {
			left.Merge(r)
		}
		tail := fold.NewBatch(models)
		tail.Merge(runs[1])
		tail.Merge(runs[2])
		right := fold.NewBatch(models)
		right.Merge(runs[0])
		right.Merge(tail)
		for name, b := range map[string]*fold.Batch{"left": left, "right": right} {
			v := &world{models: models, rows: w.rows}
			if err := v.commit(t, b); (err != nil) != failed {
				t.Fatalf("%s: commit: %v, one by one failed: %v", name, err, failed)
			}
			if !failed {
				v.equals(t, n)
			}
		}
		// Merge has left its sources alone: once more gives the same.
		again := fold.NewBatch(models)
		for _, r := range runs {
			again.Merge(r)
		}
		v := &world{models: models, rows: w.rows}
		if err := v.commit(t, again); (err != nil) != failed {
			t.Fatalf("again: %v", err)
		}
		if !failed {
			v.equals(t, n)
		}
	})
}

// partitionOf splits effects by the first column of the key. A fan-out is kept to
// one partition by a condition on that column, as the order rule demands.
func partitionOf(t *rapid.T, models []fold.Model, e *fold.Effect) int {
	m := &models[e.Model]
	key := e.Key
	if e.Where != nil {
		key = foldtest.Key(m).Draw(t, "partition")
		e.Where = append(e.Where, fold.Match{Column: m.Key[0], Value: key[0]})
	}
	return int(crc32.ChecksumIEEE([]byte(naive.Key(key[:1]))) % 3)
}

// TestPartitionsCommute splits a log by key into partitions: the order in which
// their folds are merged does not matter.
func TestPartitionsCommute(t *testing.T) {
	models := foldtest.Models()
	rapid.Check(t, func(t *rapid.T) {
		w, n := start(t, models)
		parts := []*fold.Batch{fold.NewBatch(models), fold.NewBatch(models), fold.NewBatch(models)}
		failed := false
		for range rapid.IntRange(0, 20).Draw(t, "effects") {
			e := foldtest.Effect(models).Draw(t, "effect")
			if parts[partitionOf(t, models, &e)].Apply(e) != nil {
				return
			}
			failed = n.Apply(e) != nil || failed
		}
		for _, i := range rapid.Permutation([]int{0, 1, 2}).Draw(t, "order") {
			parts = append(parts, parts[i])
		}
		b := fold.NewBatch(models)
		for _, p := range parts[3:] {
			b.Merge(p)
		}
		if err := w.commit(t, b); (err != nil) != failed {
			t.Fatalf("commit: %v, one by one failed: %v", err, failed)
		}
		if !failed {
			w.equals(t, n)
		}
	})
}

// TestShapesInPlaceAndInFull holds the fast path to the composition: the same
// mutations by Apply as by merging batches of one event.
func TestShapesInPlaceAndInFull(t *testing.T) {
	models := foldtest.Models()
	rapid.Check(t, func(t *rapid.T) {
		inPlace, inFull := fold.NewBatch(models), fold.NewBatch(models)
		for range rapid.IntRange(0, 12).Draw(t, "effects") {
			e := foldtest.Effect(models).Draw(t, "effect")
			one := fold.NewBatch(models)
			if one.Apply(e) != nil || inPlace.Apply(e) != nil {
				return
			}
			inFull.Merge(one)
		}
		left, right := inPlace.Segments(), inFull.Segments()
		if len(left) != len(right) {
			t.Fatalf("%d segments and %d", len(left), len(right))
		}
		for s := range left {
			if a, b := len(left[s].FanOuts()), len(right[s].FanOuts()); a != b {
				t.Fatalf("%d fan-outs and %d", a, b)
			}
			for m := range models {
				a, b := left[s].Rows(m), right[s].Rows(m)
				if len(a) != len(b) {
					t.Fatalf("%d rows and %d", len(a), len(b))
				}
				for i := range a {
					if a[i].Shape() != b[i].Shape() {
						t.Fatalf("shapes %v and %v", a[i].Shape(), b[i].Shape())
					}
				}
			}
		}
	})
}
