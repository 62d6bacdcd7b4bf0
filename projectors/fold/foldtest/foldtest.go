// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package foldtest

import (
	"math"
	"slices"
	"time"

	"github.com/cockroachdb/apd/v3"
	"pgregory.net/rapid"

	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
)

// Value draws a value of a type; it is NULL now and then unless the type is
// drawn for a key.
func Value(t value.Type) *rapid.Generator[value.Value] {
	return rapid.OneOf(plain(t), plain(t), plain(t), rapid.Just(value.Value(nil)))
}

func plain(t value.Type) *rapid.Generator[value.Value] {
	switch t.Kind {
	case value.Int32:
		return ints(math.MinInt32, math.MaxInt32)
	case value.Int64:
		return ints(math.MinInt64, math.MaxInt64)
	case value.Decimal:
		return decimals(t)
	case value.Text:
		return pick("a", "b", "m", "z", "Z", "", "é", "naïve 'quoted' \"text\"\\", "\t\n")
	case value.Timestamp:
		return pick(time.Date(2024, 2, 29, 23, 59, 59, 999999000, time.UTC), time.UnixMicro(0).UTC(), time.UnixMicro(-1).UTC())
	case value.Bool:
		return pick(true, false)
	case value.Time:
		return pick(value.TimeOfDay(0), value.TimeOfDay(1), value.TimeOfDay(86_399_999_999))
	case value.JSONKind:
		return pick[value.JSON](`{"a":null}`, `{"a":2}`, `{"a":{"x":1},"b":[1,2]}`, `{"b":null,"c":"é"}`, `{}`, `5`, `null`, `[1]`)
	case value.Date:
		return pick(time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC), time.Date(1969, 12, 31, 0, 0, 0, 0, time.UTC))
	default:
		panic("no generator for " + t.String())
	}
}

func pick[T any](of ...T) *rapid.Generator[value.Value] {
	return rapid.Map(rapid.SampledFrom(of), func(v T) value.Value { return v })
}

// ints has small numbers, extremes, and halves of the range, whose sums leave it both ways.
func ints(lo, hi int64) *rapid.Generator[value.Value] {
	return rapid.OneOf(
		pick[int64](0, 1, -1, 2, 3, -3, 10),
		pick(lo, hi, lo+1, hi-1, lo/2, hi/2+1),
	)
}

func decimals(t value.Type) *rapid.Generator[value.Value] {
	lo, hi := t.Limits()
	cent := func(i int64) value.Value { return apd.New(i, -int32(t.Scale)) }
	half := new(apd.BigInt).Quo(&hi.(*apd.Decimal).Coeff, apd.NewBigInt(2))
	mid := &apd.Decimal{Coeff: *half, Exponent: -int32(t.Scale)}
	neg := &apd.Decimal{Coeff: *half, Exponent: -int32(t.Scale), Negative: true}
	return rapid.OneOf(
		pick(cent(0), cent(1), cent(-1), cent(150), cent(-250)),
		pick(lo, hi, value.Value(mid), value.Value(neg)),
	)
}

// Key draws one of a few keys of a model.
func Key(m *fold.Model) *rapid.Generator[[]value.Value] {
	return rapid.Custom(func(r *rapid.T) []value.Value {
		out := make([]value.Value, len(m.Key))
		for i, c := range m.Key {
			switch m.Columns[c].Type.Kind {
			case value.Text:
				out[i] = rapid.SampledFrom([]string{"k", "K'\"", ""}).Draw(r, "key")
			case value.Date:
				out[i] = plain(m.Columns[c].Type).Draw(r, "key")
			default:
				out[i] = int64(rapid.IntRange(-1, 0).Draw(r, "key"))
			}
		}
		return out
	})
}

// Effect draws one effect on one of the models.
func Effect(models []fold.Model) *rapid.Generator[fold.Effect] {
	return rapid.Custom(func(r *rapid.T) fold.Effect {
		// Half of the effects go to the first model, which has every operation.
		e := fold.Effect{Model: max(0, rapid.IntRange(1-len(models), len(models)-1).Draw(r, "model"))}
		m := &models[e.Model]
		if rapid.IntRange(0, 7).Draw(r, "fan out") == 0 {
			e.Where = where(r, m)
		} else {
			e.Key = Key(m).Draw(r, "key")
			e.IgnoreAbsent = rapid.Bool().Draw(r, "ignore")
		}
		switch {
		case versioned(m):
			e.Load, e.IgnoreAbsent = versionedLoader(r, m), false
		case rapid.IntRange(0, 7).Draw(r, "delete") == 0:
			e.Delete = true
		case rapid.IntRange(0, 5).Draw(r, "load") == 0:
			e.Load = reading(r, m)
		default:
			e.Changes = changes(r, m)
		}
		return e
	})
}

func where(r *rapid.T, m *fold.Model) []fold.Match {
	out := []fold.Match{}
	for range rapid.IntRange(1, 2).Draw(r, "conditions") {
		c := rapid.IntRange(0, len(m.Columns)-1).Draw(r, "column")
		if isKey(m, c) {
			out = append(out, fold.Match{Column: c, Value: Key(m).Draw(r, "key")[slices.Index(m.Key, c)]})
			continue
		}
		out = append(out, fold.Match{Column: c, Value: columnValue(&m.Columns[c]).Draw(r, "value")})
	}
	return out
}

// versionedLoader draws few versions, so that there are ties.
func versionedLoader(r *rapid.T, m *fold.Model) fold.Loader {
	l := &Versioned{Deleted: deletedColumn(m), Version: int64(rapid.IntRange(0, 3).Draw(r, "version")), Delete: rapid.IntRange(0, 3).Draw(r, "delete") == 0}
	for c := range m.Columns {
		switch {
		case isKey(m, c) || c == l.Deleted:
		case m.Columns[c].Name == "version":
			l.Column = c
		default:
			l.Defaults = append(l.Defaults, fold.Change{Column: c, Op: fold.OpSet, Operand: m.Columns[c].Default})
			l.Set = append(l.Set, fold.Change{Column: c, Op: fold.OpSet, Operand: columnValue(&m.Columns[c]).Draw(r, "set")})
		}
	}
	return l
}

func reading(r *rapid.T, m *fold.Model) fold.Loader {
	l := &Reading{Column: rapid.IntRange(0, len(m.Columns)-1).Draw(r, "column")}
	l.Pivot = columnValue(&m.Columns[l.Column]).Draw(r, "pivot")
	l.Fails = rapid.IntRange(0, 3).Draw(r, "fails") == 0
	l.Less, l.NotLess = step(r, m), step(r, m)
	l.From = rapid.IntRange(0, len(m.Columns)-1).Draw(r, "from")
	l.To = l.From
	for c := range m.Columns {
		if !isKey(m, c) && m.Columns[c].Type == m.Columns[l.From].Type && ruleless(&m.Columns[c]) {
			l.To = c
		}
	}
	return l
}

func ruleless(c *fold.Column) bool {
	r := &c.Rules
	return !r.NotNull && r.Enum == nil && r.Min == nil && r.Max == nil
}

func step(r *rapid.T, m *fold.Model) fold.Step {
	switch rapid.IntRange(0, 5).Draw(r, "step") {
	case 0:
		return fold.Step{Skip: true}
	case 1:
		return fold.Step{Delete: true}
	default:
		return fold.Step{Changes: changes(r, m)}
	}
}

func isKey(m *fold.Model, column int) bool { return slices.Contains(m.Key, column) }

// changes draws at most one change for a column: a handler names a column once.
func changes(r *rapid.T, m *fold.Model) []fold.Change {
	var out []fold.Change
	for c := range m.Columns {
		if m.Finish != nil && m.Columns[c].Default == nil {
			continue // the generated one
		}
		if !isKey(m, c) && rapid.IntRange(0, 2).Draw(r, "touch") == 0 {
			out = append(out, change(r, c, &m.Columns[c]))
		}
	}
	return out
}

// Change draws an operation that works on a column of a model, and an operand that obeys its rules.
func Change(m *fold.Model, column int) *rapid.Generator[fold.Change] {
	return rapid.Custom(func(r *rapid.T) fold.Change { return change(r, column, &m.Columns[column]) })
}

func change(r *rapid.T, column int, c *fold.Column) fold.Change {
	ops := []fold.Op{fold.OpSet}
	if c.Type.CanAdd() {
		ops = append(ops, fold.OpAdd, fold.OpAdd, fold.OpAdd)
	}
	if c.Type.CanMax() {
		ops = append(ops, fold.OpMax, fold.OpMin)
	}
	if c.Type.CanAppend() {
		ops = append(ops, fold.OpAppend, fold.OpAppend, fold.OpAppend, fold.OpAppend)
	}
	if c.Type.CanMerge() {
		ops = append(ops, fold.OpMerge, fold.OpMerge)
	}
	if c.Default == nil {
		ops = append(ops, fold.OpSetOnce)
	}
	ch := fold.Change{Column: column, Op: rapid.SampledFrom(ops).Draw(r, "op")}
	switch ch.Op {
	case fold.OpAppend:
		ch.Operand = rapid.OneOf(elements(c), rapid.Just(value.Value(nil))).Draw(r, "operand")
	case fold.OpAdd:
		ch.Operand = rapid.OneOf(Value(c.Type), columnValue(c)).Draw(r, "operand")
	default:
		ch.Operand = columnValue(c).Draw(r, "operand")
	}
	return ch
}

// elements draws what a list may hold; few where it matters whether they are equal.
func elements(c *fold.Column) *rapid.Generator[value.Value] {
	if c.Rules.Distinct && c.Type.Kind == value.Text {
		return pick("a", "b", "c")
	}
	if c.Rules.Distinct {
		return pick[int64](1, 2, 3)
	}
	return plain(c.Type.Elem())
}

// columnValue draws a value that obeys the column's rules but for those of lists.
func columnValue(c *fold.Column) *rapid.Generator[value.Value] {
	of := []*rapid.Generator[value.Value]{}
	for _, v := range []value.Value{c.Rules.Min, c.Rules.Max} {
		if v != nil {
			of = append(of, rapid.Just(v))
		}
	}
	if c.Rules.Enum != nil {
		return rapid.OneOf(rapid.Map(rapid.SampledFrom(c.Rules.Enum), func(s string) value.Value { return s }), rapid.Just(value.Value(nil)))
	}
	if c.Type.Array {
		return rapid.OneOf(rapid.Map(rapid.SliceOfN(elements(c), 0, 4), func(l []value.Value) value.Value { return l }), rapid.Just(value.Value(nil)))
	}
	if len(of) == 0 && !c.Rules.NotNull {
		return Value(c.Type)
	}
	return rapid.OneOf(append(of, Value(c.Type).Filter(func(v value.Value) bool { return c.Obeys(v) == nil }))...)
}

// Event draws the effects of one event.
func Event(models []fold.Model) *rapid.Generator[[]fold.Effect] {
	return rapid.SliceOfN(Effect(models), 0, 4)
}

// Row draws a whole row, which obeys the rules of its columns and of the model.
func Row(m *fold.Model) *rapid.Generator[[]value.Value] {
	return rapid.Custom(func(r *rapid.T) []value.Value {
		row := make([]value.Value, len(m.Columns))
		for i := range m.Columns {
			if !isKey(m, i) {
				row[i] = m.Columns[i].Normal(columnValue(&m.Columns[i]).Draw(r, m.Columns[i].Name))
			}
		}
		for i, k := range Key(m).Draw(r, "key") {
			row[m.Key[i]] = k
		}
		if m.Finish != nil {
			row[1], row[2] = value.Max(row[1], row[2]), value.Min(row[1], row[2])
			row, _ = m.Finish.Finish(row)
		}
		return row
	})
}
