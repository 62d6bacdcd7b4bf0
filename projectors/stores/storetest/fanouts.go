// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/fold/naive"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// Columns of grouped.
const (
	groupColumn = 1
	countColumn = 2
	logColumn   = 3
)

// grouped is a model whose rows are found by their group. Its key is not its first columns, and has two.
func grouped() []contract.Model {
	return []contract.Model{
		{
			Name: "item", Key: []string{"id"}, Indexes: []contract.Index{{Columns: []string{"group"}}},
			Handlers: []contract.Handler{{Name: "moved", Where: map[string]string{"group": "event.group"}}},
			Columns: []contract.Column{
				{Name: "id", Type: "text"}, {Name: "group", Type: "text"},
				{Name: "count", Type: "int64", Default: ptr("0")}, {Name: "log", Type: "text[]"},
			},
		},
		{
			Name: "pair", Key: []string{"b", "a"},
			Columns: []contract.Column{{Name: "n", Type: "int32"}, {Name: "a", Type: "text"}, {Name: "b", Type: "int32"}},
		},
	}
}

func in(group value.Value, e fold.Effect) fold.Effect {
	e.Key, e.Where = nil, []fold.Match{{Column: groupColumn, Value: group}}
	return e
}

func changing(changes ...fold.Change) fold.Effect { return fold.Effect{Changes: changes} }

// fanOutOrder: a fan-out comes after the effects before it and before those after it, in one batch as in many.
func fanOutOrder(t *testing.T, h Harness) {
	member := func(id string, group value.Value) fold.Effect {
		return on(id, set(groupColumn, group), add(countColumn, int64(1)))
	}
	bump := func(group value.Value, label string) fold.Effect {
		return in(group, changing(add(countColumn, int64(10)), push(logColumn, label)))
	}
	joining := func(group value.Value, to value.Value) fold.Effect {
		return in(group, changing(set(groupColumn, to)))
	}
	doubling := func(group value.Value) fold.Effect {
		return in(group, fold.Effect{Load: loader(func(row []value.Value) (fold.Step, error) {
			n := row[countColumn].(int64)
			return fold.Step{Skip: n > 50, Changes: []fold.Change{add(countColumn, n)}}, nil
		})})
	}
	histories := map[string][]fold.Effect{
		"created before":       {member("a", "g"), bump("g", "1"), member("b", "g"), bump("g", "2")},
		"matches nothing":      {bump("g", "1"), member("a", "g"), bump("h", "2")},
		"NULL matches nothing": {member("a", nil), bump(nil, "1"), bump("g", "2")},
		"rows move":            {member("a", "g"), member("b", "h"), joining("g", "h"), bump("g", "1"), bump("h", "2"), joining("h", nil), bump("h", "3")},
		"rows go":              {member("a", "g"), member("b", "g"), bump("g", "1"), in("g", fold.Effect{Delete: true}), bump("g", "2"), member("b", "g"), bump("g", "3")},
		"blind between":        {member("a", "g"), bump("g", "1"), on("a", set(countColumn, int64(3))), bump("g", "2"), remove("a"), bump("g", "3"), ignore(on("a", add(countColumn, int64(9))))},
		"loading":              {member("a", "g"), on("b", set(groupColumn, "g"), set(countColumn, int64(60))), doubling("g"), doubling("g"), counting2("a"), doubling("g")},
		"one after the other":  {member("a", "g"), bump("g", "1"), bump("g", "2"), bump("g", "3"), bump("g", "4")},
		"two conditions": {member("a", "g"), member("b", "g"), on("b", add(countColumn, int64(1))),
			{Where: []fold.Match{{Column: groupColumn, Value: "g"}, {Column: countColumn, Value: int64(2)}}, Changes: []fold.Change{push(logColumn, "two")}}},
		"by a key column": {
			{Model: 1, Key: []value.Value{int64(1), "x"}}, {Model: 1, Key: []value.Value{int64(2), "x"}}, {Model: 1, Key: []value.Value{int64(1), "y"}},
			{Model: 1, Where: []fold.Match{{Column: 2, Value: int64(1)}}, Changes: []fold.Change{add(0, int64(7))}},
			{Model: 1, Where: []fold.Match{{Column: 1, Value: "x"}}, Changes: []fold.Change{add(0, int64(1))}},
		},
		"two models": {
			member("a", "g"), {Model: 1, Key: []value.Value{int64(1), "g"}}, bump("g", "1"),
			{Model: 1, Where: []fold.Match{{Column: 1, Value: "g"}}, Delete: true}, {Model: 1, Key: []value.Value{int64(2), "g"}}, bump("g", "2"),
		},
	}
	f := h.open(t, grouped())
	for name, effects := range histories {
		t.Run(name, func(t *testing.T) {
			f.TB = t
			for _, size := range []int{len(effects), 1, 2, 3} {
				f.clear()
				n := naive.New(f.models)
				for part := range slices.Chunk(effects, size) {
					f.both(n, part...)
				}
				h.did("fan-out histories", 1)
			}
		})
	}
	f.TB = t
}

// counting2 is counting for grouped.
func counting2(id string) fold.Effect {
	return fold.Effect{Key: []value.Value{id}, Load: loader(func(row []value.Value) (fold.Step, error) {
		n, _ := at(row, countColumn).(int64)
		return fold.Step{Changes: []fold.Change{set(countColumn, n+1), push(logColumn, strconv.FormatInt(n, 10))}}, nil
	})}
}

// fanOutManyRows touches more rows than a store would hold in memory at a time,
// and each of them once, though it changes what it finds them by.
func fanOutManyRows(t *testing.T, h Harness) {
	const n = 11_000
	f := h.open(t, grouped())
	var effects []fold.Effect
	for i := range n {
		effects = append(effects, on(fmt.Sprintf("i%d", i), set(groupColumn, []value.Value{"g", "h", nil}[i%3])))
		effects = append(effects, fold.Effect{Model: 1, Key: []value.Value{int64(i % 70), fmt.Sprintf("a%d", i/70)}, Changes: []fold.Change{set(0, int64(i%2))}})
	}
	f.commit(effects...)
	f.commit(
		in("g", changing(set(groupColumn, "h"), add(countColumn, int64(1)))),
		in("h", changing(set(groupColumn, "g"), add(countColumn, int64(1)))),
		in("g", fold.Effect{Load: loader(func(row []value.Value) (fold.Step, error) {
			return fold.Step{Delete: row[countColumn] == int64(1), Changes: []fold.Change{push(logColumn, "both")}}, nil
		})}),
		fold.Effect{Model: 1, Where: []fold.Match{{Column: 0, Value: int64(0)}}, Changes: []fold.Change{add(0, int64(1))}},
	)
	var want, pairs [][]value.Value
	for i := range n {
		switch i % 3 {
		case 0: // in g: one step by each of the first two
			want = append(want, []value.Value{fmt.Sprintf("i%d", i), "g", int64(2), list("both")})
		case 2:
			want = append(want, []value.Value{fmt.Sprintf("i%d", i), nil, int64(0), nil})
		}
		pairs = append(pairs, []value.Value{int64(1), fmt.Sprintf("a%d", i/70), int64(i % 70)})
	}
	f.wants(0, want...)
	f.wants(1, pairs...)
}

// fanOutTooLarge: there is a bound, and the event that goes beyond it is told so.
func fanOutTooLarge(t *testing.T, h Harness) {
	f := h.open(t, grouped()[1:])
	b := fold.NewBatch(f.models)
	for i := range stores.MaxFanOutRows + 1 {
		if err := b.Apply(fold.Effect{Key: []value.Value{int64(i), "x"}, Changes: []fold.Change{set(0, int64(min(i, 1)))}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.try(b); err != nil {
		t.Fatal(err)
	}
	touching := func(column int, v value.Value) *fold.Batch {
		return f.batch(fold.Effect{Where: []fold.Match{{Column: column, Value: v}}, Changes: []fold.Change{add(0, int64(1))}})
	}
	f.refused(touching(1, "x"), stores.DataError{Model: "pair", Reason: stores.ReasonFanOutTooLarge})
	if err := f.try(touching(0, int64(1))); err != nil {
		t.Fatalf("as many as are allowed: %v", err)
	}
	twos := 0
	for _, row := range f.db.Rows(t, f.c, 0) {
		if row[0] == int64(2) {
			twos++
		}
	}
	if twos != stores.MaxFanOutRows {
		t.Fatalf("%d rows were touched, want %d", twos, stores.MaxFanOutRows)
	}
}

// fanOutOfEachType finds rows by a value of each type.
func fanOutOfEachType(t *testing.T, h Harness) {
	var models []contract.Model
	for _, text := range allTypes {
		if value.MustParse(text).Kind == value.JSONKind {
			continue // texts of one meaning differ
		}
		models = append(models, contract.Model{Name: "w " + text, Key: []string{"id"}, Columns: []contract.Column{
			{Name: "id", Type: "int32"}, {Name: "v", Type: text}, {Name: "hits", Type: "int32", Default: ptr("0")},
		}})
	}
	f := h.open(t, models)
	for m := range models {
		all := samples(f.models[m].Columns[1].Type)
		var rows, hits []fold.Effect
		var want [][]value.Value
		for i, v := range append(all, nil) {
			rows = append(rows, fold.Effect{Model: m, Key: []value.Value{int64(i)}, Changes: []fold.Change{set(1, v)}})
			for range i + 1 {
				hits = append(hits, fold.Effect{Model: m, Where: []fold.Match{{Column: 1, Value: v}}, Changes: []fold.Change{add(2, int64(1))}})
			}
			n := int64(i + 1)
			if v == nil {
				n = 0
			}
			want = append(want, []value.Value{int64(i), v, n})
		}
		f.commit(append(rows, hits...)...)
		f.wants(m, want...)
		h.did("fan-outs by type", len(all))
	}
}
