// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/fold/foldtest"
	"github.com/projectionist-dev/projectionist/projectors/fold/naive"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// shapesInOneBatch folds all arms into one commit, over rows that are there and rows that are not.
func shapesInOneBatch(t *testing.T, h Harness) {
	f := h.open(t, one())
	n := naive.New(f.models)
	recipes := map[string]func(id string) []fold.Effect{
		"upsert":      func(id string) []fold.Effect { return []fold.Effect{on(id, add(1, int64(1)), push(2, "u"))} },
		"upsert one":  func(id string) []fold.Effect { return []fold.Effect{on(id, push(2, "v"))} },
		"create only": func(id string) []fold.Effect { return []fold.Effect{on(id)} },
		"update":      func(id string) []fold.Effect { return []fold.Effect{ignore(on(id, add(1, int64(2))))} },
		"nothing":     func(id string) []fold.Effect { return []fold.Effect{ignore(on(id))} },
		"delete":      func(id string) []fold.Effect { return []fold.Effect{remove(id)} },
		"replace":     func(id string) []fold.Effect { return []fold.Effect{remove(id), on(id, add(1, int64(3)))} },
		"ghost":       func(id string) []fold.Effect { return []fold.Effect{remove(id), ignore(on(id, add(1, int64(3))))} },
		"checked": func(id string) []fold.Effect {
			return []fold.Effect{on(id, add(1, int64(30))), on(id, add(1, int64(-9)))}
		},
		"checked update": func(id string) []fold.Effect {
			return []fold.Effect{ignore(on(id, add(1, int64(-30)))), ignore(on(id, add(1, int64(9))))}
		},
		"load": func(id string) []fold.Effect {
			return []fold.Effect{ignore(on(id, add(1, int64(4)))), on(id, push(2, "l"))}
		},
		"load and delete": func(id string) []fold.Effect { return []fold.Effect{on(id, add(1, int64(4))), remove(id)} },
		"set NULL":        func(id string) []fold.Effect { return []fold.Effect{on(id, set(1, nil))} },
	}
	for round := range 4 {
		b := fold.NewBatch(f.models)
		for name, recipe := range recipes {
			for i := range 6 {
				id := fmt.Sprintf("%s/%d", name, i)
				if round == 0 && i%2 == 0 {
					continue // these are absent when their recipe comes
				}
				effects := recipe(id)
				if round == 0 {
					effects = []fold.Effect{on(id, add(1, int64(100)), push(2, name))}
				}
				if err := errors.Join(n.Apply(effects...), b.Apply(effects...)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := f.try(b); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		f.wants(0, n.Rows(0)...)
	}
}

func modelsCommitTogether(t *testing.T, h Harness) {
	f := h.open(t, foldtest.ContractModels())
	day := samples(value.MustParse("date"))[0]
	effects := []fold.Effect{
		{Model: 2, Key: []value.Value{day}, Changes: []fold.Change{add(1, int64(1)), {Column: 2, Op: fold.OpMax, Operand: int64(9)}}},
		{Model: 1, Key: []value.Value{int64(5)}},
		{Model: 0, Key: []value.Value{"a", int64(1)}, Changes: []fold.Change{add(0, int64(1))}},
	}
	f.commit(effects...)
	before := f.state()
	// The last model's row cannot be stored: nothing of the others may stay.
	effects[0].Changes[0].Operand = int64(math.MaxInt64)
	effects[1].Key = []value.Value{int64(6)}
	f.dataError(f.batch(effects...), "counter", "count")
	f.unchanged(before)
}

func largeBatch(t *testing.T, h Harness) {
	const n = 20_000
	f := h.open(t, one())
	run := func(each func(i int) fold.Effect) {
		t.Helper()
		b := fold.NewBatch(f.models)
		for i := range n {
			if err := b.Apply(each(i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.try(b); err != nil {
			t.Fatal(err)
		}
	}
	id := func(i int) string { return fmt.Sprintf("%s-%d", strings.Repeat("r", i%40), i) }
	run(func(i int) fold.Effect { return on(id(i), add(1, int64(i)), push(2, "first")) })
	run(func(i int) fold.Effect { return ignore(on(id(i), add(1, int64(1)))) })
	run(func(i int) fold.Effect {
		if i%2 == 0 {
			return remove(id(i))
		}
		return on(id(i), push(2, "last"))
	})
	var want [][]value.Value
	for i := 1; i < n; i += 2 {
		want = append(want, []value.Value{id(i), int64(i + 1), []value.Value{"first", "last"}})
	}
	f.wants(0, want...)
	if c := f.db.ViewCount(t, "route"); c != n/2 {
		t.Fatalf("the view shows %d rows", c)
	}
}

// dataError commits and demands a DataError of the model; the column may be unknown to a store.
func (f *fixture) dataError(b *fold.Batch, model, column string) {
	f.Helper()
	err := f.try(b)
	var d *stores.DataError
	if !errors.As(err, &d) {
		f.Fatalf("err = %v, want a DataError", err)
	}
	if d.Model != model || d.Column != "" && d.Column != column || d.Reason != "OutOfRange" {
		f.Fatalf("%+v, want OutOfRange in %s.%s", d, model, column)
	}
	if stores.Transient(err) {
		f.Fatal("a data error is no passing fault")
	}
}

func overflowIsDataError(t *testing.T, h Harness) {
	f := h.matrix(t)
	const n32, n64, amount, wide = 0, 2, 3, 4
	_, cent := numbers(f.models[0].Columns[amount].Type)
	lots, _ := numbers(f.models[0].Columns[amount].Type)
	huge, _ := numbers(f.models[0].Columns[wide].Type)
	key := func(id string) []value.Value { return []value.Value{id, int64(0)} }
	at := func(id string, changes ...fold.Change) fold.Effect {
		return fold.Effect{Key: key(id), Changes: changes}
	}
	f.commit(
		at("full", set(n32, int64(math.MaxInt32)), set(n64, int64(math.MaxInt64)), set(amount, lots), set(wide, huge)),
		at("low", set(n32, int64(math.MinInt32)), set(n64, int64(math.MinInt64))),
		at("zero", set(n32, int64(0)), set(n64, int64(0))),
		at("null", set(n32, nil), set(n64, nil)),
	)
	del := fold.Effect{Key: key("full"), Delete: true}
	for name, c := range map[string]struct {
		column  string
		effects []fold.Effect
	}{
		"int32 up":            {"n32", []fold.Effect{at("full", add(n32, int64(1)))}},
		"int32 down":          {"n32", []fold.Effect{at("low", add(n32, int64(-1)))}},
		"int64 up":            {"n64", []fold.Effect{at("full", add(n64, int64(1)))}},
		"int64 down":          {"n64", []fold.Effect{ignore(at("low", add(n64, int64(-1))))}},
		"decimal":             {"amount", []fold.Effect{at("full", add(amount, cent))}},
		"wide decimal":        {"wide", []fold.Effect{ignore(at("full", add(wide, cent)))}},
		"update":              {"n32", []fold.Effect{ignore(at("full", add(n32, int64(1))))}},
		"among others":        {"n32", []fold.Effect{at("a", add(n32, int64(1))), at("full", add(n32, int64(1))), at("zero", add(n32, int64(1)))}},
		"new row":             {"n32", []fold.Effect{at("new", add(n32, int64(math.MaxInt32)))}},
		"on the way up":       {"n32", []fold.Effect{at("full", add(n32, int64(5))), at("full", add(n32, int64(-10)))}},
		"on the way down":     {"n32", []fold.Effect{at("low", add(n32, int64(-5))), at("low", add(n32, int64(10)))}},
		"on the way, update":  {"n64", []fold.Effect{ignore(at("full", add(n64, int64(5)))), ignore(at("full", add(n64, int64(-10))))}},
		"on the way, decimal": {"amount", []fold.Effect{at("full", add(amount, cent)), at("full", add(amount, negated(lots)))}},
		"from nothing":        {"n32", []fold.Effect{at("null", add(n32, int64(math.MaxInt32))), at("null", add(n32, int64(1))), at("null", add(n32, int64(-9)))}},
		"sum beyond 64 bits":  {"n64", []fold.Effect{at("zero", add(n64, int64(math.MaxInt64))), at("zero", add(n64, int64(math.MaxInt64)))}},
		"before a set":        {"n32", []fold.Effect{at("full", add(n32, int64(1))), at("full", set(n32, int64(0)))}},
		"before a delete":     {"n32", []fold.Effect{at("full", add(n32, int64(1))), del}},
		"before a new row":    {"n32", []fold.Effect{at("full", add(n32, int64(1))), del, at("full")}},
		"after a set, if there is a row": {"n32", []fold.Effect{
			ignore(at("zero", set(n32, int64(math.MaxInt32)))), ignore(at("zero", add(n32, int64(1)))),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			f.TB = t
			before := f.state()
			effects := append([]fold.Effect{at("bystander", add(n32, int64(1))), {Model: 1, Key: []value.Value{int64(1)}}}, c.effects...)
			f.dataError(f.batch(effects...), "account", c.column)
			f.unchanged(before)
		})
	}
	f.TB = t
	// What stays in range is no error, however near it comes.
	n := naive.New(f.models)
	for _, row := range f.db.Rows(t, f.c, 0) {
		n.Put(0, row)
	}
	fine := []fold.Effect{
		at("full", add(n32, int64(-5))), at("full", add(n32, int64(5))),
		at("low", add(n64, int64(math.MaxInt64))), at("low", add(n64, int64(math.MaxInt64))), at("low", add(n64, int64(1))),
		at("zero", add(n32, int64(math.MaxInt32))), at("zero", add(n32, int64(math.MinInt32))),
		ignore(at("absent", set(n32, int64(math.MaxInt32)))), ignore(at("absent", add(n32, int64(1)))),
		at("low", add(n32, int64(math.MaxInt32))), at("low", add(n32, int64(2))),
	}
	if err := n.Apply(fine...); err != nil {
		t.Fatal(err)
	}
	f.commit(fine...)
	f.wants(0, n.Rows(0)...)
}

// typesRoundTrip writes extremes of each type as a new row, over another row,
// over NULL, and in an update.
func typesRoundTrip(t *testing.T, h Harness) {
	var models []contract.Model
	for _, text := range allTypes {
		models = append(models, contract.Model{
			Name: "t " + text, Key: []string{"id"},
			Columns: []contract.Column{{Name: "id", Type: "int32"}, {Name: "v", Type: text}, {Name: "w", Type: text}},
		})
	}
	for i, text := range allTypes {
		// The first sample as a default, through its canonical text.
		typ := value.MustParse(text)
		d := typ.Format(samples(typ)[0])
		models[i].Columns[2].Default = &d
	}
	f := h.open(t, models)
	for m, text := range allTypes {
		t.Run(text, func(t *testing.T) {
			f.TB = t
			typ := value.MustParse(text)
			all := append(samples(typ), nil)
			var want [][]value.Value
			var effects []fold.Effect
			for i, v := range all {
				effects = append(effects, fold.Effect{Model: m, Key: []value.Value{int64(i)}, Changes: []fold.Change{set(1, v)}})
				want = append(want, []value.Value{int64(i), v, all[0]})
			}
			f.commit(effects...)
			f.wants(m, want...)
			for i := range effects {
				next := all[(i+1)%len(all)]
				effects[i].Changes = []fold.Change{set(1, next), set(2, next)}
				effects[i].IgnoreAbsent = i%2 == 0
				want[i] = []value.Value{int64(i), next, next}
			}
			f.commit(effects...)
			f.wants(m, want...)
			var renewed []fold.Effect
			for i := range effects {
				renewed = append(renewed, fold.Effect{Model: m, Key: []value.Value{int64(i)}, Delete: true},
					fold.Effect{Model: m, Key: []value.Value{int64(i)}, Changes: []fold.Change{set(1, all[i])}})
				want[i] = []value.Value{int64(i), all[i], all[0]}
			}
			f.commit(renewed...)
			f.wants(m, want...)
		})
	}
	f.TB = t
}

func keysOfEachType(t *testing.T, h Harness) {
	var models []contract.Model
	for _, text := range allTypes {
		if value.MustParse(text).CanKey() {
			models = append(models, contract.Model{
				Name: "k " + text, Key: []string{"id", "again"},
				Columns: []contract.Column{{Name: "n", Type: "int64"}, {Name: "again", Type: text}, {Name: "id", Type: text}},
			})
		}
	}
	f := h.open(t, models)
	for m := range models {
		var effects []fold.Effect
		want := map[bool][][]value.Value{}
		all := samples(f.models[m].Columns[1].Type)
		for i, v := range all {
			for j, w := range all {
				e := fold.Effect{Model: m, Key: []value.Value{v, w}, Changes: []fold.Change{add(0, int64(1000*i+j))}}
				effects = append(effects, e)
				want[true] = append(want[true], []value.Value{2 * int64(1000*i+j), w, v})
			}
		}
		f.commit(effects...)
		for i := range effects {
			effects[i].IgnoreAbsent = i%2 == 0
		}
		f.commit(effects...)
		f.wants(m, want[true]...)
		for i := range effects {
			effects[i] = fold.Effect{Model: m, Key: effects[i].Key, Delete: true}
		}
		f.commit(effects[1:]...)
		f.wants(m, []value.Value{int64(0), all[0], all[0]})
	}
}
