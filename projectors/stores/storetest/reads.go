// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"testing"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/fold/naive"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// reads compares what readers of a model's view see, in key order.
func (f *fixture) reads(model int, want ...[]value.Value) {
	f.Helper()
	r, ok := f.db.Admin().(stores.Reader)
	if !ok {
		f.Fatalf("the Admin is no stores.Reader, and the harness does not say that it lacks %s", Reads)
	}
	got, err := r.Read(f.ctx, f.c, model)
	if err != nil {
		f.Fatalf("Read: %v", err)
	}
	seen := fold.Model{Name: f.c.Models[model].Name}
	for _, c := range f.c.ViewColumns(model) {
		seen.Columns = append(seen.Columns, fold.Column{Name: c.Name, Type: value.MustParse(c.Type)})
	}
	if d := diff(&seen, got, want); d != "" {
		f.Fatalf("readers of model %s: %s", seen.Name, d)
	}
	if n, err := r.Count(f.ctx, f.c, model); err != nil || n != int64(len(want)) {
		f.Fatalf("Count of %s gives %d (%v), want %d", seen.Name, n, err, len(want))
	}
	if n := f.db.ViewCount(f, seen.Name); n != len(want) {
		f.Fatalf("the view of %s shows %d rows, want %d", seen.Name, n, len(want))
	}
}

// noReader tells whether the store declares that it has no Reader, and holds it to that.
func (h Harness) noReader(t *testing.T) bool {
	t.Helper()
	if !h.lacks(t, Reads) {
		return false
	}
	if _, has := h.Open(t).Admin().(stores.Reader); has {
		t.Fatalf("the Admin is a stores.Reader, which the harness says it lacks")
	}
	return true
}

// joined is an order with its customer and its price, either of which may come first, or be deleted.
func joined() []contract.Model {
	order := contract.Model{
		Name: "order", Key: []string{"id"},
		Columns: []contract.Column{
			{Name: "customer", Type: "text"}, {Name: "region", Type: "int32"}, {Name: "id", Type: "text"}, {Name: "sku", Type: "text"}, {Name: "note", Type: "text"},
		},
		Joins: []contract.Join{
			{Model: "price", Match: map[string]string{"sku": "sku"}, Set: map[string]string{"z price": "amount", "currency": "currency", "Amount": "amount"}},
			{Model: "customer", Match: map[string]string{"id": "customer", "in": "region"}, Set: map[string]string{"customer_name": "name", "since": "since", "opens": "opens"}},
		},
	}
	customer := contract.Model{
		Name: "customer", Key: []string{"in", "id"},
		Columns: []contract.Column{
			{Name: "id", Type: "text"}, {Name: "name", Type: "text"}, {Name: "in", Type: "int32"}, {Name: "since", Type: "timestamp"}, {Name: "opens", Type: "time"},
		},
		// Each to the other.
		Joins: []contract.Join{{Model: "order", Match: map[string]string{"id": "name"}, Set: map[string]string{"noted": "note"}}},
	}
	return []contract.Model{order, customer, priced()}
}

// joins: readers see the other model's columns, whichever side came first, and NULLs where there is none.
func joins(t *testing.T, h Harness) {
	if h.noReader(t) {
		return
	}
	f := h.open(t, joined())
	at, noon := samples(value.MustParse("timestamp"))[0], samples(value.MustParse("time"))[0]
	order := func(id string, customer, region, sku value.Value) fold.Effect {
		return fold.Effect{Key: []value.Value{id}, Changes: []fold.Change{set(0, customer), set(1, region), set(3, sku)}}
	}
	customer := func(region int64, id, name string) fold.Effect {
		return fold.Effect{Model: 1, Key: []value.Value{region, id}, Changes: []fold.Change{set(1, name), set(3, at), set(4, noon)}}
	}
	f.reads(0)
	f.commit(order("o1", "c1", int64(1), "s1"), order("o2", "c1", int64(2), "s1"), order("o3", nil, int64(1), nil))
	none := []value.Value{nil, nil, nil, nil, nil, nil}
	row := func(own []value.Value, joined ...value.Value) []value.Value { return append(own, joined...) }
	f.reads(0, row([]value.Value{"c1", int64(1), "o1", "s1", nil}, none...), row([]value.Value{"c1", int64(2), "o2", "s1", nil}, none...),
		row([]value.Value{nil, int64(1), "o3", nil, nil}, none...))
	f.commit(customer(1, "c1", "Ada"), customer(1, "c2", "o2"), priceOf(2, "s1", 1, 10))
	f.commit(order("o4", "c2", int64(1), "s2"), fold.Effect{Key: []value.Value{"o2"}, Changes: []fold.Change{set(4, "late")}})
	// By name: "Amount", "currency", "z price"; then "customer_name", "opens", "since".
	f.reads(0,
		[]value.Value{"c1", int64(1), "o1", "s1", nil, int64(10), "USD", int64(10), "Ada", noon, at},
		[]value.Value{"c1", int64(2), "o2", "s1", "late", int64(10), "USD", int64(10), nil, nil, nil},
		row([]value.Value{nil, int64(1), "o3", nil, nil}, none...),
		[]value.Value{"c2", int64(1), "o4", "s2", nil, nil, nil, nil, "o2", noon, at},
	)
	f.reads(1, []value.Value{"c1", "Ada", int64(1), at, noon, nil}, []value.Value{"c2", "o2", int64(1), at, noon, "late"})
	f.reads(2, []value.Value{"s1", int64(1), int64(10), "USD"})
	// What is deleted, with its version or without, is gone on both sides.
	f.commit(withdrawn(2, "s1", 2), fold.Effect{Model: 1, Key: []value.Value{int64(1), "c1"}, Delete: true}, remove("o3"), remove("o4"))
	f.reads(0, row([]value.Value{"c1", int64(1), "o1", "s1", nil}, none...), row([]value.Value{"c1", int64(2), "o2", "s1", "late"}, none...))
	f.reads(2)
	f.commit(priceOf(2, "s1", 1, 11), priceOf(2, "s1", 2, 12))
	f.reads(2, []value.Value{"s1", int64(2), int64(12), "USD"})
	h.did("joins", 6)
}

// readsWhatViewsShow: values of each type, for a revision that the views do not show, and before it is there.
func readsWhatViewsShow(t *testing.T, h Harness) {
	if h.noReader(t) {
		return
	}
	m := contract.Model{Name: "all", Key: []string{"id"}, Columns: []contract.Column{{Name: "id", Type: "int32"}}}
	want := []value.Value{int64(1)}
	effect := fold.Effect{Key: []value.Value{int64(1)}}
	for i, text := range allTypes {
		m.Columns = append(m.Columns, contract.Column{Name: "c " + text, Type: text})
		v := samples(value.MustParse(text))[0]
		want = append(want, v)
		effect.Changes = append(effect.Changes, set(i+1, v))
	}
	f := h.open(t, []contract.Model{m})
	f.commit(effect)
	f.reads(0, want)
	r := f.db.Admin().(stores.Reader)
	other := contractOf("summary", revisionB, []contract.Model{m})
	var env *stores.EnvironmentError
	if _, err := r.Read(f.ctx, other, 0); !errors.As(err, &env) || env.Reason != stores.ReasonNotPrepared {
		t.Fatalf("a revision that was not prepared: %v", err)
	}
	prepared(t, f.db, other)
	if rows, err := r.Read(f.ctx, other, 0); err != nil || len(rows) != 0 {
		t.Fatalf("rows of the new revision: %v, err %v", rows, err)
	}
	f.reads(0, want)
}

// nativeTypes: a value goes in and comes back as one of its logical type, by every way in and out.
func nativeTypes(t *testing.T, h Harness) {
	if h.lacks(t, NativeTypes) {
		if len(h.Native) > 0 {
			t.Fatal("the harness has native types that the store lacks")
		}
		return
	}
	if len(h.Native) == 0 {
		t.Fatalf("the harness names no native type, and does not say that the store lacks %s", NativeTypes)
	}
	var models []contract.Model
	for _, nt := range h.Native {
		models = append(models, contract.Model{Name: nt.Native, Key: []string{"id"}, Columns: []contract.Column{
			{Name: "id", Type: "text"}, {Name: "v", Type: nt.Type, Native: nt.Native}, {Name: "w", Type: nt.Type, Native: nt.Native, Default: &nt.Samples[0]},
		}})
	}
	f := h.open(t, models)
	for m, nt := range h.Native {
		of := func(e fold.Effect) fold.Effect { e.Model = m; return e }
		t.Run(nt.Type+" as "+nt.Native, func(t *testing.T) {
			f.TB = t
			typ := value.MustParse(nt.Type)
			n := naive.New(f.models)
			for i, text := range nt.Samples {
				x, err := typ.ParseText(text)
				if err != nil {
					t.Fatal(err)
				}
				id := string(rune('a' + i))
				f.both(n, of(on(id, set(1, x))), of(on(id+"-load")), of(loading(id+"-load", fold.Step{Changes: []fold.Change{set(1, x)}})))
				f.both(n, of(ignore(on(id, set(2, x)))), of(remove(id+"-new")), of(on(id+"-new", set(1, x))))
				f.both(n, fold.Effect{Model: m, Where: []fold.Match{{Column: 1, Value: x}}, Changes: []fold.Change{set(2, nil)}})
				f.both(n, of(on(id+"-load", set(1, nil), set(2, x))))
			}
			if _, lacking := h.Lacks[Reads]; !lacking {
				f.reads(m, n.Rows(m)...)
			}
			if nt.Refused != "" {
				x, err := typ.ParseText(nt.Refused)
				if err != nil {
					t.Fatal(err)
				}
				f.refused(f.batch(of(on("a", set(1, x)))), stores.DataError{Model: nt.Native, Reason: "OutOfRange"})
			}
			for _, row := range n.Rows(m) {
				f.commit(of(remove(row[0].(string)))) // the next one's interpreter knows nothing of them
			}
			h.did("native types", len(nt.Samples))
		})
	}
	f.TB = t
}
