// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package sourcetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/sources"
)

// Run runs the suite; harness makes a fresh one for each test.
func Run(t *testing.T, harness func(t *testing.T) Harness) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, Harness)
	}{
		{"every record as it was written", records},
		{"read on from the middle", middle},
		{"transactions", transactions},
		{"a transaction left open", openTransaction},
		{"news wakes a fetch", news},
		{"describe", describe},
		{"by time", byTime},
		{"older than the log", below},
		{"beyond the log", beyond},
		{"topic recreated", recreated},
		{"topic missing", missing},
		{"close", closing},
		{"group of one", one},
		{"group of several", several},
		{"group and growth", growth},
		{"done ends a generation", doneEnds},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, harness(t)) })
	}
}

func at(topic string, p int32) event.TopicPartition {
	return event.TopicPartition{Topic: topic, Partition: p}
}

// epoch is near now: retention would take older records.
var epoch = time.Now().UnixMilli()

func numbered(from, n int) []event.Record {
	var out []event.Record
	for i := range n {
		out = append(out, event.Record{Key: fmt.Append(nil, "k", from+i), Value: fmt.Append(nil, "v", from+i), Timestamp: epoch + int64(from+i)})
	}
	return out
}

// same checks records but for their offsets, which must rise.
func same(t testing.TB, got, want []event.Record) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d records, want %d", len(got), len(want))
	}
	for i := range got {
		g, w := got[i], want[i]
		if i > 0 && g.Offset <= got[i-1].Offset {
			t.Fatalf("record %d: offset %d after %d", i, g.Offset, got[i-1].Offset)
		}
		if !bytes.Equal(g.Key, w.Key) || !bytes.Equal(g.Value, w.Value) || (g.Key == nil) != (w.Key == nil) ||
			(g.Value == nil) != (w.Value == nil) || g.Timestamp != w.Timestamp || len(g.Headers) != len(w.Headers) {
			t.Fatalf("record %d is %+v, want %+v", i, g, w)
		}
		for j := range g.Headers {
			if g.Headers[j].Key != w.Headers[j].Key || !bytes.Equal(g.Headers[j].Value, w.Headers[j].Value) {
				t.Fatalf("record %d: header %d differs", i, j)
			}
		}
	}
}

func records(t *testing.T, h Harness) {
	h.CreateTopic(t, "orders", 3)
	h.CreateTopic(t, "payments", 1)
	want := map[event.TopicPartition][]event.Record{
		at("orders", 0): numbered(0, 100),
		at("orders", 2): {
			{Key: []byte("null value"), Timestamp: epoch - 1},
			{Value: []byte("null key"), Timestamp: epoch - 2},
			{Key: []byte{}, Value: []byte{}, Timestamp: epoch - 3},
			{Key: []byte("headers"), Value: bytes.Repeat([]byte("x"), 100_000), Timestamp: epoch - 4, Headers: []event.Header{
				{Key: "type", Value: []byte("OrderPlaced")}, {Key: "type", Value: []byte("again")}, {Key: "empty", Value: []byte{}},
			}},
		},
		at("payments", 0): numbered(0, 10),
		at("orders", 1):   nil,
	}
	r := NewReader(h.Log(t))
	for tp, rs := range want {
		if len(rs) > 0 {
			h.Produce(t, tp, rs...)
		}
		r.Positions[tp] = &sources.Position{TopicPartition: tp, LeaderEpoch: -1}
	}
	r.CatchUp(t)
	for tp, rs := range want {
		same(t, r.Records[tp], rs)
	}
}

func middle(t *testing.T, h Harness) {
	h.CreateTopic(t, "orders", 1)
	all := numbered(0, 50)
	h.Produce(t, at("orders", 0), all...)
	for _, from := range []int{1, 25, 49, 50} {
		r := NewReader(h.Log(t), at("orders", 0))
		r.Positions[at("orders", 0)].Offset = int64(from)
		r.CatchUp(t)
		same(t, r.Records[at("orders", 0)], all[from:])
	}
}

func transactions(t *testing.T, h Harness) {
	h.CreateTopic(t, "orders", 1)
	tp := at("orders", 0)
	var want []event.Record
	for i := range 9 {
		rs := numbered(i*10, 5)
		switch i % 3 {
		case 0:
			h.Commit(t, tp, rs...)
		case 1:
			h.Abort(t, tp, rs...)
			continue
		default:
			h.Produce(t, tp, rs...)
		}
		want = append(want, rs...)
	}
	h.Abort(t, tp, numbered(100, 3)...)
	r := NewReader(h.Log(t), tp)
	r.CatchUp(t)
	same(t, r.Records[tp], want)

	// And so from each offset.
	end := r.Positions[tp].Offset
	for from := range end {
		var rest []event.Record
		for _, x := range r.Records[tp] {
			if x.Offset >= from {
				rest = append(rest, x)
			}
		}
		again := NewReader(r.Log, tp)
		again.Positions[tp].Offset = from
		again.CatchUp(t)
		same(t, again.Records[tp], rest)
		if again.Compacted[tp] {
			t.Errorf("from %d: what transactions leave is no compaction", from)
		}
	}
}

func openTransaction(t *testing.T, h Harness) {
	h.CreateTopic(t, "orders", 1)
	tp := at("orders", 0)
	h.Produce(t, tp, numbered(0, 3)...)
	finish := h.Open(t, tp, numbered(3, 2)...)
	h.Produce(t, tp, numbered(5, 2)...)
	r := NewReader(h.Log(t), tp)
	b, err := r.Log.Bounds(Context(t), tp)
	if err != nil {
		t.Fatal(err)
	}
	if got := b[tp]; got.Earliest != 0 || got.End != 3 || got.HighWatermark != 7 {
		t.Fatalf("bounds %+v, want 0, 3, 7", got)
	}
	r.CatchUp(t)
	same(t, r.Records[tp], numbered(0, 3))
	if got := r.Bounds[tp]; got.End != 3 || got.HighWatermark != 7 {
		t.Fatalf("a fetch says %+v, want 3 and 7", got)
	}
	finish()
	r.Until(t, func() bool { return len(r.Records[tp]) >= 7 })
	same(t, r.Records[tp], numbered(0, 7))
}

func news(t *testing.T, h Harness) {
	h.CreateTopic(t, "orders", 2)
	a, b := at("orders", 0), at("orders", 1)
	r := NewReader(h.Log(t), a, b)
	ctx := Context(t)
	for range 2 {
		r.Step(ctx, t)
	}
	for i := range 5 {
		h.Produce(t, b, numbered(i, 1)...)
		r.Until(t, func() bool { return len(r.Records[b]) == i+1 })
	}
	h.Produce(t, a, numbered(0, 1)...)
	r.Until(t, func() bool { return len(r.Records[a]) == 1 })
	same(t, r.Records[b], numbered(0, 5))
}

func describe(t *testing.T, h Harness) {
	h.CreateTopic(t, "orders", 3)
	log := h.Log(t)
	infos, err := log.Describe(Context(t), "orders", "payments")
	var m *sources.TopicMissing
	if !errors.As(err, &m) || m.Topic != "payments" || sources.ReasonOf(err) != sources.ReasonTopicMissing {
		t.Fatalf("got %v, want TopicMissing for payments", err)
	}
	if len(infos) != 1 || infos["orders"].Partitions != 3 || infos["orders"].ID == "" {
		t.Fatalf("got %+v", infos)
	}
	h.Grow(t, "orders", 5)
	h.CreateTopic(t, "payments", 1)
	infos, err = log.Describe(Context(t), "orders", "payments")
	if err != nil || infos["orders"].Partitions != 5 || infos["payments"].Partitions != 1 {
		t.Fatalf("got %+v, %v", infos, err)
	}
}

func below(t *testing.T, h Harness) {
	h.CreateTopic(t, "orders", 2)
	a, b := at("orders", 0), at("orders", 1)
	h.Produce(t, a, numbered(0, 10)...)
	h.Produce(t, b, numbered(0, 10)...)
	h.DeleteRecords(t, a, 4)
	r := NewReader(h.Log(t), a, b)
	r.Positions[a].Offset = 2
	err := r.Error(t, a)
	var e *sources.OffsetOutOfRange
	if !errors.As(err, &e) || !e.Below || e.Asked != 2 || e.Earliest != 4 || e.TopicPartition != a || !sources.Permanent(err) {
		t.Fatalf("got %v", err)
	}
	r.CatchUp(t)
	same(t, r.Records[b], numbered(0, 10))
	bounds, err := r.Log.Bounds(Context(t), a)
	if err != nil || bounds[a].Earliest != 4 || bounds[a].End != 10 {
		t.Fatalf("got %+v, %v", bounds, err)
	}
	again := NewReader(r.Log, a)
	again.Positions[a].Offset = 4
	again.CatchUp(t)
	same(t, again.Records[a], numbered(4, 6))
}

// byTime: the first record at or after a time, in the order of the log and not of the times, as far as a reader gets.
func byTime(t *testing.T, h Harness) {
	h.CreateTopic(t, "orders", 3)
	a, b, c := at("orders", 0), at("orders", 1), at("orders", 2)
	h.Produce(t, a, numbered(0, 10)...)
	// Producers' clocks differ.
	h.Produce(t, b, numbered(20, 2)...)
	h.Produce(t, b, numbered(0, 5)...)
	log, ok := h.Log(t).(sources.Timed)
	if !ok {
		t.Fatal("the source finds no positions by time")
	}
	check := func(when int64, want ...int64) {
		t.Helper()
		got, err := log.At(Context(t), time.UnixMilli(epoch+when), a, b, c)
		if err != nil {
			t.Fatal(err)
		}
		for i, tp := range []event.TopicPartition{a, b, c} {
			if got[tp] != want[i] {
				t.Errorf("%d ms: %s is at %d, want %d", when, tp, got[tp], want[i])
			}
		}
	}
	check(-1_000_000, 0, 0, 0)
	check(0, 0, 0, 0)
	check(4, 4, 0, 0)
	check(9, 9, 0, 0)
	check(10, 10, 0, 0)
	check(21, 10, 1, 0)
	check(22, 10, 7, 0)
	// What a transaction holds back is behind the end.
	finish := h.Open(t, c, numbered(50, 2)...)
	check(50, 10, 7, 0)
	check(60, 10, 7, 0)
	finish()
	// A broker lets go of it a little after it has said so.
	reader := NewReader(h.Log(t), c)
	reader.Until(t, func() bool { return len(reader.Records[c]) == 2 })
	check(50, 10, 7, 0)
	check(51, 10, 7, 1)
	h.DeleteRecords(t, a, 6)
	check(4, 6, 0, 0)
}

func beyond(t *testing.T, h Harness) {
	h.CreateTopic(t, "orders", 2)
	a, b := at("orders", 0), at("orders", 1)
	h.Produce(t, a, numbered(0, 3)...)
	h.Produce(t, b, numbered(0, 3)...)
	r := NewReader(h.Log(t), a, b)
	r.Positions[a].Offset = 100
	err := r.Error(t, a)
	var e *sources.OffsetOutOfRange
	if !errors.As(err, &e) || e.Below || e.Asked != 100 || e.End != 3 {
		t.Fatalf("got %v", err)
	}
	same(t, r.Records[b], numbered(0, 3))
}

func recreated(t *testing.T, h Harness) {
	h.CreateTopic(t, "orders", 1)
	h.CreateTopic(t, "payments", 1)
	tp, other := at("orders", 0), at("payments", 0)
	h.Produce(t, tp, numbered(0, 3)...)
	r := NewReader(h.Log(t), tp, other)
	before, err := r.Log.Describe(Context(t), "orders")
	if err != nil {
		t.Fatal(err)
	}
	r.Positions[tp].TopicID = before["orders"].ID
	r.CatchUp(t)

	h.DeleteTopic(t, "orders")
	h.CreateTopic(t, "orders", 1)
	h.Produce(t, tp, numbered(50, 5)...)
	h.Produce(t, other, numbered(0, 1)...)
	err = r.Error(t, tp)
	var e *sources.TopicRecreated
	if !errors.As(err, &e) || e.Topic != "orders" || e.WasID != before["orders"].ID || e.NowID == e.WasID || !sources.Permanent(err) {
		t.Fatalf("got %v", err)
	}
	same(t, r.Records[tp], numbered(0, 3))
	r.CatchUp(t)
	same(t, r.Records[other], numbered(0, 1))

	fresh := NewReader(h.Log(t), tp)
	fresh.CatchUp(t)
	same(t, fresh.Records[tp], numbered(50, 5))
}

func missing(t *testing.T, h Harness) {
	h.CreateTopic(t, "orders", 1)
	h.Produce(t, at("orders", 0), numbered(0, 3)...)
	r := NewReader(h.Log(t), at("orders", 0), at("payments", 0))
	err := r.Error(t, at("payments", 0))
	if sources.ReasonOf(err) != sources.ReasonTopicMissing || sources.Permanent(err) {
		t.Fatalf("got %v", err)
	}
	same(t, r.Records[at("orders", 0)], numbered(0, 3))
	h.CreateTopic(t, "payments", 1)
	h.Produce(t, at("payments", 0), numbered(0, 2)...)
	delete(r.Errors, at("payments", 0))
	r.Until(t, func() bool {
		clear(r.Errors)
		return len(r.Records[at("payments", 0)]) == 2
	})
}

func closing(t *testing.T, h Harness) {
	h.CreateTopic(t, "orders", 1)
	log := h.Log(t)
	ctx := Context(t)
	if _, err := log.Describe(ctx, "orders"); err != nil {
		t.Fatal(err)
	}
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := log.Fetch(canceled, []sources.Position{{TopicPartition: at("orders", 0), LeaderEpoch: -1}}); !errors.Is(err, context.Canceled) {
		t.Errorf("a canceled fetch gives %v", err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := log.Fetch(ctx, []sources.Position{{TopicPartition: at("orders", 0), LeaderEpoch: -1}}); !errors.Is(err, sources.ErrClosed) {
		t.Errorf("a fetch after Close gives %v", err)
	}
	if err := log.Close(); err != nil {
		t.Errorf("a second Close gives %v", err)
	}
}
