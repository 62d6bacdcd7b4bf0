// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package fold_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/fold/foldtest"
	"github.com/projectionist-dev/projectionist/projectors/fold/naive"
)

// fromNothing gives the rows that a batch makes of empty tables, by model.
func fromNothing(b *fold.Batch, models []fold.Model) ([][][]value.Value, error) {
	out := make([][][]value.Value, len(models))
	for m := range models {
		for _, u := range b.Segments()[0].Rows(m) {
			row, err := u.Apply(nil)
			if err != nil {
				return nil, err
			}
			if row != nil {
				out[m] = append(out[m], row)
			}
		}
	}
	return out, nil
}

// TestSettle: settled at any time, or moved row by row into another batch, a batch
// still makes of empty tables what the interpreter makes, and fails where one event does.
func TestSettle(t *testing.T) {
	models := foldtest.Models()
	noFanOut := foldtest.Event(models).Filter(func(e []fold.Effect) bool {
		return !slices.ContainsFunc(e, func(f fold.Effect) bool { return f.Where != nil })
	})
	rapid.Check(t, func(r *rapid.T) {
		n, b := naive.New(models), fold.NewBatch(models)
		refused, failed := false, false
		for range rapid.IntRange(0, 12).Draw(r, "events") {
			e := noFanOut.Draw(r, "event")
			refused = refused || n.Apply(e...) != nil
			b.Expect(e) // changes nothing
			failed = failed || b.Apply(e...) != nil
			switch rapid.IntRange(0, 5).Draw(r, "then") {
			case 0:
				failed = failed || b.Settle() != nil
				if !failed && b.Bytes() < 0 {
					r.Fatalf("a batch of %d bytes", b.Bytes())
				}
			case 1:
				rows, err := fromNothing(b, models)
				failed = failed || err != nil
				b = fold.NewBatch(models)
				for m := range rows {
					for _, row := range rows[m] {
						b.Put(m, row)
					}
				}
			}
			if failed {
				break
			}
		}
		rows, err := fromNothing(b, models)
		failed = failed || err != nil
		if failed != refused {
			r.Fatalf("failed %t, one by one an event is refused: %t", failed, refused)
		}
		if refused {
			return
		}
		for m := range models {
			want := n.Rows(m)
			slices.SortFunc(want, func(x, y []value.Value) int { return compareKeys(keyOf(&models[m], x), keyOf(&models[m], y)) })
			if !slices.EqualFunc(rows[m], want, func(x, y []value.Value) bool { return same(x, y) }) {
				r.Fatalf("model %s: %v, want %v", models[m].Name, rows[m], want)
			}
		}
	})
}

// TestSettledBatchDoesNotGrow: what reads its row costs memory by event until it is settled.
func TestSettledBatchDoesNotGrow(t *testing.T) {
	models := foldtest.Models()
	b := fold.NewBatch(models)
	count := fold.Effect{Model: 0, Key: []value.Value{"k", int64(0)}, Load: &foldtest.Reading{Less: fold.Step{Skip: true}, NotLess: fold.Step{Changes: []fold.Change{{Column: 2, Op: fold.OpAdd, Operand: int64(1)}}}}}
	most := 0
	for range 100 {
		for range 50 {
			if err := b.Apply(count); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Settle(); err != nil {
			t.Fatal(err)
		}
		most = max(most, b.Bytes())
	}
	if most > 10_000 {
		t.Fatalf("one row takes %d bytes", most)
	}
	rows, err := fromNothing(b, models)
	if err != nil || len(rows[0]) != 1 || rows[0][0][2] != int64(5000) {
		t.Fatalf("%v, %v", rows[0], err)
	}
}
