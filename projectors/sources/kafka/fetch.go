// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package kafka

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/sources"
	"github.com/projectionist-dev/projectionist/projectors/sources/kafka/recordbatch"
)

const (
	firstBackoff = 50 * time.Millisecond
	maxBackoff   = 2 * time.Second
	// errorInterval is the pause before a partition that gave an error is asked
	// again: a reader that keeps asking must not spin.
	errorInterval = time.Second
	// waitSlack is how much longer than FetchMaxWait a call waits for its flights.
	waitSlack = 500 * time.Millisecond
)

// partition is what the Log remembers of one between calls. It is guarded by Log.mu.
type partition struct {
	served    int64 // when it last gave records, as a count
	end, high int64 // as last reported
	failing   time.Time
	beyond    time.Time
	backoff   time.Duration
	retryAt   time.Time
}

func (p *partition) ok() {
	p.failing, p.beyond, p.backoff, p.retryAt = time.Time{}, time.Time{}, 0, time.Time{}
}

func (p *partition) wait(now time.Time) {
	p.backoff = min(max(2*p.backoff, firstBackoff), maxBackoff)
	p.retryAt = now.Add(p.backoff)
}

// call is one Fetch under way.
type call struct {
	l       *Log
	asked   map[event.TopicPartition]sources.Position
	results []sources.Result
	retryAt time.Time // the earliest of those that wait
	byName  bool      // some of the results came from a fetch by name
	signal  chan struct{}
}

// Fetch implements sources.Log.
func (l *Log) Fetch(ctx context.Context, positions []sources.Position) ([]sources.Result, error) {
	ctx, cancel := l.bind(ctx)
	defer cancel()
	m, err := l.metadata(ctx, time.Time{})
	if err != nil {
		return nil, err
	}
	c := &call{l: l, asked: make(map[event.TopicPartition]sources.Position, len(positions)), signal: make(chan struct{}, 1)}
	for _, p := range positions {
		c.asked[p.TopicPartition] = p
	}
	if len(c.asked) != len(positions) {
		return nil, errors.New("kafka: a partition is asked for twice in one fetch")
	}
	if m, err = c.confirmIDs(ctx, m); err != nil {
		return nil, err
	}
	byLeader, err := c.plan(m)
	if err != nil {
		return nil, err
	}
	flights, err := c.launch(byLeader)
	if err != nil {
		return nil, err
	}
	return c.collect(ctx, flights)
}

// confirmIDs asks for new metadata when what is cached contradicts a position's
// topic id: the cache may be the older of the two.
func (c *call) confirmIDs(ctx context.Context, m *clusterMeta) (*clusterMeta, error) {
	for _, p := range c.asked {
		t := m.topics[c.l.cfg.Topics[p.Topic]]
		if p.TopicID != "" && t != nil && t.id != (topicID{}) && t.id.String() != p.TopicID && time.Since(m.at) > errorInterval {
			return c.l.metadata(ctx, time.Now())
		}
	}
	return m, nil
}

func (c *call) fail(tp event.TopicPartition, err error) {
	p := c.asked[tp]
	c.results = append(c.results, sources.Result{
		Batch: event.Batch{TopicPartition: tp, First: p.Offset, Next: p.Offset, LeaderEpoch: p.LeaderEpoch, End: -1, HighWatermark: -1},
		Err:   err,
	})
}

// state must be called with Log.mu held.
func (l *Log) state(tp event.TopicPartition) *partition {
	p := l.parts[tp]
	if p == nil {
		p = &partition{end: -1, high: -1}
		l.parts[tp] = p
	}
	return p
}

// plan groups the partitions that can be asked now by leader, those that waited
// longest for records first.
func (c *call) plan(m *clusterMeta) (map[string][]planned, error) {
	l := c.l
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	byLeader := map[string][]planned{}
	for tp, pos := range c.asked {
		st := l.state(tp)
		if now.Before(st.retryAt) {
			c.noteRetry(st)
			continue
		}
		addr, w, err := l.locate(m, tp)
		var again *retryError
		switch {
		case errors.As(err, &again):
			c.transient(tp, st, now, again.lasting)
			continue
		case sources.ReasonOf(err) != "":
			st.retryAt = now.Add(errorInterval)
			c.fail(tp, err)
			continue
		case err != nil:
			return nil, err
		}
		if id, ok := parseTopicID(pos.TopicID); ok && w.id != (topicID{}) && id != w.id {
			st.retryAt = now.Add(errorInterval)
			c.fail(tp, &sources.TopicRecreated{Topic: tp.Topic, WasID: pos.TopicID, NowID: w.id.String()})
			continue
		}
		w.offset, w.lastEpoch = pos.Offset, pos.LeaderEpoch
		byLeader[addr] = append(byLeader[addr], planned{tp, w, st.served})
	}
	for _, ps := range byLeader {
		slices.SortFunc(ps, func(a, b planned) int {
			return cmp.Or(cmp.Compare(a.served, b.served), a.tp.Compare(b.tp))
		})
	}
	return byLeader, nil
}

type planned struct {
	tp     event.TopicPartition
	w      wanted
	served int64
}

// noteRetry must be called with Log.mu held.
func (c *call) noteRetry(st *partition) {
	if c.retryAt.IsZero() || st.retryAt.Before(c.retryAt) {
		c.retryAt = st.retryAt
	}
}

// transient notes a fault that new metadata, or a moment, should mend. When it
// lasts it becomes the partition's error. It must be called with Log.mu held.
func (c *call) transient(tp event.TopicPartition, st *partition, now time.Time, lasting error) {
	l := c.l
	l.stale = true
	if st.failing.IsZero() {
		st.failing = now
	}
	st.wait(now)
	grace := l.cfg.LeaderGrace
	if sources.ReasonOf(lasting) == sources.ReasonTopicMissing {
		// Brokers learn of a new topic within moments; metadata is asked each time.
		grace = min(grace, 3*time.Second)
	}
	if now.Sub(st.failing) >= grace {
		st.retryAt = now.Add(errorInterval)
		c.fail(tp, lasting)
		return
	}
	c.noteRetry(st)
	l.cfg.Logf("%s: %v", tp, lasting)
}

// launch takes over the parked flights that ask for what this call wants, and
// starts one per leader for the rest.
func (c *call) launch(byLeader map[string][]planned) ([]*flight, error) {
	l := c.l
	var flights []*flight
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, sources.ErrClosed
	}
	covered := map[event.TopicPartition]bool{}
	kept := l.parked[:0]
	for _, f := range l.parked {
		useful := false
		for tp, w := range f.asked {
			if p, ok := c.asked[tp]; ok && p.Offset == w.offset && !covered[tp] {
				covered[tp], useful = true, true
			}
		}
		switch {
		case useful:
			flights = append(flights, f)
		case f.finished():
			f.discard()
		default:
			kept = append(kept, f)
		}
	}
	clear(l.parked[len(kept):])
	l.parked = kept
	for addr, ps := range byLeader {
		f := &flight{addr: addr, asked: map[event.TopicPartition]wanted{}}
		parts := make([]wanted, 0, len(ps))
		for _, p := range ps {
			if !covered[p.tp] {
				f.asked[p.tp] = p.w
				parts = append(parts, p.w)
			}
		}
		if len(parts) > 0 {
			flights = append(flights, f)
			l.tasks.Go(func() { l.run(l.life, f, parts) })
		}
	}
	for _, f := range flights {
		f.watch(c.signal)
	}
	return flights, nil
}

// collect waits for the first news and takes all that has arrived with it.
func (c *call) collect(ctx context.Context, flights []*flight) ([]sources.Result, error) {
	l := c.l
	limit := time.NewTimer(l.cfg.FetchMaxWait + waitSlack)
	defer limit.Stop()
	for {
		pending := flights[:0:0]
		for _, f := range flights {
			if f.finished() {
				c.take(ctx, f)
			} else {
				pending = append(pending, f)
			}
		}
		flights = pending
		if len(c.results) > 0 {
			break
		}
		var retry <-chan time.Time
		if len(flights) == 0 {
			// The round ends; what is left to wait for is the earliest second try.
			wait := time.Duration(0)
			if !c.retryAt.IsZero() {
				wait = min(time.Until(c.retryAt), l.cfg.FetchMaxWait)
			} else if len(c.asked) == 0 {
				wait = l.cfg.FetchMaxWait
			}
			if wait <= 0 {
				break
			}
			t := time.NewTimer(wait)
			defer t.Stop()
			retry = t.C
		}
		select {
		case <-c.signal:
			continue
		case <-retry:
		case <-limit.C:
		case <-ctx.Done():
		}
		break
	}
	l.mu.Lock()
	closed := l.closed
	if !closed {
		l.parked = append(l.parked, flights...)
	}
	l.mu.Unlock()
	if len(c.results) == 0 {
		if closed {
			return nil, sources.ErrClosed
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	if c.byName {
		if err := c.confirmTopics(ctx); err != nil {
			return nil, err
		}
	}
	return c.results, nil
}

// confirmTopics makes sure that what a broker before 3.1 gave for a name is of
// the topic that the position belongs to: ids are never used twice, so that an
// id seen after the fetch was the topic's at the fetch.
func (c *call) confirmTopics(ctx context.Context) error {
	m, err := c.l.metadata(ctx, time.Now())
	if err != nil {
		for i := range c.results {
			c.results[i].Batch.Release()
		}
		return err
	}
	for i := range c.results {
		r := &c.results[i]
		pos := c.asked[r.Batch.TopicPartition]
		t := m.topics[c.l.cfg.Topics[r.Batch.Topic]]
		if r.Err != nil || pos.TopicID == "" || t != nil && (t.id.String() == pos.TopicID || t.id == (topicID{}) && t.code == 0) {
			continue
		}
		r.Batch.Release()
		r.Batch.Next, r.Batch.LeaderEpoch, r.Batch.Bytes = pos.Offset, pos.LeaderEpoch, 0
		if t == nil || t.id == (topicID{}) {
			r.Err = &sources.TopicMissing{Topic: pos.Topic, BrokerTopic: c.l.cfg.Topics[pos.Topic]}
		} else {
			r.Err = &sources.TopicRecreated{Topic: pos.Topic, WasID: pos.TopicID, NowID: t.id.String()}
		}
	}
	return nil
}

var decoders = sync.Pool{New: func() any { return new(recordbatch.Decoder) }}

// take turns the answers of a finished flight into results.
func (c *call) take(ctx context.Context, f *flight) {
	defer f.discard()
	l := c.l
	now := time.Now()
	if f.err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		for tp := range f.asked {
			if p, ok := c.asked[tp]; !ok || p.Offset != f.asked[tp].offset {
				continue
			}
			st := l.state(tp)
			if sources.ReasonOf(f.err) == sources.ReasonUnreachable {
				c.transient(tp, st, now, f.err)
			} else if l.life.Err() == nil {
				st.retryAt = now.Add(errorInterval)
				c.fail(tp, f.err)
			}
		}
		return
	}
	for tp, w := range f.asked {
		pos, ok := c.asked[tp]
		if !ok || pos.Offset != w.offset {
			continue
		}
		a := f.answers[partitionKey{w.topic, w.partition}]
		if a == nil {
			a = &fetchAnswer{code: int16(kafka.Unknown)}
		}
		switch {
		case a.code == 0 && a.diverging:
			c.permanent(tp, now, &sources.LogTruncated{TopicPartition: tp, Asked: pos.Offset, LeaderEpoch: pos.LeaderEpoch, EndOffset: a.divergeEnd})
		case a.code == 0:
			c.decode(tp, pos, f, a, now)
		case a.code == int16(kafka.OffsetOutOfRange):
			c.outOfRange(ctx, tp, pos, now)
		default:
			c.refused(tp, w, f.addr, a.code, now)
		}
	}
}

func (c *call) permanent(tp event.TopicPartition, now time.Time, err error) {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	c.l.state(tp).retryAt = now.Add(errorInterval)
	c.fail(tp, err)
}

func (c *call) decode(tp event.TopicPartition, pos sources.Position, f *flight, a *fetchAnswer, now time.Time) {
	l := c.l
	set := recordbatch.NewSet()
	dec, _ := decoders.Get().(*recordbatch.Decoder)
	dec.MaxDecompressed = l.cfg.MaxBatchBytes
	err := dec.Decode(set, a.records, pos.Offset, a.aborted)
	decoders.Put(dec)
	moved := set.Next > pos.Offset
	if err != nil && !moved {
		set.Release()
		c.permanent(tp, now, badBatch(tp, err))
		return
	}

	l.mu.Lock()
	st := l.state(tp)
	st.ok()
	news := st.end != a.lastStable || st.high != a.highWatermark
	st.end, st.high = a.lastStable, a.highWatermark
	if moved {
		l.served++
		st.served = l.served
	} else if len(a.records) > 0 {
		// Not one whole batch: the broker will say the same at once.
		st.wait(now)
		c.noteRetry(st)
	}
	l.mu.Unlock()
	if !moved && !news {
		set.Release()
		return
	}
	epoch := set.LeaderEpoch
	if epoch < 0 {
		epoch = pos.LeaderEpoch
	}
	b := event.Batch{
		TopicPartition: tp, First: pos.Offset, Next: set.Next, Records: set.Records, Compacted: set.Compacted, LeaderEpoch: epoch,
		Bytes: set.Bytes, End: a.lastStable, HighWatermark: a.highWatermark,
	}
	buf := f.buf
	buf.retain()
	b.Free = func() {
		set.Release()
		buf.release()
	}
	c.byName = c.byName || f.byName && pos.TopicID != ""
	c.results = append(c.results, sources.Result{Batch: b})
}
