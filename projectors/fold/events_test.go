// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package fold_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/fold/foldtest"
)

// counter is a Finisher: column 2 counts its calls.
type counter struct{}

func (counter) Finish(row []value.Value) ([]value.Value, error) {
	row[2] = row[2].(int64) + 1
	if row[1].(int64) < 0 {
		return nil, &fold.RowError{Reason: "ConstraintViolation", Path: "models[m].checks[c]", Message: "n is negative"}
	}
	return row, nil
}

func counted() []fold.Model {
	number := value.MustParse("int64")
	return []fold.Model{{Name: "m", Key: []int{0}, Finish: counter{}, Columns: []fold.Column{
		{Name: "id", Type: value.MustParse("text")},
		{Name: "n", Type: number, Default: int64(0)},
		{Name: "calls", Type: number, Default: int64(0)},
	}}}
}

func apply(t *testing.T, b *fold.Batch, effects ...fold.Effect) {
	t.Helper()
	if err := b.Apply(effects...); err != nil {
		t.Fatal(err)
	}
}

// rowsOf applies a batch to rows by their first column.
func rowsOf(b *fold.Batch, rows map[string][]value.Value) error {
	for _, s := range b.Segments() {
		for _, u := range s.Rows(0) {
			k := u.Key()[0].(string)
			row, err := u.Apply(rows[k])
			if err != nil {
				return err
			}
			if rows[k] = row; row == nil {
				delete(rows, k)
			}
		}
		for _, f := range s.FanOuts() {
			for k, row := range rows {
				if !f.Matches(row) {
					continue
				}
				row, err := f.Apply(row)
				if err != nil {
					return err
				}
				if rows[k] = row; row == nil {
					delete(rows, k)
				}
			}
		}
	}
	return nil
}

func TestRowsAreFinishedOncePerEvent(t *testing.T) {
	one, all := int64(1), fold.Effect{Where: []fold.Match{{Column: 1, Value: int64(2)}}, Changes: []fold.Change{add(1, int64(10))}}
	for name, c := range map[string]struct {
		events [][]fold.Effect
		want   []value.Value
	}{
		"one effect":              {[][]fold.Effect{{on("a", add(1, one))}}, []value.Value{"a", one, one}},
		"two effects":             {[][]fold.Effect{{on("a", add(1, one)), on("b"), on("a", add(1, one))}}, []value.Value{"a", int64(2), one}},
		"two events":              {[][]fold.Effect{{on("a", add(1, one))}, {on("a", add(1, one))}}, []value.Value{"a", int64(2), int64(2)}},
		"broken and mended":       {[][]fold.Effect{{on("a", add(1, -one)), on("a", add(1, one))}}, []value.Value{"a", int64(0), one}},
		"deleted":                 {[][]fold.Effect{{on("a", add(1, -one)), {Key: []value.Value{"a"}, Delete: true}}}, nil},
		"ignored":                 {[][]fold.Effect{{{Key: []value.Value{"a"}, IgnoreAbsent: true, Changes: []fold.Change{set(1, -one)}}}}, nil},
		"before a fan-out and in": {[][]fold.Effect{{on("a", add(1, int64(2))), all}}, []value.Value{"a", int64(12), int64(2)}},
		"and another after it":    {[][]fold.Effect{{on("a", add(1, int64(2))), all, on("b")}}, []value.Value{"a", int64(12), int64(2)}},
		"and after it":            {[][]fold.Effect{{on("a", add(1, int64(2))), all, on("a", add(1, one))}}, []value.Value{"a", int64(13), int64(3)}},
	} {
		b := fold.NewBatch(counted())
		for _, e := range c.events {
			apply(t, b, e...)
		}
		merged := fold.NewBatch(counted())
		merged.Merge(b)
		for _, b := range []*fold.Batch{b, merged} {
			rows := map[string][]value.Value{}
			if err := rowsOf(b, rows); err != nil || !slices.Equal(rows["a"], c.want) {
				t.Errorf("%s: %v, %v", name, rows["a"], err)
			}
		}
	}
	b := fold.NewBatch(counted())
	apply(t, b, on("a", add(1, int64(-1))))
	apply(t, b, on("a", add(1, int64(1))))
	var r *fold.RowError
	if _, err := only(t, b).Apply(nil); !errors.As(err, &r) {
		t.Errorf("a check that does not hold between two events of a batch: %v", err)
	}
}

// Events have the same numbers in every batch; a merged row must not take the
// next event for one that it knows.
func TestEventsAfterAMergeFinishToo(t *testing.T) {
	a, b := fold.NewBatch(counted()), fold.NewBatch(counted())
	apply(t, a, on("x"))
	apply(t, a, on("a", add(1, int64(1))))
	apply(t, b, on("y"))
	b.Merge(a)
	apply(t, b, on("a", add(1, int64(1))))
	rows := map[string][]value.Value{}
	if err := rowsOf(b, rows); err != nil || !slices.Equal(rows["a"], []value.Value{"a", int64(2), int64(2)}) {
		t.Fatalf("%v, %v", rows["a"], err)
	}
}

// An event is folded whole or not at all, also over a cut.
func TestAFailedEventLeavesNoTrace(t *testing.T) {
	full := on("full", set(1, int64(2147483647)))
	all := fold.Effect{Where: []fold.Match{{Column: 1, Value: int64(5)}}, Changes: []fold.Change{set(3, int64(5))}}
	// The second of these fails whatever the row holds.
	bad := []fold.Effect{full, on("full", add(1, int64(1)))}
	for name, event := range map[string][]fold.Effect{
		"row":             {on("a", set(3, int64(1)))},
		"fan-out":         {all},
		"fan-outs":        {on("a"), all, all, on("full", set(3, int64(1))), on("new")},
		"fan-out and row": {all, on("a", add(1, int64(1))), all, on("b"), all},
	} {
		for before, effects := range [][]fold.Effect{{full}, {all, full}, {full, on("a", add(1, int64(3)))}} {
			b, want := fold.NewBatch(routes()), fold.NewBatch(routes())
			apply(t, b, effects...)
			apply(t, want, effects...)
			if err := b.Apply(append(event, bad...)...); err == nil {
				t.Fatalf("%s: no error", name)
			}
			if got, want := describe(b), describe(want); got != want {
				t.Errorf("%s after %d:\n got %s\nwant %s", name, before, got, want)
			}
			apply(t, b, on("new", set(3, int64(7))))
			apply(t, want, on("new", set(3, int64(7))))
			if got, want := describe(b), describe(want); got != want {
				t.Errorf("%s after %d, then another:\n got %s\nwant %s", name, before, got, want)
			}
		}
	}
}

func describe(b *fold.Batch) string {
	out := fmt.Sprintf("%d rows, %d bytes:", b.Len(), b.Bytes())
	for _, s := range b.Segments() {
		for _, u := range s.Rows(0) {
			row, err := u.Apply(nil)
			out += fmt.Sprint(" ", u.Key(), row, err)
		}
		out += fmt.Sprintf(" then %d;", len(s.FanOuts()))
	}
	return out
}

// TestTheHighestVersionWins: whatever the order and the cuts, the row is that of
// the last event with the highest version.
func TestTheHighestVersionWins(t *testing.T) {
	models := foldtest.Models()
	mi := slices.IndexFunc(models, func(m fold.Model) bool { return m.Name == "price" })
	column := func(name string) int {
		return slices.IndexFunc(models[mi].Columns, func(c fold.Column) bool { return c.Name == name })
	}
	version, currency, deleted := column("version"), column("currency"), column(contract.DeletedColumn)
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(models)
		b := fold.NewBatch(models)
		var last struct {
			version int64
			text    value.Value
			deleted bool
		}
		last.version = -1
		for i := range rapid.IntRange(1, 8).Draw(t, "events") {
			l := &foldtest.Versioned{
				Column: version, Deleted: deleted, Version: int64(rapid.IntRange(0, 2).Draw(t, "version")), Delete: rapid.IntRange(0, 3).Draw(t, "delete") == 0,
				Set: []fold.Change{set(currency, fmt.Sprint(i))}, Defaults: []fold.Change{set(currency, nil)},
			}
			if err := b.Apply(fold.Effect{Model: mi, Key: []value.Value{"k"}, Load: l}); err != nil {
				t.Fatal(err)
			}
			if v := l.Version.(int64); v >= last.version {
				last.version, last.text, last.deleted = v, fmt.Sprint(i), l.Delete
				if l.Delete {
					last.text = nil
				}
			}
			if rapid.Bool().Draw(t, "cut") {
				if err := w.commit(t, b); err != nil {
					t.Fatal(err)
				}
				b.Reset()
			}
		}
		if err := w.commit(t, b); err != nil {
			t.Fatal(err)
		}
		for _, row := range w.rows[mi] {
			if row[version] != last.version || row[currency] != last.text || row[deleted] != last.deleted {
				t.Fatalf("row %v, want %+v", row, last)
			}
		}
	})
}

func TestBytesCountLoadersAndFanOuts(t *testing.T) {
	b := fold.NewBatch(routes())
	loader := &foldtest.Reading{Column: 1, Pivot: int64(1)}
	apply(t, b, fold.Effect{Key: []value.Value{"a"}, Load: loader})
	one := b.Bytes()
	if one < loader.Bytes() {
		t.Fatalf("%d bytes with a loader of %d", one, loader.Bytes())
	}
	apply(t, b, fold.Effect{Where: []fold.Match{{Column: 1, Value: int64(1)}}, Load: loader})
	if b.Bytes() < one+loader.Bytes() || b.Len() != 2 || len(b.Segments()) != 1 {
		t.Fatalf("%d bytes, %d rows", b.Bytes(), b.Len())
	}
	apply(t, b, on("a", add(1, int64(1))))
	if b.Len() != 3 || len(b.Segments()) != 2 {
		t.Fatalf("%d rows in %d segments", b.Len(), len(b.Segments()))
	}
	c := fold.NewBatch(routes())
	c.Merge(b)
	if c.Len() != 3 || len(c.Segments()) != 2 || c.Bytes() < b.Bytes()/2 {
		t.Fatalf("merged: %d rows in %d segments, %d bytes", c.Len(), len(c.Segments()), c.Bytes())
	}
	b.Reset()
	if b.Len() != 0 || b.Bytes() != 0 || len(b.Segments()) != 1 || len(b.Segments()[0].FanOuts()) != 0 {
		t.Fatal("not empty")
	}
}

func TestModelsOfHoldsDefaultsToRules(t *testing.T) {
	s := func(s string) *string { return &s }
	for want, c := range map[string]contract.Column{
		"models[m].columns[c].default is less than the column's range.min":                        {Type: "int32", Default: s("-1"), Min: s("0")},
		"models[m].columns[c].default is greater than the column's range.max":                     {Type: "decimal(4,1)", Default: s("10.1"), Max: s("10.0")},
		"models[m].columns[c].default is not one of the values in the column's enum":              {Type: "text", Default: s("x"), Enum: []string{"a"}},
		"models[m].columns[c].default is a list that list.maxItems or list.distinct would change": {Type: "int64[]", Default: s("[1,1]"), Distinct: true},
		"models[m].columns[c].range.min is not a number":                                          {Type: "int32", Min: s("x")},
		"models[m].columns[c].type: unknown type \"varchar\"; there are " + value.TypesHelp:       {Type: "varchar"},
	} {
		c.Name = "c"
		_, err := fold.ModelsOf(&contract.Contract{Models: []contract.Model{{Name: "m", Columns: []contract.Column{c}}}})
		if err == nil || err.Error() != want {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
	null := fold.Column{Rules: fold.Rules{NotNull: true}}
	if null.Obeys(nil) == nil || (&fold.Column{}).Obeys(nil) != nil {
		t.Error("NULL")
	}
}
