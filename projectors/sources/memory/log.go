// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/sources"
)

// Log is one client's view of a Broker. It is a sources.Log.
type Log struct {
	// MaxRecords bounds a batch; 500 when zero.
	MaxRecords int
	// MaxWait is how long Fetch waits for news; 100 ms when zero.
	MaxWait time.Duration

	b      *Broker
	closed chan struct{}
	bounds map[event.TopicPartition]sources.Bounds
}

var (
	_ sources.Log   = (*Log)(nil)
	_ sources.Timed = (*Log)(nil)
)

// Log makes a client.
func (b *Broker) Log() *Log {
	return &Log{b: b, closed: make(chan struct{}), bounds: map[event.TopicPartition]sources.Bounds{}}
}

// Close implements sources.Log.
func (l *Log) Close() error {
	l.b.mu.Lock()
	defer l.b.mu.Unlock()
	if !l.isClosed() {
		close(l.closed)
	}
	return nil
}

func (l *Log) isClosed() bool {
	select {
	case <-l.closed:
		return true
	default:
		return false
	}
}

// Describe implements sources.Log.
func (l *Log) Describe(ctx context.Context, topics ...string) (map[string]sources.TopicInfo, error) {
	if err := l.begin(ctx, "Describe"); err != nil {
		return nil, err
	}
	l.b.mu.Lock()
	defer l.b.mu.Unlock()
	out := map[string]sources.TopicInfo{}
	var errs []error
	for _, name := range topics {
		if t := l.b.topics[name]; t != nil {
			out[name] = sources.TopicInfo{ID: t.id, Partitions: int32(len(t.parts))}
		} else {
			errs = append(errs, &sources.TopicMissing{Topic: name, BrokerTopic: name})
		}
	}
	return out, errors.Join(errs...)
}

func (l *Log) begin(ctx context.Context, op string) error {
	if l.isClosed() {
		return sources.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return l.b.faulty(op, event.TopicPartition{})
}

// Bounds implements sources.Log.
func (l *Log) Bounds(ctx context.Context, parts ...event.TopicPartition) (map[event.TopicPartition]sources.Bounds, error) {
	if err := l.begin(ctx, "Bounds"); err != nil {
		return nil, err
	}
	l.b.mu.Lock()
	defer l.b.mu.Unlock()
	out := make(map[event.TopicPartition]sources.Bounds, len(parts))
	for _, tp := range parts {
		t := l.b.topics[tp.Topic]
		if t == nil || int(tp.Partition) >= len(t.parts) {
			return nil, &sources.TopicMissing{Topic: tp.Topic, BrokerTopic: tp.Topic}
		}
		out[tp] = t.parts[tp.Partition].bounds()
	}
	return out, nil
}

// At implements sources.Timed.
func (l *Log) At(ctx context.Context, t time.Time, parts ...event.TopicPartition) (map[event.TopicPartition]int64, error) {
	bounds, err := l.Bounds(ctx, parts...)
	if err != nil {
		return nil, err
	}
	l.b.mu.Lock()
	defer l.b.mu.Unlock()
	out := make(map[event.TopicPartition]int64, len(parts))
	for _, tp := range parts {
		out[tp] = bounds[tp].End
		for _, r := range l.b.topics[tp.Topic].parts[tp.Partition].records {
			if r.Offset < out[tp] && r.Timestamp >= t.UnixMilli() {
				out[tp] = r.Offset
			}
		}
	}
	return out, nil
}

func (p *partition) bounds() sources.Bounds {
	return sources.Bounds{Earliest: p.earliest, End: p.lastStable(), HighWatermark: p.next}
}

// Fetch implements sources.Log.
func (l *Log) Fetch(ctx context.Context, positions []sources.Position) ([]sources.Result, error) {
	wait := l.MaxWait
	if wait == 0 {
		wait = 100 * time.Millisecond
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		if err := l.begin(ctx, "Fetch"); err != nil {
			return nil, err
		}
		var out []sources.Result
		faults := map[event.TopicPartition]error{}
		for _, pos := range positions {
			if err := l.b.faulty("Fetch", pos.TopicPartition); err != nil {
				faults[pos.TopicPartition] = err
			}
		}
		l.b.mu.Lock()
		changed := l.b.changed
		for _, pos := range positions {
			r := sources.Result{Batch: event.Batch{
				TopicPartition: pos.TopicPartition, First: pos.Offset, Next: pos.Offset, LeaderEpoch: pos.LeaderEpoch, End: -1, HighWatermark: -1,
			}}
			news := true
			if r.Err = faults[pos.TopicPartition]; r.Err == nil {
				news, r.Err = l.read(&r.Batch, pos)
			}
			if news || r.Err != nil {
				out = append(out, r)
			}
		}
		l.b.mu.Unlock()
		if len(out) > 0 {
			return out, nil
		}
		select {
		case <-changed:
		case <-timer.C:
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-l.closed:
			return nil, sources.ErrClosed
		}
	}
}

// read must be called with the broker's mu held.
func (l *Log) read(batch *event.Batch, pos sources.Position) (bool, error) {
	tp := pos.TopicPartition
	t := l.b.topics[tp.Topic]
	switch {
	case t == nil || int(tp.Partition) >= len(t.parts):
		return true, &sources.TopicMissing{Topic: tp.Topic, BrokerTopic: tp.Topic}
	case pos.TopicID != "" && pos.TopicID != t.id:
		return true, &sources.TopicRecreated{Topic: tp.Topic, WasID: pos.TopicID, NowID: t.id}
	}
	p := t.parts[tp.Partition]
	if end := p.end(pos.LeaderEpoch); pos.LeaderEpoch >= 0 && pos.Offset > end {
		return true, &sources.LogTruncated{TopicPartition: tp, Asked: pos.Offset, LeaderEpoch: pos.LeaderEpoch, EndOffset: end}
	}
	if pos.Offset < p.earliest || pos.Offset > p.next {
		return true, &sources.OffsetOutOfRange{TopicPartition: tp, Asked: pos.Offset, Earliest: p.earliest, End: p.next, Below: pos.Offset < p.earliest}
	}
	limit := l.MaxRecords
	if limit == 0 {
		limit = 500
	}
	batch.End, batch.HighWatermark = p.lastStable(), p.next
	from, _ := slices.BinarySearchFunc(p.records, pos.Offset, func(r event.Record, o int64) int {
		switch {
		case r.Offset < o:
			return -1
		case r.Offset > o:
			return 1
		}
		return 0
	})
	batch.Next = max(pos.Offset, batch.End)
	for _, r := range p.records[from:] {
		if r.Offset >= batch.End {
			break
		}
		if len(batch.Records) == limit {
			batch.Next = r.Offset
			break
		}
		batch.Records = append(batch.Records, r)
		batch.Bytes += len(r.Key) + len(r.Value)
		for _, h := range r.Headers {
			batch.Bytes += len(h.Key) + len(h.Value)
		}
	}
	moved := batch.Next > pos.Offset
	batch.Compacted = slices.ContainsFunc(p.compacted, func(o int64) bool { return o >= pos.Offset && o < batch.Next })
	if moved {
		batch.LeaderEpoch = p.epochAt(batch.Next - 1)
	}
	now := p.bounds()
	news := moved || l.bounds[tp] != now
	l.bounds[tp] = now
	return news, nil
}
