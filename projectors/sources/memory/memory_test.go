// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/sources"
	"github.com/projectionist-dev/projectionist/projectors/sources/memory"
	"github.com/projectionist-dev/projectionist/projectors/sources/sourcetest"
)

type harness struct{ *memory.Broker }

func (h harness) Log(t testing.TB) sources.Log {
	l := h.Broker.Log()
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func (h harness) Join(t testing.TB, group string) sources.Group {
	m := h.Broker.Join(group, sourcetest.Topics...)
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func (h harness) CreateTopic(_ testing.TB, name string, partitions int32) {
	h.Broker.CreateTopic(name, partitions)
}
func (h harness) DeleteTopic(_ testing.TB, name string)            { h.Broker.DeleteTopic(name) }
func (h harness) Grow(_ testing.TB, name string, partitions int32) { h.Broker.Grow(name, partitions) }
func (h harness) DeleteRecords(_ testing.TB, tp event.TopicPartition, before int64) {
	h.Broker.DeleteRecords(tp, before)
}

func (h harness) Produce(_ testing.TB, tp event.TopicPartition, rs ...event.Record) {
	h.Append(tp, rs...)
}

func (h harness) Commit(_ testing.TB, tp event.TopicPartition, rs ...event.Record) {
	h.Append(tp, rs...)
	h.Skip(tp, 1)
}

func (h harness) Abort(_ testing.TB, tp event.TopicPartition, rs ...event.Record) {
	h.Skip(tp, int64(len(rs))+1)
}

func (h harness) Open(_ testing.TB, tp event.TopicPartition, rs ...event.Record) func() {
	h.Broker.Open(tp)
	h.Append(tp, rs...)
	return func() {
		h.Skip(tp, 1)
		h.Broker.Commit(tp)
	}
}

func TestConformance(t *testing.T) {
	sourcetest.Run(t, func(*testing.T) sourcetest.Harness { return harness{memory.NewBroker()} })
}

func TestTruncation(t *testing.T) {
	b := memory.NewBroker()
	b.CreateTopic("orders", 1)
	tp := event.TopicPartition{Topic: "orders"}
	b.Append(tp, make([]event.Record, 10)...)
	log := b.Log()
	r := sourcetest.NewReader(log, tp)
	r.CatchUp(t)
	if e := r.Positions[tp].LeaderEpoch; e != 0 {
		t.Fatalf("epoch %d", e)
	}
	b.Elect(tp)
	b.Append(tp, make([]event.Record, 2)...)
	r.CatchUp(t)
	if e := r.Positions[tp].LeaderEpoch; e != 1 || len(r.Records[tp]) != 12 {
		t.Fatalf("epoch %d after an election, %d records", e, len(r.Records[tp]))
	}
	b.Truncate(tp, 5)
	b.Append(tp, make([]event.Record, 20)...)
	err := r.Error(t, tp)
	var e *sources.LogTruncated
	if !errors.As(err, &e) || e.EndOffset != 5 || e.Asked != 12 {
		t.Fatalf("got %v", err)
	}
}

func TestFaults(t *testing.T) {
	b := memory.NewBroker()
	b.CreateTopic("orders", 2)
	a, c := event.TopicPartition{Topic: "orders"}, event.TopicPartition{Topic: "orders", Partition: 1}
	b.Append(a, make([]event.Record, 3)...)
	b.Append(c, make([]event.Record, 3)...)
	broken := &sources.Unreachable{Address: "x", Err: errors.New("down")}
	b.SetFault(func(op string, tp event.TopicPartition) error {
		if op == "Fetch" && tp == a {
			return broken
		}
		return nil
	})
	r := sourcetest.NewReader(b.Log(), a, c)
	if err := r.Error(t, a); !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
	r.CatchUp(t)
	if len(r.Records[a]) != 0 || len(r.Records[c]) != 3 {
		t.Fatalf("%d and %d records", len(r.Records[a]), len(r.Records[c]))
	}
	b.SetFault(nil)
	clear(r.Errors)
	r.CatchUp(t)
	if len(r.Records[a]) != 3 {
		t.Fatalf("%d records after the fault", len(r.Records[a]))
	}
}

// What is compacted is told from what transactions leave.
func TestCompact(t *testing.T) {
	b := memory.NewBroker()
	b.CreateTopic("orders", 1)
	tp := event.TopicPartition{Topic: "orders"}
	for _, key := range []string{"a", "b", "a", "b", "a"} {
		b.Append(tp, event.Record{Key: []byte(key)})
	}
	b.Skip(tp, 2)
	read := func(from int64) (offsets []int64, compacted bool) {
		r := sourcetest.NewReader(b.Log(), tp)
		r.Positions[tp].Offset = from
		r.CatchUp(t)
		for _, rec := range r.Records[tp] {
			offsets = append(offsets, rec.Offset)
		}
		return offsets, r.Compacted[tp]
	}
	if got, compacted := read(0); len(got) != 5 || compacted {
		t.Errorf("%v, compacted %t", got, compacted)
	}
	b.Compact(tp, 3)
	if got, compacted := read(0); !slices.Equal(got, []int64{3, 4}) || !compacted {
		t.Errorf("%v, compacted %t", got, compacted)
	}
	if got, compacted := read(3); !slices.Equal(got, []int64{3, 4}) || compacted {
		t.Errorf("%v, compacted %t", got, compacted)
	}
}
