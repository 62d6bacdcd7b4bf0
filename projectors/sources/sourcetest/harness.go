// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package sourcetest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/sources"
)

// Topics are the EventTopics that a harness's clients are configured with.
// They exist only once created.
var Topics = []string{"orders", "payments"}

// Harness makes things happen at a broker. Its methods fail the test when they
// cannot. Each test has a harness with no topics and no groups.
type Harness interface {
	// Log gives a client for Topics, closed when the test ends.
	Log(t testing.TB) sources.Log
	// Join adds a member to a group that reads Topics, closed when the test ends.
	Join(t testing.TB, group string) sources.Group

	CreateTopic(t testing.TB, name string, partitions int32)
	DeleteTopic(t testing.TB, name string)
	// Grow adds partitions up to the number given.
	Grow(t testing.TB, name string, partitions int32)
	DeleteRecords(t testing.TB, tp event.TopicPartition, before int64)

	// Produce appends records.
	Produce(t testing.TB, tp event.TopicPartition, records ...event.Record)
	// Commit appends records in a transaction, Abort does and takes them back.
	Commit(t testing.TB, tp event.TopicPartition, records ...event.Record)
	Abort(t testing.TB, tp event.TopicPartition, records ...event.Record)
	// Open appends records in a transaction that stays open until finish.
	Open(t testing.TB, tp event.TopicPartition, records ...event.Record) (finish func())
}

// patience bounds every wait of the suite.
const patience = 30 * time.Second

// Context gives one that ends before the test is stuck.
func Context(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// Reader reads on from positions and keeps what it saw.
type Reader struct {
	Log       sources.Log
	Positions map[event.TopicPartition]*sources.Position
	Records   map[event.TopicPartition][]event.Record
	// Bounds are the latest that came with batches.
	Bounds map[event.TopicPartition]sources.Bounds
	// Errors has the last error per partition; a partition with one is asked no more.
	Errors map[event.TopicPartition]error
	// Compacted has the partitions of which a batch says so.
	Compacted map[event.TopicPartition]bool
}

// NewReader begins at offset 0 of each partition.
func NewReader(log sources.Log, parts ...event.TopicPartition) *Reader {
	r := &Reader{
		Log: log, Positions: map[event.TopicPartition]*sources.Position{}, Records: map[event.TopicPartition][]event.Record{},
		Bounds: map[event.TopicPartition]sources.Bounds{}, Errors: map[event.TopicPartition]error{},
		Compacted: map[event.TopicPartition]bool{},
	}
	for _, tp := range parts {
		r.Positions[tp] = &sources.Position{TopicPartition: tp, LeaderEpoch: -1}
	}
	return r
}

// Step fetches once.
func (r *Reader) Step(ctx context.Context, t testing.TB) {
	t.Helper()
	var ask []sources.Position
	for tp, p := range r.Positions {
		if r.Errors[tp] == nil {
			ask = append(ask, *p)
		}
	}
	if len(ask) == 0 {
		t.Fatalf("nothing is left to read: %v", r.Errors)
	}
	slices.SortFunc(ask, func(a, b sources.Position) int { return a.Compare(b.TopicPartition) })
	results, err := r.Log.Fetch(ctx, ask)
	if err != nil {
		t.Fatalf("fetch: %v; asked %+v, bounds %v, errors %v", err, ask, r.Bounds, r.Errors)
	}
	for i := range results {
		r.Take(t, &results[i])
	}
}

// Take checks one result and keeps a copy of its records.
func (r *Reader) Take(t testing.TB, res *sources.Result) {
	t.Helper()
	b := &res.Batch
	tp := b.TopicPartition
	p := r.Positions[tp]
	if p == nil || b.First != p.Offset || b.Next < b.First {
		t.Fatalf("%v: batch [%d, %d) was not asked for", tp, b.First, b.Next)
	}
	if res.Err != nil {
		r.Errors[tp] = res.Err
		return
	}
	r.Compacted[tp] = r.Compacted[tp] || b.Compacted
	size, prev := 0, b.First-1
	for _, rec := range b.Records {
		if rec.Offset <= prev || rec.Offset >= b.Next {
			t.Fatalf("%v: offset %d after %d in batch [%d, %d)", tp, rec.Offset, prev, b.First, b.Next)
		}
		prev = rec.Offset
		size += len(rec.Key) + len(rec.Value)
		c := rec
		c.Key, c.Value, c.Headers = slices.Clone(rec.Key), slices.Clone(rec.Value), nil
		for _, h := range rec.Headers {
			size += len(h.Key) + len(h.Value)
			c.Headers = append(c.Headers, event.Header{Key: h.Key, Value: slices.Clone(h.Value)})
		}
		r.Records[tp] = append(r.Records[tp], c)
	}
	if size != b.Bytes {
		t.Fatalf("%v: batch says %d bytes and holds %d", tp, b.Bytes, size)
	}
	if b.End >= 0 {
		r.Bounds[tp] = sources.Bounds{End: b.End, HighWatermark: b.HighWatermark}
	}
	p.Offset, p.LeaderEpoch = b.Next, b.LeaderEpoch
	b.Release()
}

// CatchUp reads until each partition is at the end that it has now.
func (r *Reader) CatchUp(t testing.TB) {
	t.Helper()
	ctx := Context(t)
	var parts []event.TopicPartition
	for tp := range r.Positions {
		parts = append(parts, tp)
	}
	bounds, err := r.Log.Bounds(ctx, parts...)
	if err != nil {
		t.Fatalf("bounds: %v", err)
	}
	r.Until(t, func() bool {
		for tp, p := range r.Positions {
			if r.Errors[tp] == nil && p.Offset < bounds[tp].End {
				return false
			}
		}
		return true
	})
}

// Until fetches until done.
func (r *Reader) Until(t testing.TB, done func() bool) {
	t.Helper()
	ctx := Context(t)
	for !done() {
		r.Step(ctx, t)
	}
}

// Error reads on until the partition has an error, and gives it.
func (r *Reader) Error(t testing.TB, tp event.TopicPartition) error {
	t.Helper()
	r.Until(t, func() bool { return r.Errors[tp] != nil })
	return r.Errors[tp]
}
