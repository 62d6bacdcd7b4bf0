// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package fold_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/apd/v3"

	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
)

func routes() []fold.Model {
	return []fold.Model{{
		Name: "route",
		Columns: []fold.Column{
			{Name: "id", Type: value.MustParse("text")},
			{Name: "n", Type: value.MustParse("int32"), Default: int64(10)},
			{Name: "total", Type: value.MustParse("decimal(12,2)")},
			{Name: "worst", Type: value.MustParse("int64")},
			{Name: "log", Type: value.MustParse("text[]")},
		},
		Key: []int{0},
	}}
}

func on(id string, changes ...fold.Change) fold.Effect {
	return fold.Effect{Key: []value.Value{id}, Changes: changes}
}

func add(col int, v value.Value) fold.Change {
	return fold.Change{Column: col, Op: fold.OpAdd, Operand: v}
}

func set(col int, v value.Value) fold.Change {
	return fold.Change{Column: col, Op: fold.OpSet, Operand: v}
}

func only(t *testing.T, b *fold.Batch) fold.Mutation {
	t.Helper()
	rows := b.Segments()[0].Rows(0)
	if len(rows) != 1 {
		t.Fatalf("%d rows, want 1", len(rows))
	}
	return rows[0]
}

// TestOverwritingDoesNotGrow: what an event replaces is not counted beside it.
func TestOverwritingDoesNotGrow(t *testing.T) {
	b, at := fold.NewBatch(routes()), 0
	for i := range 1000 {
		v := int64(i)
		if err := b.Apply(on("a", set(1, v), add(2, apd.New(v, -2)), fold.Change{Column: 3, Op: fold.OpMax, Operand: v}, set(4, []value.Value{"x"}))); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			at = b.Bytes()
		}
	}
	if b.Bytes() != at {
		t.Fatalf("%d bytes after one event, %d after 1000", at, b.Bytes())
	}
}

// TestBytesFollowWhatIsHeld: values of all sizes come and go, and what is counted at the end is what is there.
func TestBytesFollowWhatIsHeld(t *testing.T) {
	models := []fold.Model{{
		Name: "m", Key: []int{0},
		Columns: []fold.Column{
			{Name: "id", Type: value.MustParse("text")}, {Name: "best", Type: value.MustParse("text")}, {Name: "least", Type: value.MustParse("text")},
			{Name: "last", Type: value.MustParse("text[]"), Rules: fold.Rules{MaxItems: 3}}, {Name: "first", Type: value.MustParse("text")},
		},
	}}
	long := func(i int) string { return strings.Repeat("x", i*7919%300) }
	end := []fold.Change{set(1, "b"), set(2, "l"), set(3, []value.Value{"x"}), set(4, "f")}
	fresh, b := fold.NewBatch(models), fold.NewBatch(models)
	for i := range 1000 {
		changes := []fold.Change{
			{Column: 1, Op: fold.OpMax, Operand: long(i)}, {Column: 2, Op: fold.OpMin, Operand: long(i)},
			{Column: 3, Op: fold.OpAppend, Operand: long(i)}, {Column: 4, Op: fold.OpSetOnce, Operand: long(i)},
		}
		if i%10 == 9 {
			changes = []fold.Change{set(1, ""), set(2, long(i)), set(3, []value.Value{}), set(4, nil)}
		}
		if err := b.Apply(on("a", changes...)); err != nil {
			t.Fatal(err)
		}
	}
	for _, to := range []*fold.Batch{fresh, b} {
		if err := to.Apply(on("a", end...)); err != nil {
			t.Fatal(err)
		}
		if err := to.Settle(); err != nil { // a list that was overwritten is remembered: it may have grown too long
			t.Fatal(err)
		}
	}
	if b.Bytes() != fresh.Bytes() {
		t.Fatalf("%d bytes after 1000 events, %d for the same row at once", b.Bytes(), fresh.Bytes())
	}
}

func TestCreatedRowTakesDefaults(t *testing.T) {
	b := fold.NewBatch(routes())
	if err := b.Apply(on("a", add(1, int64(20)), add(2, apd.New(100, -2)))); err != nil {
		t.Fatal(err)
	}
	row, err := only(t, b).Apply(nil)
	if err != nil || row[1] != int64(30) || fmt.Sprint(row[2]) != "1.00" || row[3] != nil {
		t.Fatalf("row %v, err %v", row, err)
	}
}

func TestOverflowInTheFoldIsReportedForItsEvent(t *testing.T) {
	b := fold.NewBatch(routes())
	if err := b.Apply(on("a", set(1, int64(math.MaxInt32)), set(3, int64(1)))); err != nil {
		t.Fatal(err)
	}
	err := b.Apply(on("fresh", add(1, int64(1))), on("a", set(3, int64(2)), add(1, int64(1))))
	var o *fold.OverflowError
	if !errors.As(err, &o) || o.Model != "route" || o.Column != "n" {
		t.Fatalf("err = %v", err)
	}
	// The whole event is undone, and the batch goes on.
	if row, err := only(t, b).Apply(nil); err != nil || row[3] != int64(1) {
		t.Fatalf("row %v, err %v", row, err)
	}
	if err := b.Apply(on("a", add(1, int64(-1)))); err != nil {
		t.Fatal(err)
	}
	if row, _ := only(t, b).Apply(nil); row[1] != int64(math.MaxInt32-1) {
		t.Fatalf("row %v", row)
	}
}

func TestOverflowOnTheWayDependsOnTheRow(t *testing.T) {
	b := fold.NewBatch(routes())
	for _, d := range []int64{2_000_000_000, -2_000_000_000} {
		if err := b.Apply(on("a", add(1, d))); err != nil {
			t.Fatal(err)
		}
	}
	u := only(t, b)
	if s := u.Shape(); s.Arms != fold.Upsert || s.Touch(1) != fold.AddChecked {
		t.Fatalf("shape %v", s)
	}
	if lo, hi := u.Prefix(1); lo != int64(0) || hi != int64(2_000_000_000) {
		t.Fatalf("prefix %v %v", lo, hi)
	}
	at := func(n int64) error { _, err := u.Apply([]value.Value{"a", n, nil, nil, nil}); return err }
	if err := at(147_483_647); err != nil {
		t.Fatalf("the steps just fit: %v", err)
	}
	if err := at(147_483_648); err == nil {
		t.Fatal("the steps do not fit, yet it applies")
	}
	// The overwritten or deleted sum has been checked all the same.
	for _, last := range []fold.Effect{on("a", set(1, int64(0))), {Key: []value.Value{"a"}, Delete: true}} {
		c := fold.NewBatch(routes())
		c.Merge(b)
		if err := c.Apply(last); err != nil {
			t.Fatal(err)
		}
		u = only(t, c)
		if u.Shape().Arms != fold.Load {
			t.Fatalf("shape %v", u.Shape())
		}
		if at(147_483_648) == nil || at(147_483_647) != nil {
			t.Fatal("a sum that overflowed on the way was forgotten")
		}
	}
}

func TestShapes(t *testing.T) {
	ignore := func(e fold.Effect) fold.Effect { e.IgnoreAbsent = true; return e }
	del := fold.Effect{Key: []value.Value{"a"}, Delete: true}
	for name, c := range map[string]struct {
		effects []fold.Effect
		arms    fold.Arms
	}{
		"set":                     {[]fold.Effect{on("a", set(1, int64(1)))}, fold.Upsert},
		"nothing but create":      {[]fold.Effect{on("a")}, fold.Upsert},
		"ignored when absent":     {[]fold.Effect{ignore(on("a", add(1, int64(1))))}, fold.Update},
		"create, then ignore":     {[]fold.Effect{on("a", set(1, nil)), ignore(on("a", add(1, int64(1))))}, fold.Upsert},
		"ignore, then create":     {[]fold.Effect{ignore(on("a", add(1, int64(1)))), on("a", set(3, int64(1)))}, fold.Load},
		"delete":                  {[]fold.Effect{del}, fold.Delete},
		"set and delete":          {[]fold.Effect{on("a", set(1, int64(1))), del}, fold.Delete},
		"delete, then create":     {[]fold.Effect{del, on("a", add(1, int64(1)))}, fold.Replace},
		"delete, then ignore":     {[]fold.Effect{del, ignore(on("a", add(1, int64(1))))}, fold.Delete},
		"default overflows alone": {[]fold.Effect{on("a", add(1, int64(math.MaxInt32)))}, fold.Load},
	} {
		b := fold.NewBatch(routes())
		for _, e := range c.effects {
			if err := b.Apply(e); err != nil {
				t.Fatal(name, err)
			}
		}
		if s := only(t, b).Shape(); s.Arms != c.arms {
			t.Errorf("%s: %v, want %v", name, s.Arms, c.arms)
		}
	}
}

func TestGroupsKeepTheOrderOfKeys(t *testing.T) {
	b := fold.NewBatch(routes())
	for i := range 50 {
		e := on(fmt.Sprint(i*37%50), set(1+2*(i%2), int64(i)))
		e.IgnoreAbsent, e.Delete = i%3 == 0, i%5 == 0
		if e.Delete {
			e.Changes = nil
		}
		if err := b.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	groups, n := fold.GroupByShape(b.Segments()[0].Rows(0)), 0
	for i, g := range groups {
		n += len(g.Rows)
		if i > 0 && groups[i-1].Shape.Compare(g.Shape) >= 0 {
			t.Errorf("group %v after %v", g.Shape, groups[i-1].Shape)
		}
		if !slices.IsSortedFunc(g.Rows, func(x, y fold.Mutation) int { return slices.CompareFunc(x.Key(), y.Key(), value.Compare) }) {
			t.Errorf("group %v is not in key order", g.Shape)
		}
	}
	if len(groups) != 5 || n != 50 {
		t.Fatalf("%d groups of %d rows", len(groups), n)
	}
}

func TestEffectsThatDoNothingMakeNoRow(t *testing.T) {
	b := fold.NewBatch(routes())
	e := on("a", fold.Change{Column: 4, Op: fold.OpAppend}, add(1, nil))
	e.IgnoreAbsent = true
	if err := b.Apply(e); err != nil || len(b.Segments()[0].Rows(0)) != 0 {
		t.Fatalf("%v, %d rows", err, len(b.Segments()[0].Rows(0)))
	}
}

func TestResetKeepsNothing(t *testing.T) {
	b := fold.NewBatch(routes())
	for round := range 3 {
		for i := range 100 {
			if err := b.Apply(on(fmt.Sprint(i), set(3, int64(round)))); err != nil {
				t.Fatal(err)
			}
		}
		if b.Len() != 100 || b.Bytes() < 100*100 || b.Bytes() > 100*1000 {
			t.Fatalf("len %d, bytes %d", b.Len(), b.Bytes())
		}
		for _, g := range fold.GroupByShape(b.Segments()[0].Rows(0)) {
			if len(g.Rows) != 100 || g.Rows[7].Operand(3) != int64(round) {
				t.Fatalf("group of %d", len(g.Rows))
			}
		}
		b.Reset()
		if b.Len() != 0 || b.Bytes() != 0 || len(b.Segments()[0].Rows(0)) != 0 {
			t.Fatal("not empty")
		}
	}
}

func TestAppendsDoNotShareMemoryWithAMergedBatch(t *testing.T) {
	push := func(b *fold.Batch, s string) {
		if err := b.Apply(on("a", fold.Change{Column: 4, Op: fold.OpAppend, Operand: s})); err != nil {
			t.Fatal(err)
		}
	}
	a, c := fold.NewBatch(routes()), fold.NewBatch(routes())
	for _, s := range []string{"1", "2", "3"} {
		push(a, s)
	}
	c.Merge(a)
	push(a, "a")
	push(c, "c")
	want := func(b *fold.Batch, last string) {
		row, _ := only(t, b).Apply(nil)
		if !slices.Equal(row[4].([]value.Value), []value.Value{"1", "2", "3", last}) {
			t.Fatalf("%v", row[4])
		}
	}
	want(a, "a")
	want(c, "c")
}

func benchEffects(n, keys int) []fold.Effect {
	out := make([]fold.Effect, n)
	for i := range out {
		out[i] = on(fmt.Sprintf("route-%06d", i*7919%keys), add(1, int64(1)), add(2, apd.New(int64(i%900), -2)),
			fold.Change{Column: 3, Op: fold.OpMax, Operand: int64(i)})
	}
	return out
}

func benchFold(b *testing.B, keys int) {
	const n = 20_000
	effects := benchEffects(n, keys)
	batch := fold.NewBatch(routes())
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if i == n {
			batch.Reset()
			i = 0
		}
		if err := batch.Apply(effects[i]); err != nil {
			b.Fatal(err)
		}
		i++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "effects/s")
}

func BenchmarkApplyRepeated(b *testing.B) { benchFold(b, 200) }
func BenchmarkApplyDistinct(b *testing.B) { benchFold(b, 20_000) }

// BenchmarkApplyTwoEffects has two rows an event, as a flight has two airports.
func BenchmarkApplyTwoEffects(b *testing.B) {
	effects := benchEffects(20_000, 400)
	batch := fold.NewBatch(routes())
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if err := batch.Apply(effects[i : i+2]...); err != nil {
			b.Fatal(err)
		}
		i = (i + 2) % len(effects)
	}
	b.ReportMetric(2*float64(b.N)/b.Elapsed().Seconds(), "effects/s")
}

func BenchmarkMergeDistinct(b *testing.B) {
	src, dst := fold.NewBatch(routes()), fold.NewBatch(routes())
	for _, e := range benchEffects(20_000, 20_000) {
		if err := src.Apply(e); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		dst.Reset()
		dst.Merge(src)
	}
	b.ReportMetric(float64(b.N)*20_000/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkRowsAndShapes(b *testing.B) {
	batch := fold.NewBatch(routes())
	for _, e := range benchEffects(20_000, 20_000) {
		if err := batch.Apply(e); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if g := fold.GroupByShape(batch.Segments()[0].Rows(0)); len(g) != 1 {
			b.Fatal(len(g))
		}
	}
	b.ReportMetric(float64(b.N)*20_000/b.Elapsed().Seconds(), "rows/s")
}
