// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/fold/foldtest"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// replace puts rows in the place of others, whatever the positions.
func (f *fixture) replace(rows ...stores.Row) (stores.Replaced, error) {
	return f.replaceBy(0, func(context.Context, []stores.Claim, []stores.Barrier) ([]stores.Row, error) { return rows, nil })
}

func (f *fixture) replaceBy(hold time.Duration, fn func(context.Context, []stores.Claim, []stores.Barrier) ([]stores.Row, error)) (stores.Replaced, error) {
	return f.db.Admin().(stores.Replacer).Replace(f.ctx, f.c, stores.Replacement{Owner: "repair", Hold: hold, Fold: fn})
}

func rowAt(model int, key []value.Value, values ...value.Value) stores.Row {
	return stores.Row{Model: model, Key: key, Values: values}
}

// peeked gives the position rows in order.
func (f *fixture) peeked() []stores.Claim {
	f.Helper()
	claims, err := f.w.Peek(f.ctx)
	if err != nil {
		f.Fatal(err)
	}
	slices.SortFunc(claims, func(a, b stores.Claim) int { return a.Compare(b.TopicPartition) })
	return claims
}

// replaces: rows are made, changed and deleted, and no other; every claim is ended; whoever claims anew goes on.
func replaces(t *testing.T, h Harness) {
	f := h.open(t, one())
	f.commit(on("a", set(1, int64(1)), push(2, "x")), on("b", set(1, int64(2))), on("c"), on("d", set(1, int64(4))))
	if _, err := f.w.AddPartitions(f.ctx, stores.Barrier{Topic: "orders", Before: 4, After: 5, Ends: []int64{1, 2, 3, 4}}); err != nil {
		t.Fatal(err)
	}
	before := f.peeked()
	r := f.db.Admin().(stores.Replacer)
	claims, barriers, err := r.Positions(f.ctx, f.c)
	if err != nil || !reflect.DeepEqual(claims, before) || len(barriers) != 1 || barriers[0].After != 5 {
		t.Fatalf("positions %+v, %+v (%v), want %+v", claims, barriers, err, before)
	}
	key := func(s string) []value.Value { return []value.Value{s} }
	rows := []stores.Row{
		rowAt(0, key("d"), "d", int64(4), nil),
		rowAt(0, key("n"), "n", int64(7), []value.Value{"y", "z"}),
		rowAt(0, key("a"), "a", int64(9), []value.Value{"x"}),
		{Key: key("b")},
		{Key: key("nowhere")},
	}
	calls := 0
	done, err := f.replaceBy(0, func(ctx context.Context, claims []stores.Claim, barriers []stores.Barrier) ([]stores.Row, error) {
		if calls++; !reflect.DeepEqual(claims, before) || len(barriers) != 1 || ctx.Err() != nil {
			t.Errorf("Fold is given %+v, %+v", claims, barriers)
		}
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("Fold has no deadline")
		}
		return rows, nil
	})
	if err != nil || calls != 1 {
		t.Fatalf("%v, %d calls", err, calls)
	}
	if want := (stores.ReplacedRows{Written: 2, Deleted: 1, Equal: 2}); done.Models[0] != want || len(done.Models) != 1 || !reflect.DeepEqual(done.Claims, before) {
		t.Errorf("%+v, want %+v", done, want)
	}
	want := [][]value.Value{
		{"a", int64(9), []value.Value{"x"}}, {"c", int64(0), nil}, {"d", int64(4), nil}, {"n", int64(7), []value.Value{"y", "z"}},
	}
	f.wants(0, want...)
	tokens := map[string]bool{}
	for i, c := range f.peeked() {
		if tokens[c.Token] {
			t.Errorf("two claims have token %s", c.Token)
		}
		tokens[c.Token] = true
		if b := before[i]; c.Epoch != b.Epoch+1 || !c.Free() || b.Free() || c.Owner != "repair" || c.Next != b.Next || c.TopicID != b.TopicID || c.HeldVersion != b.HeldVersion {
			t.Errorf("the claim is %#v, before %#v", c, b)
		}
	}
	// The writer's claim is over, and a new one goes on from where it was.
	var fenced *stores.FencedError
	if err := f.try(f.batch(on("a", add(1, int64(1))))); !errors.As(err, &fenced) || len(fenced.Partitions) != 1 {
		t.Fatalf("a commit of the claim that was ended: %v", err)
	}
	f.wants(0, want...)
	f.claimAll()
	f.commit(on("a", add(1, int64(1))), on("b", add(1, int64(1))))
	f.wants(0, []value.Value{"a", int64(10), []value.Value{"x"}}, []value.Value{"b", int64(1), nil}, want[1], want[2], want[3])
	// The same again finds little to do.
	if done, err = f.replace(rowAt(0, key("n"), "n", int64(7), []value.Value{"y", "z"})); err != nil || done.Models[0] != (stores.ReplacedRows{Equal: 1}) {
		t.Fatalf("%+v (%v)", done, err)
	}
}

// replacesOfEachType: whatever a projector can write can be put back, tombstones among it, in all models at once.
func replacesOfEachType(t *testing.T, h Harness) {
	f := h.matrix(t)
	random := foldtest.Event(f.models)
	for i := range 80 {
		b := fold.NewBatch(f.models)
		if b.Apply(random.Example(i)...) == nil { // what the rules refuse, they refuse
			_ = f.try(b)
		}
	}
	before := f.state()
	var there, gone []stores.Row
	for m := range f.models {
		for i, r := range before.rows[m] {
			key := make([]value.Value, len(f.models[m].Key))
			for k, c := range f.models[m].Key {
				key[k] = r[c]
			}
			there = append(there, rowAt(m, key, r...))
			if i%2 == 0 {
				gone = append(gone, stores.Row{Model: m, Key: key})
			}
		}
	}
	if len(there) < 5 {
		t.Fatalf("%d rows are too few to tell", len(there))
	}
	count := func(rows []stores.Row, want stores.ReplacedRows) {
		t.Helper()
		done, err := f.replace(rows...)
		if err != nil {
			t.Fatal(err)
		}
		var n stores.ReplacedRows
		for _, m := range done.Models {
			n.Written, n.Deleted, n.Equal = n.Written+m.Written, n.Deleted+m.Deleted, n.Equal+m.Equal
		}
		if n != want {
			t.Fatalf("%+v, want %+v", n, want)
		}
	}
	count(there, stores.ReplacedRows{Equal: int64(len(there))})
	count(gone, stores.ReplacedRows{Deleted: int64(len(gone))})
	count(there, stores.ReplacedRows{Written: int64(len(gone)), Equal: int64(len(there) - len(gone))})
	for m := range f.models {
		if d := diff(&f.models[m], f.db.Rows(f, f.c, m), before.rows[m]); d != "" {
			t.Errorf("model %s: %s", f.models[m].Name, d)
		}
	}
	h.did("replaced rows", len(there))
}

// replaceRefused: whatever ends it, nothing of it stays, no claim is ended, and the store goes on.
func replaceRefused(t *testing.T, h Harness) {
	f := h.open(t, users())
	f.commit(sitting("a", "x", "t", int64(1)), sitting("b", "y", "t", int64(2)), sitting("c", "z", "u", int64(1)))
	before := f.state()
	key := func(s string) []value.Value { return []value.Value{s} }
	bad := errors.New("the caller's own")
	for name, c := range map[string]struct {
		hold time.Duration
		fold func(context.Context) ([]stores.Row, error)
		want func(error) bool
	}{
		"the caller's error": {0, func(context.Context) ([]stores.Row, error) { return nil, bad }, func(err error) bool { return errors.Is(err, bad) && !stores.Transient(err) }},
		"held too long, told": {time.Millisecond, func(ctx context.Context) ([]stores.Row, error) { <-ctx.Done(); return nil, context.Cause(ctx) },
			func(err error) bool { return errors.Is(err, stores.ErrHeldTooLong) }},
		"held too long, without telling": {time.Millisecond, func(ctx context.Context) ([]stores.Row, error) {
			<-ctx.Done()
			return []stores.Row{{Key: key("a")}}, nil
		}, func(err error) bool { return errors.Is(err, stores.ErrHeldTooLong) }},
		"a value that another row has": {0, func(context.Context) ([]stores.Row, error) {
			return []stores.Row{{Key: key("c")}, rowAt(0, key("a"), "a", "y", "t", int64(1))}, nil
		}, func(err error) bool {
			var data *stores.DataError
			return errors.As(err, &data) && data.Model == "user" && data.Path == "models[user].indexes[email]"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			f.TB = t
			if done, err := f.replaceBy(c.hold, func(ctx context.Context, _ []stores.Claim, _ []stores.Barrier) ([]stores.Row, error) {
				return c.fold(ctx)
			}); !c.want(err) {
				t.Fatalf("error %v, done %+v", err, done)
			}
			f.unchanged(before)
			f.commit() // a claim that still holds
			before = f.state()
		})
	}
	f.TB = t
	stopped, stop := context.WithCancel(f.ctx)
	_, err := f.db.Admin().(stores.Replacer).Replace(stopped, f.c, stores.Replacement{Fold: func(context.Context, []stores.Claim, []stores.Barrier) ([]stores.Row, error) {
		stop()
		return []stores.Row{{Key: key("a")}}, nil
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	f.unchanged(before)
	gone := *f.c
	gone.Revision = revisionB
	if _, err := f.db.Admin().(stores.Replacer).Replace(f.ctx, &gone, stores.Replacement{}); reasonOf(err) != stores.ReasonNotPrepared {
		t.Errorf("of a revision that is not there: %v", err)
	}
	// Values that are unique may change places.
	if _, err := f.replace(rowAt(0, key("a"), "a", "y", "t", int64(2)), rowAt(0, key("b"), "b", "x", "t", int64(1))); err != nil {
		t.Fatal(err)
	}
	f.wants(0, []value.Value{"a", "y", "t", int64(2)}, []value.Value{"b", "x", "t", int64(1)}, []value.Value{"c", "z", "u", int64(1)})
	f.claimAll()
	f.commit(sitting("d", "w", nil, nil), on("a", set(1, "v")))
}

// replaceUnderWrites: while others commit adds to one row, it is replaced by what their positions say, many times; in
// the end it holds every add once. A replacement of rows as of another position loses some.
func replaceUnderWrites(t *testing.T, h Harness) {
	const replacements = 20
	f := h.open(t, one())
	f.commit(on("hot", set(1, int64(1)))) // an add of the first position
	began := sum(f.peeked())
	stop, committed := make(chan struct{}), make(chan struct{}, 1)
	var wg sync.WaitGroup
	fenced := make([]int, len(allPartitions()))
	errs := make([]error, len(allPartitions()))
	for i, p := range allPartitions() {
		w := f.worker(p)
		wg.Go(func() { fenced[i], errs[i] = w.addUntil(stop, committed, p) })
	}
	for n := 0; n < replacements && !t.Failed(); n++ {
		select {
		case <-committed: // maybe before the last replacement
		default:
		}
		select {
		case <-committed:
		case <-f.ctx.Done():
			t.Fatal("no writer commits any more")
		}
		var done stores.Replaced
		err := f.patiently(func() (err error) {
			done, err = f.replaceBy(0, func(_ context.Context, claims []stores.Claim, _ []stores.Barrier) ([]stores.Row, error) {
				return []stores.Row{rowAt(0, []value.Value{"hot"}, "hot", sum(claims)-began+1, nil), {Key: []value.Value{"other"}}}, nil
			})
			return err
		})
		if err != nil || done.Models[0].Equal != 2 {
			t.Errorf("the row was not what the positions say: %+v (%v)", done, err)
		}
	}
	close(stop)
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, n := range fenced {
		total += n
	}
	f.wants(0, []value.Value{"hot", sum(f.peeked()) - began + 1, nil})
	if total < replacements/2 {
		t.Errorf("writers were fenced %d times: no claim was ended", total)
	}
	h.did("replacements under writes", replacements)
}

// patiently does it again while the store says that trying again may help, until the context ends.
func (f *fixture) patiently(do func() error) error {
	for {
		if err := do(); !stores.Transient(err) || f.ctx.Err() != nil {
			return err
		}
	}
}

func sum(claims []stores.Claim) int64 {
	n := int64(0)
	for _, c := range claims {
		n += c.Next
	}
	return n
}

// addUntil adds one for each position, and claims anew when a replacement has ended its claim.
func (w *worker) addUntil(stop <-chan struct{}, committed chan<- struct{}, p event.TopicPartition) (fenced int, err error) {
	for {
		select {
		case <-stop:
			return fenced, nil
		default:
		}
		err := w.commit(on("hot", add(1, int64(1))))
		var lost *stores.FencedError
		switch {
		case err == nil:
			select {
			case committed <- struct{}{}:
			default:
			}
			continue
		case errors.As(err, &lost):
			fenced++
		case !stores.Transient(err):
			return fenced, err
		}
		// On a busy machine a store may be too busy for a while.
		var claims []stores.Claim
		if err = w.f.patiently(func() (err error) {
			claims, err = w.w.Claim(w.f.ctx, fmt.Sprint("worker of ", p), []event.TopicPartition{p})
			return err
		}); err != nil {
			return fenced, err
		}
		w.claim = claims[0]
	}
}
