// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

func prepareIsIdempotent(t *testing.T, h Harness) {
	f := h.open(t, one())
	f.commit(on("a", add(1, int64(5))))
	before := f.state()
	for _, given := range [][]stores.Start{starts(), nil, append(starts(), stores.Start{TopicPartition: tp("orders", 4)})} {
		facts, err := f.db.Admin().Prepare(f.ctx, f.c, given)
		if err != nil {
			t.Fatalf("Prepare again: %v", err)
		}
		if facts.Adopted || facts.ActiveRevision != f.c.Revision || facts.Partitions["orders"] != 4 || facts.Partitions["customers"] != 2 {
			t.Fatalf("facts %+v", facts)
		}
		f.unchanged(before)
	}
	f.commit(on("a", add(1, int64(1))))
	f.wants(0, []value.Value{"a", int64(6), nil})
	if n := f.db.ViewCount(t, "route"); n != 1 {
		t.Fatalf("the view shows %d rows, want 1", n)
	}
}

func prepareAdopts(t *testing.T, h Harness) {
	f := h.open(t, one())
	f.commit(on("a", add(1, int64(5))))
	again := *f.c
	again.Projection.UID = "uid-2"
	facts, err := f.db.Admin().Prepare(f.ctx, &again, starts())
	if err != nil || !facts.Adopted {
		t.Fatalf("facts %+v, err %v", facts, err)
	}
	f.wants(0, []value.Value{"a", int64(5), nil})
	if facts, err = f.db.Admin().Prepare(f.ctx, &again, nil); err != nil || facts.Adopted {
		t.Fatalf("the second time it is no adoption: %+v, err %v", facts, err)
	}
	w := f.db.Writer(t, &again)
	defer w.Close()
	claims, err := w.Claim(f.ctx, "pod-b", allPartitions()[2:3])
	if err != nil || claims[0].Next != 101 {
		t.Fatalf("claims %#v, err %v", claims, err)
	}
}

func prepareRefusesForeignNames(t *testing.T, h Harness) {
	taken := func(t *testing.T, db Database, c *contract.Contract, owner string) {
		t.Helper()
		before := db.Relations(t)
		var e *stores.NameTakenError
		if _, err := db.Admin().Prepare(limited(t), c, starts()); !errors.As(err, &e) || e.Owner != owner {
			t.Fatalf("err = %v, want NameTaken by %q", err, owner)
		}
		if stores.Transient(e) {
			t.Fatal("a name that is taken is no passing fault")
		}
		if after := db.Relations(t); !slices.Equal(before, after) {
			t.Fatalf("relations %v, before %v", after, before)
		}
	}
	for name, relation := range map[string]string{"view": "route", "table": "route__" + revisionA} {
		t.Run(name, func(t *testing.T) {
			db := h.Open(t)
			db.CreateForeign(t, relation)
			taken(t, db, contractOf("summary", revisionA, one()), "")
		})
	}
	t.Run("other projection", func(t *testing.T) {
		f := h.open(t, one())
		taken(t, f.db, contractOf("other", revisionA, one()), "test/shop/summary")
		// Only the view is the same.
		taken(t, f.db, contractOf("other", revisionB, one()), "test/shop/summary")
		elsewhere := contractOf("summary", revisionB, one())
		elsewhere.Projection.Cluster = "test2"
		taken(t, f.db, elsewhere, "test/shop/summary")
	})
}

func secondRevision(t *testing.T, h Harness) {
	f := h.open(t, one())
	f.commit(on("a", add(1, int64(5))))
	c := contractOf("summary", revisionB, one())
	facts, err := f.db.Admin().Prepare(f.ctx, c, starts())
	if err != nil || facts.ActiveRevision != revisionA {
		t.Fatalf("facts %+v, err %v", facts, err)
	}
	g := prepared(t, f.db, c)
	g.commit(on("b", add(1, int64(7))), on("c"))
	g.wants(0, []value.Value{"b", int64(7), nil}, []value.Value{"c", int64(0), nil})
	f.wants(0, []value.Value{"a", int64(5), nil})
	f.commit(on("a", add(1, int64(1)))) // the other revision's claims do not fence this one's
	if n := f.db.ViewCount(t, "route"); n != 1 {
		t.Fatalf("readers see %d rows, want the one of the active revision", n)
	}
	hash := *c
	hash.DataHash = "1:other"
	if _, err := f.db.Admin().Prepare(f.ctx, &hash, starts()); err == nil {
		t.Fatal("one revision with two data hashes")
	}
}

// A topic has grown, and no projector has seen it yet: a revision that is prepared now must not have the
// new partitions from its beginning, for they would be read without a barrier.
func secondRevisionAfterGrowth(t *testing.T, h Harness) {
	f := h.open(t, one())
	grown := append(starts(), stores.Start{TopicPartition: tp("orders", 4), Next: 7, TopicID: "id-orders"})
	prepare := func(revision string, s []stores.Start, orders int32) stores.Writer {
		t.Helper()
		c := contractOf("summary", revision, one())
		facts, err := f.db.Admin().Prepare(f.ctx, c, s)
		if err != nil || facts.Partitions["orders"] != orders || facts.Partitions["customers"] != 2 {
			t.Fatalf("facts %+v, err %v; want %d partitions of orders", facts, err, orders)
		}
		w := f.db.Writer(t, c)
		t.Cleanup(w.Close)
		if claims, err := w.Peek(f.ctx); err != nil || len(claims) != int(orders)+2 {
			t.Fatalf("positions %+v, err %v", claims, err)
		}
		return w
	}
	w := prepare(revisionB, grown, 4)
	// It sees the growth first; the barrier is for both.
	barrier := stores.Barrier{Topic: "orders", Before: 4, After: 5, Ends: []int64{110, 120, 130, 140}}
	later := barrier
	later.Ends = []int64{111, 121, 131, 141}
	for i, add := range []func() (stores.Barrier, error){
		func() (stores.Barrier, error) { return w.AddPartitions(f.ctx, barrier) },
		func() (stores.Barrier, error) { return f.w.AddPartitions(f.ctx, later) },
	} {
		if got, err := add(); err != nil || !reflect.DeepEqual(got, barrier) {
			t.Fatalf("%d: barrier %+v, err %v", i, got, err)
		}
	}
	// What is recorded comes with its barrier.
	w = prepare("cccccccccc", grown, 5)
	if got, err := w.Barriers(f.ctx); err != nil || !reflect.DeepEqual(got, []stores.Barrier{barrier}) {
		t.Fatalf("barriers %+v, err %v", got, err)
	}
	if claims, err := w.Claim(f.ctx, "pod", []event.TopicPartition{tp("orders", 4)}); err != nil || claims[0].Next != 7 {
		t.Fatalf("claims %+v, err %v", claims, err)
	}
	// A topic that was made anew is another one.
	var anew []stores.Start
	for i := range int32(6) {
		anew = append(anew, stores.Start{TopicPartition: tp("orders", i), TopicID: "id-anew"})
	}
	prepare("dddddddddd", append(anew, starts()[:2]...), 6)
}

// nasty are names that an unquoted or badly quoted statement chokes on.
var nasty = []string{
	"select", "Order", "order", "ORDER", `quo"te`, `'; DROP TABLE x; --`, "with space", "user", "naïve", "$1", "a.b", `back\slash`, "1st", "%s", "?", "t", "u", "excluded", "c0",
}

func namesThatNeedQuoting(t *testing.T, h Harness) {
	zero := "0"
	nasty := nasty
	if h.lacks(t, CaseSensitiveNames) {
		twice := one()[0]
		twice.Columns = append(twice.Columns, contract.Column{Name: "LOG", Type: "text"})
		upper := one()[0]
		upper.Name = "ROUTE"
		for _, models := range [][]contract.Model{{twice}, {one()[0], upper}} {
			db := h.Open(t)
			if _, err := db.Admin().Prepare(limited(t), contractOf("summary", revisionA, models), starts()); err == nil || len(db.Relations(t)) > 0 {
				t.Errorf("names that differ in case only: %v, and %v is there", err, db.Relations(t))
			}
		}
		nasty = slices.DeleteFunc(slices.Clone(nasty), func(n string) bool { return n == "Order" || n == "ORDER" })
	}
	m := contract.Model{Key: []string{nasty[0], nasty[1]}}
	for i, n := range nasty {
		switch {
		case i < 2:
			m.Columns = append(m.Columns, contract.Column{Name: n, Type: "text"})
		case i%2 == 0:
			m.Columns = append(m.Columns, contract.Column{Name: n, Type: "int32", Default: &zero})
		default:
			m.Columns = append(m.Columns, contract.Column{Name: n, Type: "text[]"})
		}
	}
	m.Indexes = []contract.Index{{Columns: []string{`quo"te`, `'; DROP TABLE x; --`}}, {Columns: []string{"order"}}, {Columns: []string{nasty[2]}}}
	var models []contract.Model
	for _, n := range nasty {
		m.Name = n
		models = append(models, m)
	}
	f := h.open(t, models)
	for i := range models {
		effects := []fold.Effect{{Model: i, Key: []value.Value{"k", "l"}}, {Model: i, Key: []value.Value{"gone", "l"}}}
		want := []value.Value{"k", "l"}
		for c := 2; c < len(nasty); c++ {
			if c%2 == 0 {
				effects[0].Changes = append(effects[0].Changes, add(c, int64(i)))
				want = append(want, int64(2*i))
			} else {
				effects[0].Changes = append(effects[0].Changes, push(c, nasty[i]))
				want = append(want, []value.Value{nasty[i], nasty[i]})
			}
		}
		f.commit(effects...)
		effects[0].IgnoreAbsent, effects[1].Delete = true, true
		f.commit(effects...)
		f.wants(i, want)
		if n := f.db.ViewCount(t, nasty[i]); n != 1 {
			t.Fatalf("view %q shows %d rows", nasty[i], n)
		}
	}
}

// longNamesNeverCollide: a store refuses a name that it would cut, or keeps it whole.
func longNamesNeverCollide(t *testing.T, h Harness) {
	for _, n := range []int{40, 51, 52, 62, 63, 64, 200} {
		t.Run(fmt.Sprintf("%d bytes", n), func(t *testing.T) {
			x, y := one()[0], one()[0]
			x.Name, y.Name = strings.Repeat("x", n-1)+"1", strings.Repeat("x", n-1)+"2"
			column := strings.Repeat("y", n-1)
			for _, m := range []*contract.Model{&x, &y} {
				m.Columns[0].Name, m.Columns[1].Name, m.Key = column+"1", column+"2", []string{column + "1"}
				m.Indexes = []contract.Index{{Columns: []string{column + "1"}}, {Columns: []string{column + "2"}}}
			}
			db := h.Open(t)
			c := contractOf("summary", revisionA, []contract.Model{x, y})
			if _, err := db.Admin().Prepare(limited(t), c, starts()); err != nil {
				if left := db.Relations(t); len(left) != 0 {
					t.Fatalf("refused, and left %v", left)
				}
				if n <= 51 {
					t.Fatalf("a name of %d bytes is refused: %v", n, err)
				}
				return
			}
			f := prepared(t, db, c)
			f.commit(on("a", set(1, int64(1))), fold.Effect{Model: 1, Key: []value.Value{"b"}})
			f.wants(0, []value.Value{"a", int64(1), nil})
			f.wants(1, []value.Value{"b", int64(0), nil})
		})
	}
}

func manyModelsAndColumns(t *testing.T, h Harness) {
	const models, columns = 10, 100
	all := make([]contract.Model, models)
	for m := range all {
		all[m] = contract.Model{Name: fmt.Sprintf("m%d", m), Key: []string{"c0"}}
		for c := range columns {
			all[m].Columns = append(all[m].Columns, contract.Column{Name: fmt.Sprintf("c%d", c), Type: "int64"})
		}
	}
	f := h.open(t, all)
	for range 2 {
		var effects []fold.Effect
		for m := range all {
			e := fold.Effect{Model: m, Key: []value.Value{int64(m)}}
			for c := 1; c < columns; c++ {
				e.Changes = append(e.Changes, add(c, int64(c)))
			}
			effects = append(effects, e)
		}
		f.commit(effects...)
	}
	for m := range all {
		want := []value.Value{int64(m)}
		for c := 1; c < columns; c++ {
			want = append(want, int64(2*c))
		}
		f.wants(m, want)
	}
}

func retireDropsAllAndOnlyOurs(t *testing.T, h Harness) {
	f := h.open(t, one())
	f.commit(on("a", add(1, int64(5))))
	if _, err := f.db.Admin().Prepare(f.ctx, contractOf("summary", revisionB, one()), starts()); err != nil {
		t.Fatal(err)
	}
	theirs := one()
	theirs[0].Name = "route_2"
	g := prepared(t, f.db, contractOf("other", revisionA, theirs))
	g.commit(on("b", add(1, int64(7))))
	f.db.CreateForeign(t, "foreign")
	if _, err := f.w.AddPartitions(f.ctx, stores.Barrier{Topic: "orders", Before: 4, After: 5, Ends: []int64{1, 2, 3, 4}}); err != nil {
		t.Fatal(err)
	}

	// A request for a projection that was here before is late: its tables are another one's by now.
	gone := f.c.Projection
	gone.UID = "before " + gone.UID
	if dropped, err := f.db.Admin().Retire(f.ctx, gone); err != nil || len(dropped) != 0 {
		t.Fatalf("of another UID: dropped %v, err %v", dropped, err)
	}
	f.commit(on("a", add(1, int64(1))))
	dropped, err := f.db.Admin().Retire(f.ctx, f.c.Projection)
	if err != nil || len(dropped) != 3 {
		t.Fatalf("dropped %v, err %v; want a view and two tables", dropped, err)
	}
	left := f.db.Relations(t)
	want := []string{"foreign", "route_2", "route_2__" + revisionA}
	slices.Sort(want)
	if !slices.Equal(left, want) {
		t.Fatalf("relations %v, want %v", left, want)
	}
	if err := f.try(f.batch(on("a"))); err == nil {
		t.Fatal("a commit into retired tables")
	}
	g.commit(on("b", add(1, int64(1))))
	g.wants(0, []value.Value{"b", int64(8), nil})
	if dropped, err := f.db.Admin().Retire(f.ctx, f.c.Projection); err != nil || len(dropped) != 0 {
		t.Fatalf("again: dropped %v, err %v", dropped, err)
	}
	// Nothing is left of it, and the name is free.
	n := prepared(t, f.db, f.c)
	n.wants(0)
	if c := n.claims[tp("orders", 0)]; c.Next != 100 {
		t.Fatalf("a new projection starts at %d", c.Next)
	}
	if b, err := n.w.Barriers(n.ctx); err != nil || len(b) != 0 {
		t.Fatalf("barriers %v, err %v", b, err)
	}
}
