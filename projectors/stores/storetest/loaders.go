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
	"github.com/projectionist-dev/projectionist/projectors/fold/foldtest"
	"github.com/projectionist-dev/projectionist/projectors/fold/naive"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// loader is a fold.Loader by a function.
type loader func(row []value.Value) (fold.Step, error)

func (l loader) Load(row []value.Value) (fold.Step, error) { return l(row) }

func (l loader) Bytes() int { return 100 }

// steps decides without looking.
func steps(s fold.Step) fold.Loader {
	return loader(func([]value.Value) (fold.Step, error) { return s, nil })
}

func loading(id string, s fold.Step) fold.Effect {
	return fold.Effect{Key: []value.Value{id}, Load: steps(s)}
}

// counting adds one to column 1 and writes down in the list of column 2 what it
// found, so that rows tell what each loader was given.
func counting(id string) fold.Effect {
	return fold.Effect{Key: []value.Value{id}, Load: loader(func(row []value.Value) (fold.Step, error) {
		n, _ := at(row, 1).(int64)
		return fold.Step{Changes: []fold.Change{set(1, n+1), push(2, found(row))}}, nil
	})}
}

func at(row []value.Value, column int) value.Value {
	if row == nil {
		return nil
	}
	return row[column]
}

func found(row []value.Value) string {
	switch v := at(row, 1).(type) {
	case int64:
		return strconv.FormatInt(v, 10)
	default:
		if row == nil {
			return "absent"
		}
		return "null"
	}
}

// loaders: blind and loading effects in every order on rows that are there, that
// are not, and that have NULLs give what the interpreter gives, in one batch and in many.
func loaders(t *testing.T, h Harness) {
	few := map[string]func(id string) fold.Effect{
		"add":      func(id string) fold.Effect { return on(id, add(1, int64(10))) },
		"update":   func(id string) fold.Effect { return ignore(on(id, add(1, int64(100)))) },
		"push":     func(id string) fold.Effect { return on(id, push(2, "p")) },
		"null":     func(id string) fold.Effect { return on(id, set(1, nil)) },
		"remove":   remove,
		"count":    counting,
		"ignoring": func(id string) fold.Effect { return ignore(counting(id)) },
		"skip":     func(id string) fold.Effect { return loading(id, fold.Step{Skip: true}) },
		"delete":   func(id string) fold.Effect { return loading(id, fold.Step{Delete: true}) },
		"delete odd": func(id string) fold.Effect {
			return fold.Effect{Key: []value.Value{id}, Load: loader(func(row []value.Value) (fold.Step, error) {
				n, _ := at(row, 1).(int64)
				return fold.Step{Delete: n%2 == 1, Skip: n%2 == 0}, nil
			})}
		},
	}
	for _, cut := range []int{1, 2, 3} {
		t.Run(fmt.Sprintf("%d commits", cut), func(t *testing.T) {
			f := h.open(t, one())
			n := naive.New(f.models)
			var ids []string
			add := func(events [][]fold.Effect, effects ...fold.Effect) [][]fold.Effect {
				for i, e := range effects {
					for len(events) <= i {
						events = append(events, nil)
					}
					events[i] = append(events[i], e)
				}
				return events
			}
			var before []fold.Effect
			var events [][]fold.Effect // by position in the recipe, over all rows
			for a, first := range few {
				for b, second := range few {
					for c, third := range few {
						for _, start := range []string{"absent", "row", "null"} {
							id := a + "/" + b + "/" + c + "/" + start
							ids = append(ids, id)
							switch start {
							case "row":
								before = append(before, on(id, set(1, int64(3)), push(2, "first")))
							case "null":
								before = append(before, on(id, set(1, nil)))
							}
							events = add(events, first(id), second(id), third(id))
						}
					}
				}
			}
			commits := [][]fold.Effect{before}
			for i, e := range events {
				if cut == 1 && i > 0 || cut == 2 && i == 2 {
					commits[len(commits)-1] = append(commits[len(commits)-1], e...)
					continue
				}
				commits = append(commits, e)
			}
			for _, effects := range commits {
				f.both(n, effects...)
			}
			h.did("loading sequences", len(ids))
		})
	}
}

// loaderFails: what a loader or finisher refuses is a fault of the event, with its path, and nothing of the commit stays.
func loaderFails(t *testing.T, h Harness) {
	f := h.open(t, one())
	f.commit(on("a", set(1, int64(4))), on("b"))
	wrong := &fold.RowError{Reason: "HandlerError", Path: "models[route].handlers[h].set.n", Message: "row.n is too odd"}
	fails := loader(func(row []value.Value) (fold.Step, error) {
		if n, _ := at(row, 1).(int64); n%2 == 1 {
			return fold.Step{}, wrong
		}
		return fold.Step{Changes: []fold.Change{add(1, int64(1))}}, nil
	})
	onlyOnce := fold.Effect{Key: []value.Value{"a"}, Load: fails}
	where := fold.Effect{Where: []fold.Match{{Column: 1, Value: int64(5)}}, Load: fails}
	before := f.state()
	for name, effects := range map[string][]fold.Effect{
		"second time":   {on("c"), onlyOnce, remove("b"), onlyOnce},
		"before blind":  {onlyOnce, onlyOnce, on("a", set(1, int64(0)))},
		"before delete": {onlyOnce, onlyOnce, remove("a")},
		"fan-out":       {onlyOnce, where, on("d")},
	} {
		t.Run(name, func(t *testing.T) {
			f.TB = t
			f.refused(f.batch(effects...), stores.DataError{Model: "route", Reason: wrong.Reason, Path: wrong.Path, Message: wrong.Message})
			f.unchanged(before)
			h.did("loading sequences", 1)
		})
	}
	f.TB = t
	f.commit(onlyOnce)
	f.wants(0, []value.Value{"a", int64(5), nil}, []value.Value{"b", int64(0), nil})
}

// finishing is a model with a generated column and a check.
type finishing struct{}

func (finishing) Finish(row []value.Value) ([]value.Value, error) {
	n, _ := row[1].(int64)
	if n < 0 {
		return nil, &fold.RowError{Reason: "ConstraintViolation", Path: "models[route].checks[positive]", Message: "the check does not hold"}
	}
	row[2] = list(found(row))
	return row, nil
}

// finishers run after each event, so that no cut into batches changes the outcome.
func finishers(t *testing.T, h Harness) {
	f := h.open(t, one())
	f.models[0].Finish = finishing{}
	n := naive.New(f.models)
	for round, events := range [][][]fold.Effect{
		{{on("a", add(1, int64(5)))}, {on("a", add(1, int64(-3)))}, {on("b")}, {ignore(on("c", add(1, int64(1))))}},
		// Within one event it may not hold.
		{{on("a", add(1, int64(-9))), on("a", add(1, int64(9)))}, {remove("b")}, {remove("b"), on("b", add(1, int64(4)))}},
		{{{Where: []fold.Match{{Column: 1, Value: int64(2)}}, Changes: []fold.Change{add(1, int64(5))}}}, {counting("b")}},
	} {
		b := fold.NewBatch(f.models)
		for _, e := range events {
			if err := n.Apply(e...); err != nil {
				t.Fatal(err)
			}
			if err := b.Apply(e...); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.try(b); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		f.wants(0, n.Rows(0)...)
	}
	before := f.state()
	for name, effects := range map[string][]fold.Effect{
		"for a while": {on("a", add(1, int64(-50))), on("a", add(1, int64(50)))},
		"new row":     {on("new", add(1, int64(-1)))},
		"then gone":   {on("a", add(1, int64(-50))), remove("a")},
		"fan-out":     {{Where: []fold.Match{{Column: 0, Value: "b"}}, Changes: []fold.Change{set(1, int64(-1))}}, remove("b")},
	} {
		t.Run(name, func(t *testing.T) {
			f.TB = t
			f.refused(f.batch(append([]fold.Effect{on("z")}, effects...)...), stores.DataError{
				Model: "route", Reason: "ConstraintViolation", Path: "models[route].checks[positive]", Message: "the check does not hold"})
			f.unchanged(before)
			h.did("finishers", 1)
		})
	}
	f.TB = t
}

// priced is a model whose deletes keep their version.
func priced() contract.Model {
	return contract.Model{
		Name: "price", Key: []string{"sku"},
		Columns: []contract.Column{
			{Name: "sku", Type: "text"}, {Name: "version", Type: "int64"},
			{Name: "amount", Type: "int64", NotNull: true}, {Name: "currency", Type: "text", Default: ptr("EUR")},
		},
		Versions: []contract.VersionGroup{{Column: "version", Columns: []string{"amount", "currency"}}},
		Handlers: []contract.Handler{{Name: "withdrawn", Delete: true, VersionBy: &contract.VersionBy{Column: "version", Value: "event.version"}}},
	}
}

func priceOf(model int, sku string, version, amount int64) fold.Effect {
	return fold.Effect{Model: model, Key: []value.Value{sku}, Load: &foldtest.Versioned{
		Column: 1, Version: version, Deleted: 4, Set: []fold.Change{set(2, amount), set(3, "USD")},
	}}
}

func withdrawn(model int, sku string, version int64) fold.Effect {
	return fold.Effect{Model: model, Key: []value.Value{sku}, Load: &foldtest.Versioned{
		Column: 1, Version: version, Deleted: 4, Delete: true, Defaults: []fold.Change{set(2, nil), set(3, "EUR")},
	}}
}

// versions: in every order of arrival the highest version wins, and of equal ones the later; a delete keeps its version.
func versions(t *testing.T, h Harness) {
	f := h.open(t, []contract.Model{priced()})
	events := []func(sku string) fold.Effect{
		func(sku string) fold.Effect { return priceOf(0, sku, 1, 10) },
		func(sku string) fold.Effect { return priceOf(0, sku, 2, 20) },
		func(sku string) fold.Effect { return priceOf(0, sku, 2, 21) },
		func(sku string) fold.Effect { return withdrawn(0, sku, 2) },
		func(sku string) fold.Effect { return withdrawn(0, sku, 3) },
	}
	n := naive.New(f.models)
	orders := 0
	var batches [4][]fold.Effect
	permute(len(events), func(order []int) {
		orders++
		for cut := range 2 {
			sku := fmt.Sprintf("%v/%d", order, cut)
			for i, o := range order {
				batches[min(i*cut, 3)] = append(batches[min(i*cut, 3)], events[o](sku))
			}
		}
	})
	for _, b := range batches {
		f.both(n, b...)
	}
	for _, row := range n.Rows(0) {
		if row[1] != int64(3) || row[4] != true || row[2] != nil {
			t.Fatalf("the highest version is a delete: %v", row)
		}
	}
	if c := f.db.ViewCount(t, "price"); c != 0 {
		t.Fatalf("readers see %d deleted rows", c)
	}
	f.commit(priceOf(0, "[0 1 2 3 4]/0", 3, 30), priceOf(0, "[4 3 2 1 0]/1", 2, 99))
	if c := f.db.ViewCount(t, "price"); c != 1 {
		t.Fatalf("readers see %d rows, want the one that came back", c)
	}
	h.did("orders of versions", 2*orders)
}

// permute calls f with every order of n numbers.
func permute(n int, f func([]int)) {
	order := make([]int, 0, n)
	var next func()
	next = func() {
		if len(order) == n {
			f(order)
			return
		}
		for i := range n {
			if !slices.Contains(order, i) {
				order = append(order, i)
				next()
				order = order[:len(order)-1]
			}
		}
	}
	next()
}
