// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"testing"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/fold/naive"
)

// operation is one that a column can take.
type operation struct {
	op    fold.Op
	takes func(value.Type) bool
}

var operations = []operation{
	{fold.OpSet, func(value.Type) bool { return true }},
	{fold.OpSetOnce, func(value.Type) bool { return true }},
	{fold.OpAdd, value.Type.CanAdd},
	{fold.OpMin, value.Type.CanMin},
	{fold.OpMax, value.Type.CanMax},
	{fold.OpAppend, value.Type.CanAppend},
	{fold.OpMerge, value.Type.CanMerge},
}

// operand is a value that an operation on a column of the type takes.
func operand(op fold.Op, t value.Type) value.Value {
	switch op {
	case fold.OpAppend:
		return samples(t.Elem())[0]
	case fold.OpMerge:
		return value.JSON(`{"b":null,"c":{"d":1},"e":[]}`)
	default:
		return samples(t)[0]
	}
}

// paths are the ways in which one effect can come to a row.
var paths = map[string]func(fold.Effect) []fold.Effect{
	"blind":   func(e fold.Effect) []fold.Effect { return []fold.Effect{e} },
	"renewed": func(e fold.Effect) []fold.Effect { return []fold.Effect{{Model: e.Model, Key: e.Key, Delete: true}, e} },
	"loading": func(e fold.Effect) []fold.Effect {
		e.Load, e.Changes = steps(fold.Step{Changes: e.Changes}), nil
		return []fold.Effect{e}
	},
	"fan-out": func(e fold.Effect) []fold.Effect {
		e.Where, e.Key, e.IgnoreAbsent = []fold.Match{{Column: 0, Value: e.Key[0]}}, nil, false
		return []fold.Effect{e}
	},
}

// everyOperation applies each operation to each type that takes it: to a column
// with a default and to one without, with a value and with NULL, from every starting
// point, may it create the row or not, and on every path.
func everyOperation(t *testing.T, h Harness) {
	models := make([]contract.Model, len(allTypes))
	for i, text := range allTypes {
		typ := value.MustParse(text)
		def := typ.Format(samples(typ)[0])
		models[i] = contract.Model{Name: "op " + text, Key: []string{"id"}, Columns: []contract.Column{
			{Name: "id", Type: "int64"}, {Name: "plain", Type: text}, {Name: "def", Type: text, Default: &def},
		}}
	}
	f := h.open(t, models)
	for m, text := range allTypes {
		t.Run(text, func(t *testing.T) {
			f.TB = t
			typ := value.MustParse(text)
			n := naive.New(f.models)
			var prepare, effects []fold.Effect
			id := int64(0)
			for _, path := range paths {
				for _, o := range operations {
					for column := 1; column <= 2; column++ {
						if !o.takes(typ) || o.op == fold.OpSetOnce && column == 2 {
							continue
						}
						for _, v := range []value.Value{operand(o.op, typ), nil} {
							for _, start := range starts6(column, samples(typ)) {
								id++
								e := fold.Effect{Model: m, Key: []value.Value{id}, Changes: []fold.Change{change(column, o.op, v)}}
								e.IgnoreAbsent = start.ignore
								if start.changes != nil {
									prepare = append(prepare, fold.Effect{Model: m, Key: e.Key, Changes: start.changes})
								}
								effects = append(effects, path(e)...)
							}
						}
					}
				}
			}
			for _, effects := range [][]fold.Effect{prepare, effects} {
				for _, e := range effects {
					if err := n.Apply(e); err != nil {
						t.Fatal(err)
					}
				}
				f.commit(effects...)
				f.wants(m, n.Rows(m)...)
			}
			h.did("operations on types", int(id))
			// Some more one by one: the next batch begins from what the last one left.
			for i := 0; i < len(effects); i += 37 {
				if n.Apply(effects[i]) == nil {
					f.commit(effects[i])
				}
			}
			f.wants(m, n.Rows(m)...)
		})
	}
	f.TB = t
}

// start is what a row is before an operation; no changes: absent.
type start struct {
	ignore  bool
	changes []fold.Change
}

func starts6(column int, of []value.Value) []start {
	return []start{
		{ignore: false}, {ignore: true},
		{false, []fold.Change{}},
		{true, []fold.Change{set(column, nil)}},
		{false, []fold.Change{set(column, of[1])}},
		{true, []fold.Change{set(column, of[2%len(of)])}},
	}
}
