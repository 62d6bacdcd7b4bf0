// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"maps"
	"sync"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
)

// Status tells where this process stands. Identity fields are the caller's to fill in.
func (e *Engine) Status() contract.ProjectorStatus {
	e.mu.Lock()
	st := contract.ProjectorStatus{
		Version: contract.Version, Source: e.source, Store: e.store,
		TopicPartitions: maps.Clone(e.counts), Partitions: []contract.PartitionStatus{},
	}
	s := e.session
	e.mu.Unlock()
	st.EventsTotal, st.RowsTotal, st.EventsPerSecond = e.rate.snapshot(time.Now())
	if s != nil {
		s.mu.Lock()
		for _, p := range s.order {
			st.Partitions = append(st.Partitions, p.status(time.Now(), s.e.cfg.StalledTransactionAfter, sampleAges*s.e.cfg.WatchInterval))
		}
		s.mu.Unlock()
	}
	return st
}

// sampleAges is how many intervals old a sample of the log's end may be and
// still count: a log that cannot be seen is not one that we are at the end of.
const sampleAges = 5

func (p *partition) status(now time.Time, stalledAfter, maxAge time.Duration) contract.PartitionStatus {
	st := contract.PartitionStatus{
		Topic: p.tp.Topic, Partition: p.tp.Partition,
		Position: contract.OffsetPosition(p.claim.Next), EventTime: p.claim.EventTime, UpdatedAt: p.sampledAt.UTC(),
		Waiting: p.fault,
	}
	if p.claim.Begin > 0 {
		st.Begin = contract.OffsetPosition(p.claim.Begin)
	}
	if p.stop != nil && p.outstanding == 0 {
		stop := *p.stop
		st.Stopped = &stop
	}
	if p.sampledAt.IsZero() {
		st.UpdatedAt = time.Time{}
	} else {
		st.End, st.Lag = contract.OffsetPosition(p.end), p.lag(now, stalledAfter)
		st.CaughtUp = p.caughtUp(now, stalledAfter, maxAge)
	}
	switch {
	case p.stop != nil || st.Waiting != "":
	case p.wait != nil:
		st.Waiting = p.wait.cause.Error()
	case !p.claimed:
		st.Waiting = "Fenced: another projector claims this partition"
		if p.lostAt.IsZero() || p.lostRow.Free() {
			st.Waiting = "Claiming: the partition is being claimed"
		}
	case p.limit != noLimit && p.claim.Next >= p.limit:
		st.Waiting = "Barrier: the topic has grown; waiting for all earlier partitions to reach their end at that time"
	case p.stalled(now, stalledAfter):
		st.Waiting = "SourceStalled: a producer's open transaction holds back the events after this position; " +
			"find it with kafka-transactions and abort it, or wait for transaction.timeout.ms"
		st.CaughtUp = false
	}
	return st
}

// stalled says that an open transaction at the source is all that holds the partition up.
func (p *partition) stalled(now time.Time, after time.Duration) bool {
	return !p.gapSince.IsZero() && now.Sub(p.gapSince) >= after && p.claim.Next >= p.end
}

// lag is the number of positions to the end, or, behind a transaction that has
// been open for long, to what it holds back: that is not lag 0.
func (p *partition) lag(now time.Time, stalledAfter time.Duration) int64 {
	end := p.end
	if p.stalled(now, stalledAfter) {
		end = p.highWatermark
	}
	return max(0, end-p.claim.Next)
}

// rateWindow is the length of the window of events per second.
const rateWindow = 10

// rate counts in one-second slots.
type rate struct {
	mu           sync.Mutex
	events, rows int64
	slots        [rateWindow]int64
	slotSecond   [rateWindow]int64
	firstSecond  int64
}

func (r *rate) add(now time.Time, events, rows int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	sec := now.Unix()
	if r.firstSecond == 0 {
		r.firstSecond = sec
	}
	i := sec % rateWindow
	if r.slotSecond[i] != sec {
		r.slotSecond[i], r.slots[i] = sec, 0
	}
	r.slots[i] += int64(events)
	r.events += int64(events)
	r.rows += int64(rows)
}

func (r *rate) snapshot(now time.Time) (events, rows int64, perSecond float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	sec, sum := now.Unix(), int64(0)
	for i, s := range r.slotSecond {
		if sec-s < rateWindow {
			sum += r.slots[i]
		}
	}
	return r.events, r.rows, float64(sum) / float64(min(rateWindow, max(1, sec-r.firstSecond+1)))
}

func (e *Engine) counted(events, applied, rows int) {
	now := time.Now()
	e.rate.add(now, events, rows)
	e.mu.Lock()
	e.progress = now
	e.mu.Unlock()
	e.metrics.events.WithLabelValues("applied").Add(float64(applied))
	e.metrics.events.WithLabelValues("ignored").Add(float64(events - applied))
	e.metrics.rows.Add(float64(rows))
	e.metrics.commits.Inc()
}
