// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/sources"
	"github.com/projectionist-dev/projectionist/projectors/stores"
	"github.com/projectionist-dev/projectionist/projectors/stores/memory"
	"github.com/projectionist-dev/projectionist/projectors/verify"
)

func TestEqual(t *testing.T) {
	w := newWorld(t, orders(), 2)
	w.Fill(500)
	r := w.verify()
	rows := int64(len(w.Store.Rows(w.Contract, "order")))
	if m := r.Models[0]; !r.Equal() || m.Equal != rows || rows < 20 || r.Models[1].Equal != 7 || r.Again != nil || r.Events != 500 {
		t.Errorf("%d rows, %+v", rows, r)
	}
	if len(r.At) != 2 || r.At[0].Next+r.At[1].Next != 500 || r.Sample != verify.Buckets {
		t.Errorf("positions %v", r.At)
	}
	// What is in the log and was not applied is no difference.
	w.Append(order("line", 3))
	if r := w.verify(); !r.Equal() || r.Events != 500 {
		t.Errorf("%+v", r)
	}
}

func TestNothingYet(t *testing.T) {
	w := newWorld(t, orders(), 2)
	w.Append(order("line", 1))
	if r := w.verify(); !r.Equal() || r.Models[0].Compared() != 0 || r.Events != 0 {
		t.Errorf("%+v", r)
	}
}

// key is that of the order that event n made.
func key(n int) []value.Value {
	_, r := order("line", n)
	return []value.Value{string(r.Key), int64(n % 50)}
}

func alter(row []value.Value) []value.Value { row[2] = row[2].(int64) + 1; return row }

func TestDifferences(t *testing.T) {
	w := newWorld(t, orders(), 2)
	w.Fill(500)
	all := int64(len(w.Store.Rows(w.Contract, "order")))
	w.Meddle(key(1), alter)
	w.Meddle(key(1), func(row []value.Value) []value.Value { row[4] = nil; return row })
	w.Meddle(key(2), func([]value.Value) []value.Value { return nil })
	added := []value.Value{"nobody", int64(1), int64(9), w.Store.Rows(w.Contract, "order")[0][3], nil, []value.Value{}, nil}
	w.Meddle([]value.Value{"nobody", int64(1)}, func([]value.Value) []value.Value { return added })
	r := w.verify()
	m := r.Models[0]
	if r.Equal() || m.Equal != all-2 || m.Changed != 1 || m.Missing != 1 || m.Extra != 1 || len(m.Differences) != 3 || r.Models[1].Differing() != 0 || r.Again == nil {
		t.Fatalf("%+v", r)
	}
	for i, want := range []struct {
		kind    verify.Kind
		key     []value.Value
		columns []int
	}{{verify.Changed, key(1), []int{2, 4}}, {verify.Missing, key(2), nil}, {verify.Extra, []value.Value{"nobody", int64(1)}, nil}} {
		d := m.Differences[i]
		if d.Kind != want.kind || !slices.Equal(d.Key, want.key) || !slices.Equal(d.Columns, want.columns) || (d.Log == nil) != (d.Kind == verify.Extra) || (d.Table == nil) != (d.Kind == verify.Missing) {
			t.Errorf("difference %d is %+v, want %+v", i, d, want)
		}
	}
	if d := m.Differences[0]; d.Table[2] != d.Log[2].(int64)+1 {
		t.Errorf("the rows are swapped: %+v", d)
	}
	// Fewer are kept, and all are counted.
	if m := w.verify(func(o *verify.Options) { o.Differences = 1 }).Models[0]; m.Differing() != 3 || len(m.Differences) != 1 || m.Differences[0].Kind != verify.Changed {
		t.Errorf("%+v", m)
	}
	// One event applied twice is found: the log of that order says so.
	w.Meddle(key(3), func(row []value.Value) []value.Value {
		row[5] = append(slices.Clone(row[5].([]value.Value)), int64(3))
		return row
	})
	if m := w.verify().Models[0]; m.Changed != 2 {
		t.Errorf("%+v", m)
	}
}

// TestSample: a sample is always the same keys, and holds no others.
func TestSample(t *testing.T) {
	w := newWorld(t, orders(), 2)
	w.Fill(500)
	for _, row := range w.Store.Rows(w.Contract, "order") {
		w.Meddle([]value.Value{row[0], row[1]}, alter)
	}
	all := w.verify(func(o *verify.Options) { o.Differences = 1000 }).Models[0]
	half := w.verify(func(o *verify.Options) {
		o.Differences = 1000
		o.Sample = verify.Buckets / 2
		o.MaxRows = 2 * len(all.Differences) * 3 / 4
	}).Models[0]
	again := w.verify(func(o *verify.Options) { o.Differences = 1000; o.Sample = verify.Buckets / 2 }).Models[0]
	if half.Differing() == 0 || half.Differing() >= all.Differing() || half.Compared() != half.Differing() || len(again.Differences) != len(half.Differences) {
		t.Errorf("%d of %d differ in a sample of half", half.Differing(), all.Differing())
	}
	for i := range half.Differences {
		if !slices.Equal(half.Differences[i].Key, again.Differences[i].Key) {
			t.Errorf("another sample: %v, %v", half.Differences[i].Key, again.Differences[i].Key)
		}
	}
}

// TestUnderLoad: the projector goes on, with a commit before each step of the comparison, and nothing but what was meddled with differs.
func TestUnderLoad(t *testing.T) {
	for _, meddled := range []bool{false, true} {
		w := newWorld(t, orders(), 2)
		w.Fill(300)
		n := 300
		if meddled {
			w.Meddle(key(1), alter)
		}
		goOn := func() {
			for range 5 {
				w.Applied(order(kindOf(n), n))
				n++
			}
		}
		h := &hooked{beforeFetch: goOn, beforeSnapshot: func(int) { goOn() }}
		r := w.verify(w.hook(h))
		m := r.Models[0]
		switch {
		case !meddled && (!r.Equal() || h.snapshots != 1):
			t.Errorf("%+v", r)
		case meddled && (m.Changed != 1 || m.Differing() != 1 || h.snapshots != 2 || r.Models[1].Differing() > 0 || !slices.Equal(m.Differences[0].Key, key(1))):
			t.Errorf("%+v", r)
		case meddled && r.Again[0].Next <= r.At[0].Next:
			t.Errorf("the second snapshot is at %v, the first at %v", r.Again, r.At)
		}
	}
}

// TestSettled: what later events have overwritten is no difference any more.
func TestSettled(t *testing.T) {
	w := newWorld(t, orders(), 2)
	w.Fill(300)
	w.Meddle(key(2), func([]value.Value) []value.Value { return nil })
	h := &hooked{beforeSnapshot: func(n int) {
		if n == 1 {
			w.Applied(order("erased", 2))
		}
	}}
	if r := w.verify(w.hook(h)); !r.Equal() || r.Models[0].Settled != 1 || h.snapshots != 2 {
		t.Errorf("%+v", r)
	}
}

// TestGrowth: what lies beyond a barrier is folded after what lies before it.
func TestGrowth(t *testing.T) {
	w := newWorld(t, orders(), 1)
	one := func(n int) event.Record {
		_, r := order("line", 10*n+1) // one customer
		r.Value = []byte(strings.Replace(string(r.Value), `"id": `, `"id": 7, "was": `, 1))
		return r
	}
	for n := range 20 {
		w.Applied(partition(0), one(n))
	}
	w.Broker.Grow("orders", 2)
	if _, err := w.Writer.AddPartitions(t.Context(), stores.Barrier{Topic: "orders", Before: 1, After: 2, Ends: []int64{20}}); err != nil {
		t.Fatal(err)
	}
	w.Claim(partition(1))
	for n := range 20 {
		w.Applied(partition(1), one(20+n))
	}
	_, other := order("line", 2)
	w.Applied(partition(0), other)
	w.Topics.MaxRecords = 1 // or one fetch might give all that is before the barrier
	if r := w.verify(); r.Models[0].Equal != 2 || !r.Equal() || r.Events != 41 {
		t.Errorf("%+v", r)
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(w *world, o *verify.Options)
		want string
	}{
		{"no beginning", func(w *world, _ *verify.Options) { w.Broker.DeleteRecords(partition(1), 3) }, "HistoryMissing: orders/1 begins at position 3"},
		{"lost end", func(w *world, _ *verify.Options) { w.Broker.Truncate(partition(1), 10) }, "HistoryMissing: orders/1 was applied up to position 50, and its log ends at 10"},
		{"another topic", func(w *world, _ *verify.Options) { w.Broker.CreateTopic("orders", 2) }, "was deleted and created again"},
		{"a missing position", func(w *world, _ *verify.Options) { w.Store.DeletePosition(w.Contract, partition(0)) }, "PositionMissing: the bookkeeping has no position row of orders/0"},
		{"a missing last position", func(w *world, _ *verify.Options) {
			w.Store.DeletePosition(w.Contract, partition(0))
			w.Store.DeletePosition(w.Contract, partition(1))
		}, "PositionMissing: topic orders has 0 position rows"},
		{"held keys", func(w *world, _ *verify.Options) { w.Store.RaiseHeldVersion(w.Contract, partition(0)) }, "KeysHeld"},
		{"an event that cannot be", func(w *world, o *verify.Options) {
			tp, r := order("line", 1)
			r.Key = []byte("another")
			w.Broker.Append(tp, r)
			claim := w.Claims[tp]
			if err := w.Writer.Commit(w.Context(), stores.Commit{Advances: []stores.Advance{{Claim: claim, Next: claim.Next + 1}}}); err != nil {
				w.Fatal(err)
			}
		}, "EventRefused: the positions say that event orders/1@50 was applied"},
		{"too many rows", func(_ *world, o *verify.Options) { o.MaxRows = 10 }, "TooManyRows: there are more than 10 rows"},
		{"a broken barrier", func(w *world, o *verify.Options) {
			w.hook(&hooked{beforeSnapshot: func(int) {
				w.Broker.Grow("orders", 3)
				if _, err := w.Writer.AddPartitions(w.Context(), stores.Barrier{Topic: "orders", Before: 2, After: 3, Ends: []int64{50, 60}}); err != nil {
					w.Fatal(err)
				}
				w.Claim(partition(2))
				_, r := order("line", 1)
				w.Applied(partition(2), r)
			}})(o)
		}, "BarrierBroken: orders/2 was read before orders/1 had reached position 60"},
		{"a revision that was built anew", func(w *world, o *verify.Options) {
			w.Meddle(key(1), alter)
			w.hook(&hooked{beforeSnapshot: func(n int) {
				if n == 1 {
					fresh := newWorld(w, w.Contract, 2)
					o.Store.(*hooked).Snapshotter = fresh.Store.Admin().(stores.Snapshotter)
				}
			}})(o)
		}, "RevisionMoved"},
		{"an open transaction", func(w *world, o *verify.Options) {
			o.Patience = 1
			w.hook(&hooked{beforeFetch: func() { w.Broker.Truncate(partition(1), 10) }})(o)
		}, "LogUnreadable"},
		{"a broker that is gone", func(w *world, o *verify.Options) {
			o.Patience = 1
			w.Broker.SetFault(func(op string, _ event.TopicPartition) error {
				if op != "Fetch" {
					return nil
				}
				return &sources.Unreachable{Address: "b1", Err: errors.New("gone")}
			})
		}, "LogUnreadable: broker b1 cannot be reached"},
		{"no tables", func(_ *world, o *verify.Options) { o.Store = memory.New().Admin().(stores.Snapshotter) }, "NotPrepared"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, orders(), 2)
			w.Fill(100)
			o := w.options()
			c.do(w, &o)
			r, err := verify.Run(t.Context(), o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, result %+v, want %q", err, r, c.want)
			}
		})
	}
}

// TestRetries: a fault of the broker that passes is none.
func TestRetries(t *testing.T) {
	w := newWorld(t, orders(), 2)
	w.Fill(50)
	faults := 0
	w.Broker.SetFault(func(op string, tp event.TopicPartition) error {
		if faults++; op == "Fetch" && faults < 3 {
			return &sources.Unreachable{Address: "broker", Err: errors.New("gone")}
		}
		return nil
	})
	if r := w.verify(); !r.Equal() || r.Events != 50 {
		t.Errorf("%+v", r)
	}
}

// TestLeftOut: what depends on arrival, and what the database writes in a form of its own, is named and not compared.
func TestLeftOut(t *testing.T) {
	c := orders()
	c.Models[0].Columns[4].Native = "varchar(10)"
	c.Models[1].Order = "Arrival"
	w := newWorld(t, c, 2)
	w.Fill(100)
	meddle := func() {
		w.Meddle(key(1), func(row []value.Value) []value.Value { row[4] = "other"; return row })
		w.Store.Meddle(w.Contract, 1, []value.Value{int64(3)}, func(row []value.Value) []value.Value { row[1] = int64(math.MaxInt64); return row })
	}
	meddle()
	r := w.verify()
	if m := r.Models[0]; !r.Equal() || len(m.LeftOut) != 1 || m.LeftOut[0].Column != "state" || m.Equal == 0 {
		t.Errorf("%+v", m)
	}
	if m := r.Models[1]; len(m.LeftOut) != 1 || m.LeftOut[0].Column != "" || m.Compared() != 0 {
		t.Errorf("%+v", m)
	}
	// Told which columns depend on arrival, it compares the others.
	r = w.verify(func(o *verify.Options) { o.Arrival = map[string][]string{"total": nil} })
	if m := r.Models[1]; m.Changed != 1 || m.Equal != 6 || len(m.LeftOut) != 0 {
		t.Errorf("%+v", m)
	}
	if r = w.verify(func(o *verify.Options) { o.Arrival = map[string][]string{"total": {"n"}} }); !r.Equal() || r.Models[1].LeftOut[0].Column != "" {
		t.Errorf("%+v", r.Models[1])
	}
}

// TestChanceRefuses: where chance decides which event is refused, another one may be here, which says nothing of the rows.
func TestChanceRefuses(t *testing.T) {
	c := orders()
	c.Models[1].Order = "Arrival"
	c.Models[1].Columns[1].Max = ptr("8")
	c.Models[1].Handlers[0].Key = map[string]string{"day": "1"}
	c.Models[1].Handlers[0].Add = map[string]string{"n": "int(event.n) - 10"}
	w := newWorld(t, c, 2)
	for _, n := range []int{18, 3, 12} { // 8, 1, 3; but in the order of partitions 8, 10
		w.Applied(order("line", n))
	}
	r := w.verify(func(o *verify.Options) { o.Arrival = map[string][]string{"total": nil} })
	if m := r.Models[1]; !r.Equal() || m.Compared() != 0 || len(m.LeftOut) != 1 || !strings.Contains(m.LeftOut[0].Why, "refused") || r.Models[0].Equal != 3 {
		t.Errorf("%+v", r)
	}
}
