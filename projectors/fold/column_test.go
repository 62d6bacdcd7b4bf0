// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package fold_test

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/apd/v3"
	"pgregory.net/rapid"

	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/fold/foldtest"
	"github.com/projectionist-dev/projectionist/projectors/fold/naive"
)

// TestColumnsInAnyGrouping is the law of composition on one column of one row,
// where the rare cases meet often: however the effects are grouped, each group
// folded in place or composed in full, the row is that of one by one.
func TestColumnsInAnyGrouping(t *testing.T) {
	for name, wanted := range map[string]func(*fold.Column) bool{
		"numbers": func(c *fold.Column) bool { return c.Type.CanAdd() },
		"lists":   func(c *fold.Column) bool { return c.Type.Array },
		"others":  func(c *fold.Column) bool { return !c.Type.CanAdd() && !c.Type.Array },
	} {
		t.Run(name, func(t *testing.T) { inAnyGrouping(t, wanted) })
	}
}

func inAnyGrouping(t *testing.T, wanted func(*fold.Column) bool) {
	models := foldtest.Models()
	var columns [][2]int
	for _, mi := range []int{0, 3} {
		for c := range models[mi].Columns {
			if !slices.Contains(models[mi].Key, c) && wanted(&models[mi].Columns[c]) {
				columns = append(columns, [2]int{mi, c})
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		of := rapid.SampledFrom(columns).Draw(t, "model and column")
		mi, c := of[0], of[1]
		m := &models[mi]
		// Most histories with extreme numbers overflow, which hides what others would show.
		small := func(v value.Value) bool { return true }
		if rapid.IntRange(0, 3).Draw(t, "small") > 0 {
			small = isSmall
		}
		row := foldtest.Row(m).Filter(func(row []value.Value) bool { return small(row[c]) }).Draw(t, "row")
		w, n := newWorld(models), naive.New(models)
		if rapid.IntRange(0, 3).Draw(t, "absent") > 0 {
			n.Put(mi, row)
			w.rows[mi][naive.Key(keyOf(m, row))] = row
		}
		failed := false
		effects := make([]fold.Effect, rapid.IntRange(1, 8).Draw(t, "effects"))
		for i := range effects {
			effects[i] = fold.Effect{Model: mi, Key: keyOf(m, row), IgnoreAbsent: rapid.Bool().Draw(t, "ignore")}
			if effects[i].Delete = rapid.IntRange(0, 15).Draw(t, "delete") == 0; !effects[i].Delete {
				effects[i].Changes = []fold.Change{foldtest.Change(m, c).Filter(func(ch fold.Change) bool { return small(ch.Operand) }).Draw(t, "change")}
			}
			failed = n.Apply(effects[i]) != nil || failed
		}
		b, ok := grouped(t, models, effects)
		if !ok {
			if !failed {
				t.Fatal("the fold refuses what applies one by one")
			}
			return
		}
		if err := w.commit(t, b); (err != nil) != failed {
			t.Fatalf("commit: %v, one by one failed: %v", err, failed)
		}
		if !failed {
			w.equals(t, n)
		}
	})
}

func isSmall(v value.Value) bool {
	switch x := v.(type) {
	case int64:
		return x >= -100 && x <= 100
	case *apd.Decimal:
		return x.NumDigits() <= 3
	}
	return true
}

// grouped folds effects in a grouping that is drawn; false when an event is refused.
func grouped(t *rapid.T, models []fold.Model, effects []fold.Effect) (*fold.Batch, bool) {
	b := fold.NewBatch(models)
	if len(effects) == 1 || rapid.IntRange(0, 2).Draw(t, "in place") == 0 {
		for _, e := range effects {
			if b.Apply(e) != nil {
				return nil, false
			}
		}
		return b, true
	}
	at := rapid.IntRange(1, len(effects)-1).Draw(t, "split")
	left, ok1 := grouped(t, models, effects[:at])
	right, ok2 := grouped(t, models, effects[at:])
	if !ok1 || !ok2 {
		return nil, false
	}
	b.Merge(left)
	b.Merge(right)
	return b, true
}

// TestNumbersExhaustively holds all short histories of a number in a narrow
// range, in all splits into two batches, to one by one.
func TestNumbersExhaustively(t *testing.T) {
	model := fold.Model{Name: "m", Key: []int{0}, Columns: []fold.Column{
		{Name: "id", Type: value.MustParse("text")}, {Name: "n", Type: value.MustParse("int32"), Rules: fold.Rules{Min: int64(-4), Max: int64(6)}},
	}}
	models := []fold.Model{model}
	var ops []fold.Effect
	for _, ch := range []fold.Change{
		{Op: fold.OpAdd, Operand: int64(2)}, {Op: fold.OpAdd, Operand: int64(-3)}, {Op: fold.OpMin, Operand: int64(-1)}, {Op: fold.OpMin, Operand: int64(3)},
		{Op: fold.OpMax, Operand: int64(1)}, {Op: fold.OpMax, Operand: int64(-2)}, {Op: fold.OpSetOnce, Operand: int64(2)},
	} {
		ch.Column = 1
		ops = append(ops, on("a", ch))
	}
	starts := []value.Value{nil}
	for i := int64(-4); i <= 6; i++ {
		starts = append(starts, i)
	}
	const length = 4
	history := make([]fold.Effect, length)
	for code := range 7 * 7 * 7 * 7 {
		for i := range history {
			history[i] = ops[code%len(ops)]
			code /= len(ops)
		}
		for split := range length {
			b, rest := fold.NewBatch(models), fold.NewBatch(models)
			refused := false
			for i, e := range history {
				to := b
				if i > split {
					to = rest
				}
				refused = to.Apply(e) != nil || refused
			}
			b.Merge(rest)
			for _, x := range starts {
				n := naive.New(models)
				n.Put(0, []value.Value{"a", x})
				var want error
				for _, e := range history {
					want = errors.Join(want, n.Apply(e))
				}
				if refused {
					if want == nil {
						t.Fatalf("%v from %v is refused", history, x)
					}
					continue
				}
				row, err := only(t, b).Apply([]value.Value{"a", x})
				if (err == nil) != (want == nil) || err == nil && row[1] != n.Rows(0)[0][1] {
					t.Fatalf("%v from %v, split after %d: %v, %v; one by one %v, %v", history, x, split, row, err, n.Rows(0), want)
				}
			}
		}
	}
}

// Operands have the scale of the column before they are added.
func TestDecimalsAreRoundedBeforeTheyAreFolded(t *testing.T) {
	b := fold.NewBatch(routes())
	typ := routes()[0].Columns[2].Type
	for range 3 {
		in, err := value.ParseNumber("0.004")
		if err != nil {
			t.Fatal(err)
		}
		operand, err := typ.Convert(in)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Apply(on("a", add(2, operand))); err != nil {
			t.Fatal(err)
		}
	}
	if row, err := only(t, b).Apply(nil); err != nil || typ.Format(row[2]) != "0.00" {
		t.Fatalf("row %v, %v", row, err)
	}
}

func lists() []fold.Model {
	text := value.MustParse("text[]")
	return []fold.Model{{Name: "feed", Key: []int{0}, Columns: []fold.Column{
		{Name: "id", Type: value.MustParse("text")},
		{Name: "all", Type: text},
		{Name: "distinct", Type: text, Rules: fold.Rules{Distinct: true}},
		{Name: "doc", Type: value.MustParse("json")},
		{Name: "newest", Type: text, Rules: fold.Rules{MaxItems: 2, Distinct: true}},
	}}}
}

func many(n int) []value.Value {
	out := make([]value.Value, n)
	for i := range out {
		out[i] = strconv.Itoa(i)
	}
	return out
}

// A list or a json value that grows too long is an error of its event also
// where a later event of the batch overwrites it.
func TestSizesAreBoundedOnTheWay(t *testing.T) {
	half := value.JSON(`{"b":"` + strings.Repeat("x", value.MaxTextBytes/2) + `"}`)
	for name, c := range map[string]struct {
		column int
		full   value.Value
		change fold.Change
	}{
		"list":          {1, many(value.MaxArrayElements), fold.Change{Column: 1, Op: fold.OpAppend, Operand: "x"}},
		"distinct list": {2, many(value.MaxArrayElements), fold.Change{Column: 2, Op: fold.OpAppend, Operand: "x"}},
		"json":          {3, value.JSON(strings.Replace(string(half), "b", "a", 1)), fold.Change{Column: 3, Op: fold.OpMerge, Operand: half}},
	} {
		for _, after := range [][]fold.Effect{nil, {on("a", set(c.column, nil))}, {{Key: []value.Value{"a"}, Delete: true}}} {
			b := fold.NewBatch(lists())
			for _, e := range append([]fold.Effect{on("a", c.change)}, after...) {
				if err := b.Apply(e); err != nil {
					t.Fatal(name, err)
				}
			}
			row := make([]value.Value, 5)
			row[0], row[c.column] = "a", c.full
			var o *fold.OverflowError
			if _, err := only(t, b).Apply(row); !errors.As(err, &o) || o.Column != lists()[0].Columns[c.column].Name {
				t.Errorf("%s, %d events after it: %v", name, len(after), err)
			}
			row[c.column] = nil
			if _, err := only(t, b).Apply(row); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		b := fold.NewBatch(lists())
		if err := b.Apply(on("a", set(c.column, c.full))); err != nil {
			t.Fatal(err)
		}
		if err := b.Apply(on("a", c.change)); err == nil {
			t.Errorf("%s: what is too long for every row is not refused", name)
		}
	}
}

func TestNewestDistinctElementsAreKeptOneByOne(t *testing.T) {
	c := &lists()[0].Columns[4]
	for in, want := range map[string]string{"a b c a": "c a", "a a": "a", "a b a": "a b", "a b c b": "b c", "": ""} {
		var list []value.Value
		for _, s := range strings.Fields(in) {
			list = append(list, s)
		}
		if got := c.Type.Format(c.Normal(list)); got != `[`+quoted(want)+`]` {
			t.Errorf("%q became %s, want %s", in, got, want)
		}
	}
}

// What was appended before must not be forgotten because newer elements would do
// for an empty list: the row decides which of them are there already.
func TestNewestDistinctElementsAreNotCutBeforeTheRowIsKnown(t *testing.T) {
	row := []value.Value{"a", nil, nil, nil, []value.Value{"y", "x"}}
	b, merged := fold.NewBatch(lists()), fold.NewBatch(lists())
	for _, s := range []string{"z", "x", "y"} {
		one := fold.NewBatch(lists())
		for _, to := range []*fold.Batch{b, one} {
			if err := to.Apply(on("a", fold.Change{Column: 4, Op: fold.OpAppend, Operand: s})); err != nil {
				t.Fatal(err)
			}
		}
		merged.Merge(one)
	}
	for _, b := range []*fold.Batch{b, merged} {
		if got, err := only(t, b).Apply(row); err != nil || !slices.Equal(got[4].([]value.Value), []value.Value{"z", "y"}) {
			t.Errorf("%v, %v", got, err)
		}
	}
}

func quoted(fields string) string {
	if fields == "" {
		return ""
	}
	return `"` + strings.Join(strings.Fields(fields), `","`) + `"`
}
