// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/fold/naive"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// Columns of ruled.
const (
	_ = iota
	atScore
	atAbove
	atPrice
	atState
	atRecent
	atDistinct
	atLast
	atCapped
	atLabel
	atDay
)

// ruled has a column with each rule.
func ruled() []contract.Model {
	return []contract.Model{{Name: "ruled", Key: []string{"id"}, Columns: []contract.Column{
		{Name: "id", Type: "text"},
		{Name: "score", Type: "int32", Default: ptr("5"), NotNull: true, Min: ptr("0"), Max: ptr("100")},
		{Name: "above", Type: "int64", Min: ptr("5"), Max: ptr("20")},
		{Name: "price", Type: "decimal(6,2)", Min: ptr("-5.00")},
		{Name: "state", Type: "text", Enum: []string{"a", "it's", "m"}},
		{Name: "recent", Type: "text[]", MaxItems: 3},
		{Name: "distinct", Type: "text[]", Distinct: true, Default: ptr(`["b"]`)},
		{Name: "last", Type: "int64[]", MaxItems: 2, Distinct: true},
		{Name: "capped", Type: "text[]", MaxItems: 3, Default: ptr(`["d","e"]`)},
		{Name: "label", Type: "text", Min: ptr("b"), Max: ptr("y")},
		{Name: "day", Type: "date", Min: ptr("2000-01-01")},
	}}}
}

// rulesOfColumns: lists keep the newest, or what is new; sums stay in their range, also on the way.
func rulesOfColumns(t *testing.T, h Harness) {
	f := h.open(t, ruled())
	n := naive.New(f.models)
	rows := func(id string) []fold.Effect {
		return []fold.Effect{
			on("full"+id, set(atScore, int64(99)), set(atAbove, int64(6)), set(atPrice, money(-400)), set(atState, "it's"),
				set(atRecent, list("1", "2", "3")), set(atDistinct, list("x", "y")), set(atLast, list(int64(1), int64(2))), set(atCapped, list("1")), set(atLabel, "m")),
			on("null"+id, set(atRecent, nil), set(atDistinct, nil), set(atLast, nil), set(atCapped, nil)),
			on("empty"+id, set(atRecent, list()), set(atDistinct, list()), set(atLast, list()), set(atCapped, list())),
		}
	}
	fine := map[string]func(id string) []fold.Effect{
		"one item": func(id string) []fold.Effect { return []fold.Effect{on(id, push(atRecent, "n"), push(atCapped, "n"))} },
		"one, ignoring": func(id string) []fold.Effect {
			return []fold.Effect{ignore(on(id, push(atRecent, "n"), push(atCapped, "n")))}
		},
		"two items": func(id string) []fold.Effect { return twice(on(id, push(atRecent, "n"), push(atCapped, "o"))) },
		"more than the cap": func(id string) []fold.Effect {
			return append(twice(twice(on(id, push(atRecent, "n")))...), on(id, push(atCapped, "o")), on(id, push(atCapped, "p")), on(id, push(atCapped, "q")), on(id, push(atCapped, "r")))
		},
		"set, then append": func(id string) []fold.Effect {
			return []fold.Effect{on(id, set(atRecent, list("u", "v", "w", "x"))), on(id, push(atRecent, "y"))}
		},
		"distinct": func(id string) []fold.Effect {
			return []fold.Effect{on(id, push(atDistinct, "y")), on(id, push(atDistinct, "z")), on(id, push(atDistinct, "b")), on(id, push(atDistinct, "z"))}
		},
		"distinct and cap": func(id string) []fold.Effect {
			return []fold.Effect{on(id, push(atLast, int64(3))), on(id, push(atLast, int64(2))), on(id, push(atLast, int64(4))), on(id, push(atLast, int64(3)))}
		},
		"in range": func(id string) []fold.Effect {
			return []fold.Effect{on(id, add(atScore, int64(1)), add(atAbove, int64(6)), add(atPrice, money(-100)))}
		},
		"to the ends": func(id string) []fold.Effect {
			return []fold.Effect{on(id, change(atScore, fold.OpMin, int64(0)), change(atAbove, fold.OpMax, int64(20)))}
		},
		"state": func(id string) []fold.Effect { return []fold.Effect{on(id, set(atState, "m"), set(atLabel, "b"))} },
		"once": func(id string) []fold.Effect {
			return []fold.Effect{on(id, change(atAbove, fold.OpSetOnce, int64(7)), change(atRecent, fold.OpSetOnce, list("o")))}
		},
		"out of a NULL": func(id string) []fold.Effect {
			return []fold.Effect{on(id, set(atAbove, nil)), on(id, add(atAbove, int64(9)))}
		},
		"texts in order": func(id string) []fold.Effect {
			return []fold.Effect{on(id, change(atLabel, fold.OpMin, "c")), on(id, change(atLabel, fold.OpMax, "d"))}
		},
	}
	for name, effects := range fine {
		t.Run(name, func(t *testing.T) {
			f.TB = t
			all := rows(name)
			for _, id := range []string{"full", "null", "empty", "absent"} {
				all = append(all, effects(id+name)...)
			}
			for _, part := range [][]fold.Effect{all[:3], all[3:]} {
				f.both(n, part...)
			}
			h.did("rules", 4)
		})
	}
	f.TB = t
	f.commit(rows("")...)
	for name, c := range map[string]struct {
		column  string
		effects []fold.Effect
	}{
		"above the range":         {"score", []fold.Effect{on("full", add(atScore, int64(2)))}},
		"above, ignoring":         {"score", []fold.Effect{ignore(on("full", add(atScore, int64(2))))}},
		"below the range":         {"score", []fold.Effect{on("null", add(atScore, int64(-6)))}},
		"of a new row":            {"score", []fold.Effect{on("new", add(atScore, int64(-6)))}},
		"on the way":              {"score", []fold.Effect{on("full", add(atScore, int64(50))), on("full", add(atScore, int64(-60)))}},
		"on the way, ignoring":    {"score", []fold.Effect{ignore(on("full", add(atScore, int64(50)))), ignore(on("full", add(atScore, int64(-60))))}},
		"of a decimal":            {"price", []fold.Effect{on("full", add(atPrice, money(-200)))}},
		"out of a NULL":           {"above", []fold.Effect{on("null", add(atAbove, int64(4)))}},
		"far out of a NULL":       {"above", []fold.Effect{on("null", add(atAbove, int64(21)))}},
		"below one without 0":     {"above", []fold.Effect{on("full", add(atAbove, int64(-2)))}},
		"above one without 0":     {"above", []fold.Effect{on("full", add(atAbove, int64(15)))}},
		"out of a NULL, new row":  {"above", []fold.Effect{on("new", add(atAbove, int64(4)))}},
		"before it is set":        {"score", []fold.Effect{on("full", add(atScore, int64(2))), on("full", set(atScore, int64(1)))}},
		"before it is deleted":    {"score", []fold.Effect{on("full", add(atScore, int64(2))), remove("full")}},
		"in a loader":             {"score", []fold.Effect{loading("full", fold.Step{Changes: []fold.Change{add(atScore, int64(2))}})}},
		"in a fan-out":            {"score", []fold.Effect{{Where: []fold.Match{{Column: atState, Value: "it's"}}, Changes: []fold.Change{add(atScore, int64(2))}}}},
		"on the way to a fan-out": {"score", []fold.Effect{on("full", add(atScore, int64(2))), {Where: []fold.Match{{Column: atState, Value: "m"}}, Delete: true}, on("full", add(atScore, int64(-50)))}},
	} {
		t.Run(name, func(t *testing.T) {
			f.TB = t
			before := f.state()
			f.dataError(f.batch(append([]fold.Effect{on("bystander")}, c.effects...)...), "ruled", c.column)
			f.unchanged(before)
			h.did("rules that refuse", 1)
		})
	}
	f.TB = t
}

func twice(e ...fold.Effect) []fold.Effect { return append(append([]fold.Effect{}, e...), e...) }

func list(v ...value.Value) []value.Value { return append([]value.Value{}, v...) }

// money is a decimal with two digits after the point.
func money(cents int64) value.Value {
	v, err := value.MustParse("decimal(6,2)").ParseText(fmt.Sprintf("%de-2", cents))
	if err != nil {
		panic(err)
	}
	return v
}

// listsStayBounded: a list without maxItems, and a merged json value, have the bounds of their types.
func listsStayBounded(t *testing.T, h Harness) {
	f := h.open(t, []contract.Model{{Name: "bounds", Key: []string{"id"}, Columns: []contract.Column{
		{Name: "id", Type: "text"}, {Name: "log", Type: "int32[]"}, {Name: "doc", Type: "json"}, {Name: "n", Type: "int32", Default: ptr("0")},
	}}})
	full := make([]value.Value, value.MaxArrayElements)
	for i := range full {
		full[i] = int64(i)
	}
	large := value.JSON(`{"a":"` + strings.Repeat("x", value.MaxTextBytes-100) + `"}`)
	more := value.JSON(`{"b":"` + strings.Repeat("y", 200) + `"}`)
	f.commit(on("a", set(1, full[1:]), set(2, large)))
	f.commit(on("a", push(1, int64(-1)), add(3, int64(1))))
	before := f.state()
	for name, c := range map[string]struct {
		column string
		effect fold.Effect
	}{
		"append":           {"log", on("a", push(1, int64(0)))},
		"append, ignoring": {"log", ignore(on("a", push(1, int64(0))))},
		"load":             {"log", loading("a", fold.Step{Changes: []fold.Change{push(1, int64(0))}})},
		"merge":            {"doc", on("a", change(2, fold.OpMerge, more))},
	} {
		t.Run(name, func(t *testing.T) {
			f.TB = t
			f.dataError(f.batch(on("bystander"), c.effect), "bounds", c.column)
			f.unchanged(before)
			h.did("rules that refuse", 1)
		})
	}
	f.TB = t
	f.commit(on("a", set(1, list(int64(1))), change(2, fold.OpMerge, value.JSON(`{"a":null,"b":1}`))))
	f.wants(0, []value.Value{"a", list(int64(1)), value.JSON(`{"b":1}`), int64(1)})
}

// refused commits and demands a DataError with these fields.
func (f *fixture) refused(b *fold.Batch, want stores.DataError) {
	f.Helper()
	err := f.try(b)
	var d *stores.DataError
	if !errors.As(err, &d) {
		f.Fatalf("err = %v, want a DataError", err)
	}
	if d.Model != want.Model && (d.Model != "" || d.Path == "") || d.Reason != want.Reason || d.Path != want.Path || want.Message != "" && d.Message != want.Message {
		f.Fatalf("%+v, want %+v", *d, want)
	}
	if stores.Transient(err) {
		f.Fatal("a data error is no passing fault")
	}
}
