// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/fold/foldtest"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// seen is what a snapshot showed.
type seen struct {
	claims   []stores.Claim
	barriers []stores.Barrier
	rows     [][][]value.Value
}

// snapshot takes one of the rows that are wanted, sorted by their keys.
func (f *fixture) snapshot(want func(model int, key []value.Value) bool) seen {
	f.Helper()
	out := seen{rows: make([][][]value.Value, len(f.models))}
	err := f.db.Admin().(stores.Snapshotter).Snapshot(f.ctx, f.c, stores.Visit{
		Begin: func(claims []stores.Claim, barriers []stores.Barrier) error {
			out.claims, out.barriers = claims, barriers
			return nil
		},
		Want: want,
		Row:  func(model int, row []value.Value) error { out.rows[model] = append(out.rows[model], row); return nil },
	})
	if err != nil {
		f.Fatalf("Snapshot: %v", err)
	}
	for m := range out.rows {
		slices.SortFunc(out.rows[m], func(a, b []value.Value) int {
			for _, k := range f.models[m].Key {
				if c := value.Compare(a[k], b[k]); c != 0 {
					return c
				}
			}
			return 0
		})
	}
	return out
}

func everyRow(int, []value.Value) bool { return true }

// snapshots: rows, tombstones among them, with the positions and barriers that they were committed with.
func snapshots(t *testing.T, h Harness) {
	f := h.matrix(t)
	random := foldtest.Event(f.models)
	for i := range 60 {
		b := fold.NewBatch(f.models)
		// What the rules refuse, they refuse.
		if b.Apply(random.Example(i)...) == nil {
			_ = f.try(b)
		}
	}
	if _, err := f.w.AddPartitions(f.ctx, stores.Barrier{Topic: "orders", Before: 4, After: 5, Ends: []int64{1, 2, 3, 4}}); err != nil {
		t.Fatal(err)
	}
	got := f.snapshot(everyRow)
	peeked, err := f.w.Peek(f.ctx)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(peeked, func(a, b stores.Claim) int { return a.Compare(b.TopicPartition) })
	if !reflect.DeepEqual(got.claims, peeked) || len(peeked) != len(allPartitions())+1 {
		t.Errorf("claims %+v, want %+v", got.claims, peeked)
	}
	if barriers, err := f.w.Barriers(f.ctx); err != nil || !reflect.DeepEqual(got.barriers, barriers) || len(barriers) != 1 {
		t.Errorf("barriers %+v, want %+v (%v)", got.barriers, barriers, err)
	}
	total := 0
	for m := range f.models {
		if d := diff(&f.models[m], got.rows[m], f.db.Rows(f, f.c, m)); d != "" {
			t.Errorf("model %s: %s", f.models[m].Name, d)
		}
		total += len(got.rows[m])
	}
	if total < 5 {
		t.Errorf("%d rows are too few to tell", total)
	}
	// The key tells which rows are wanted.
	var wanted [][]value.Value
	n := 0
	f.snapshot(func(model int, key []value.Value) bool {
		if len(key) != len(f.models[model].Key) {
			t.Errorf("model %s is asked by key %v", f.models[model].Name, key)
		}
		if n++; n%2 == 0 {
			wanted = append(wanted, slices.Clone(key))
			return true
		}
		return false
	})
	if n != total || len(wanted) != total/2 {
		t.Errorf("%d of %d rows were asked for", n, total)
	}
	f.commit(f.rowOf(0))
	if again := f.snapshot(everyRow); again.claims[2].Next != got.claims[2].Next+1 {
		t.Errorf("after a commit the position is %d, before %d", again.claims[2].Next, got.claims[2].Next)
	}
}

// rowOf is an effect that leaves everything as it is.
func (f *fixture) rowOf(model int) fold.Effect {
	key := foldtest.Key(&f.models[model]).Example(1)
	return fold.Effect{Model: model, Key: key, IgnoreAbsent: true}
}

// snapshotFaults: errors of the visit come back as they are, and the store goes on.
func snapshotFaults(t *testing.T, h Harness) {
	f := h.open(t, one())
	f.commit(on("a"), on("b"))
	s := f.db.Admin().(stores.Snapshotter)
	bad := errors.New("the caller's own")
	for name, v := range map[string]stores.Visit{
		"begin": {Begin: func([]stores.Claim, []stores.Barrier) error { return bad }, Want: everyRow, Row: func(int, []value.Value) error { return nil }},
		"row":   {Begin: func([]stores.Claim, []stores.Barrier) error { return nil }, Want: everyRow, Row: func(int, []value.Value) error { return bad }},
	} {
		if err := s.Snapshot(f.ctx, f.c, v); !errors.Is(err, bad) || stores.Transient(err) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	gone := *f.c
	gone.Revision = revisionB
	if err := s.Snapshot(f.ctx, &gone, stores.Visit{Want: everyRow}); reasonOf(err) != stores.ReasonNotPrepared {
		t.Errorf("of a revision that is not there: %v", err)
	}
	f.commit(on("c"))
	if got := f.snapshot(everyRow); len(got.rows[0]) != 3 {
		t.Errorf("rows %v", got.rows)
	}
}

func reasonOf(err error) string {
	var env *stores.EnvironmentError
	if errors.As(err, &env) {
		return env.Reason
	}
	return ""
}

// active: the contract of what readers see, and whose tables of that name there are.
func active(t *testing.T, h Harness) {
	db := h.Open(t)
	ctx, s := limited(t), db.Admin().(stores.Snapshotter)
	var unknown *stores.UnknownProjectionError
	c := contractOf("summary", revisionA, one())
	if _, err := s.Active(ctx, c.Projection); !errors.As(err, &unknown) || len(unknown.Others) != 0 {
		t.Fatalf("in an empty store: %v", err)
	}
	f := prepared(t, db, c)
	b := contractOf("summary", revisionB, one())
	if _, err := db.Admin().Prepare(ctx, b, starts()); err != nil {
		t.Fatal(err)
	}
	got, err := s.Active(ctx, f.c.Projection)
	if err != nil || got.Revision != revisionA || got.DataHash != c.DataHash || !reflect.DeepEqual(got.Models, c.Models) {
		t.Fatalf("the active contract is %+v (%v)", got, err)
	}
	other := contract.Identity{Cluster: "another", Namespace: "shop", Name: "summary"}
	if _, err := s.Active(ctx, other); !errors.As(err, &unknown) || len(unknown.Others) != 1 || unknown.Others[0].Cluster != c.Projection.Cluster || unknown.Others[0].Namespace != "shop" {
		t.Fatalf("of another cluster: %v", err)
	}
}
