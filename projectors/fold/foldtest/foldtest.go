// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package foldtest

import (
	"math"
	"time"

	"github.com/cockroachdb/apd/v3"
	"pgregory.net/rapid"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
)

// ContractModels has every operation on every type that it works on, with
// defaults, with NULL defaults, and with a key of two columns.
func ContractModels() []contract.Model {
	s := func(s string) *string { return &s }
	return []contract.Model{{
		Name: "account",
		Key:  []string{"id", "region"},
		Columns: []contract.Column{
			{Name: "n32", Type: "int32", Default: s("10")},
			{Name: "id", Type: "text"},
			{Name: "n64", Type: "int64"},
			{Name: "amount", Type: "decimal(6,2)", Default: s("1.50")},
			{Name: "wide", Type: "decimal(38,2)", Default: s("0.00")},
			{Name: "region", Type: "int32"},
			{Name: "label", Type: "text", Default: s("m")},
			{Name: "tags", Type: "text[]"},
			{Name: "seen", Type: "timestamp"},
			{Name: "nums", Type: "int64[]", Default: s("[1]")},
		},
	}, {
		Name:    "only_key",
		Key:     []string{"id"},
		Columns: []contract.Column{{Name: "id", Type: "int64"}},
	}, {
		Name: "counter",
		Key:  []string{"day"},
		Columns: []contract.Column{
			{Name: "day", Type: "date"},
			{Name: "count", Type: "int64", Default: s("0")},
			{Name: "worst", Type: "int32"},
		},
	}}
}

// Models are ContractModels as the fold sees them.
func Models() []fold.Model {
	m, err := fold.ModelsOf(&contract.Contract{Models: ContractModels()})
	if err != nil {
		panic(err)
	}
	return m
}

// Value draws a value of a type; it is NULL now and then unless the type is
// drawn for a key.
func Value(t value.Type) *rapid.Generator[value.Value] {
	if t.Array {
		return rapid.Custom(func(r *rapid.T) value.Value {
			return rapid.SliceOfN(plain(t.Elem()), 0, 3).Draw(r, "elements")
		})
	}
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
		// Most effects go to the first model, which has every operation.
		e := fold.Effect{Model: max(0, rapid.IntRange(-2, len(models)-1).Draw(r, "model"))}
		m := &models[e.Model]
		e.Key = Key(m).Draw(r, "key")
		if e.Delete = rapid.IntRange(0, 7).Draw(r, "delete") == 0; e.Delete {
			return e
		}
		e.IgnoreAbsent = rapid.Bool().Draw(r, "ignore")
		for c := range m.Columns {
			if isKey(m, c) || rapid.IntRange(0, 2).Draw(r, "touch") != 0 {
				continue
			}
			e.Changes = append(e.Changes, change(r, c, m.Columns[c].Type))
		}
		return e
	})
}

func isKey(m *fold.Model, column int) bool {
	for _, k := range m.Key {
		if k == column {
			return true
		}
	}
	return false
}

func change(r *rapid.T, column int, t value.Type) fold.Change {
	ops := []fold.Op{fold.OpSet}
	if t.CanAdd() {
		ops = append(ops, fold.OpAdd, fold.OpAdd, fold.OpAdd)
	}
	if t.CanMax() {
		ops = append(ops, fold.OpMax)
	}
	if t.CanAppend() {
		ops = append(ops, fold.OpAppend, fold.OpAppend)
	}
	ch := fold.Change{Column: column, Op: rapid.SampledFrom(ops).Draw(r, "op")}
	if ch.Op == fold.OpAppend {
		t = t.Elem()
	}
	ch.Operand = Value(t).Draw(r, "operand")
	return ch
}

// Event draws the effects of one event.
func Event(models []fold.Model) *rapid.Generator[[]fold.Effect] {
	return rapid.SliceOfN(Effect(models), 0, 3)
}

// Row draws a whole row.
func Row(m *fold.Model) *rapid.Generator[[]value.Value] {
	return rapid.Custom(func(r *rapid.T) []value.Value {
		row := make([]value.Value, len(m.Columns))
		for i := range m.Columns {
			if !isKey(m, i) {
				row[i] = Value(m.Columns[i].Type).Draw(r, m.Columns[i].Name)
			}
		}
		for i, k := range Key(m).Draw(r, "key") {
			row[m.Key[i]] = k
		}
		return row
	})
}
