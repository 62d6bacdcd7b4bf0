// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"time"

	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/sources"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// advisoryEvery is how often the broker is told how far the group is.
const advisoryEvery = 5 * time.Second

// watch samples the ends of the log, opens barriers, looks after quiet
// partitions, takes back lost ones and tells lag tools how far we are, until ctx is done.
func (s *session) watch(ctx context.Context) {
	tick := time.NewTicker(s.e.cfg.WatchInterval)
	defer tick.Stop()
	var told time.Time
	looked := time.Now() // they were claimed just now
	for {
		s.sample(ctx)
		if time.Since(looked) >= s.e.cfg.LookInterval {
			looked = time.Now()
			s.look(ctx)
		}
		s.reclaim(ctx)
		if s.waitsAtBarrier() {
			if err := s.applyBarriers(ctx); err != nil {
				s.e.cfg.Logger.Warn("barriers could not be read", "error", err.Error())
			}
		}
		if time.Since(told) >= advisoryEvery {
			told = time.Now()
			s.tell()
		}
		select {
		case <-ctx.Done():
			s.tell()
			return
		case <-tick.C:
		}
	}
}

// sample asks for the ends of the log: a partition without new records gives
// no batch that would carry them.
func (s *session) sample(ctx context.Context) {
	tps := make([]event.TopicPartition, len(s.order))
	for i, p := range s.order {
		tps[i] = p.tp
	}
	if len(tps) == 0 {
		if err := s.e.cfg.Writer.Ping(ctx); err != nil {
			s.failed(ctx, s.e.storeFailed, err)
		} else {
			s.e.storeOK()
		}
		return
	}
	bounds, err := s.e.cfg.Log.Bounds(ctx, tps...)
	if err != nil {
		s.failed(ctx, s.e.sourceFailed, err)
		return
	}
	now := time.Now()
	s.mu.Lock()
	for tp, b := range bounds {
		p := s.parts[tp]
		p.sampled(b.End, b.HighWatermark, now)
		if now.Sub(p.faultAt) > faultFor {
			// Its leader answers, and no fetch fails: a quiet partition gives no
			// batch that would tell.
			p.fault = ""
		}
	}
	s.mu.Unlock()
	s.sourceAnswers()
	s.observeLag()
}

// tell sends the advisory offsets. They are a courtesy for lag tools, so a
// failure is only noted.
func (s *session) tell() {
	offsets := make(map[event.TopicPartition]int64)
	s.mu.Lock()
	for _, p := range s.order {
		if p.claimed {
			offsets[p.tp] = p.claim.Next
		}
	}
	s.mu.Unlock()
	if len(offsets) == 0 || s.gen.CommitAdvisory == nil {
		return
	}
	if err := s.gen.CommitAdvisory(offsets); err != nil {
		s.e.cfg.Logger.Debug("advisory offsets were not committed", "error", err.Error())
	}
}

// reclaim takes back partitions whose new owner has not moved them for ReclaimAfter, and at once those that nobody
// holds: a replacement of rows has ended our claim (CORRECTNESS 8).
func (s *session) reclaim(ctx context.Context) {
	var lost []*partition
	s.mu.Lock()
	for _, p := range s.order {
		if !p.claimed && p.stop == nil && (p.lostRow.Free() || time.Since(p.lostAt) >= s.e.cfg.ReclaimAfter) {
			lost = append(lost, p)
		}
	}
	s.mu.Unlock()
	if len(lost) == 0 {
		return
	}
	rows, err := s.e.cfg.Writer.Peek(ctx)
	if err != nil {
		s.failed(ctx, s.e.storeFailed, err)
		return
	}
	now := make(map[event.TopicPartition]stores.Claim, len(rows))
	for _, r := range rows {
		now[r.TopicPartition] = r
	}
	var claim []event.TopicPartition
	s.mu.Lock()
	for _, p := range lost {
		row, ok := now[p.tp]
		if !ok && len(rows) > 0 {
			s.stopLocked(p, positionMissing(p.claim.Next))
			continue
		}
		if row.Epoch != p.lostRow.Epoch || row.Token != p.lostRow.Token || row.Next != p.lostRow.Next {
			p.lostAt, p.lostRow = time.Now(), row
			continue
		}
		claim = append(claim, p.tp)
	}
	s.mu.Unlock()
	if len(claim) == 0 {
		return
	}
	claims, err := s.e.cfg.Writer.Claim(ctx, s.e.cfg.Owner, claim)
	if err != nil {
		s.failed(ctx, s.e.storeFailed, err)
		return
	}
	s.mu.Lock()
	for _, c := range claims {
		p := s.parts[c.TopicPartition]
		p.claim, p.claimed, p.fetchNext, p.leaderEpoch = c, true, c.Next, c.LeaderEpoch
		p.wait = nil
	}
	s.mu.Unlock()
	s.wakeFetcher()
}

// adoptGrowth makes position rows for partitions that a topic has gained since
// it was prepared, behind a barrier at the ends of those before (CORRECTNESS 1).
// It returns all rows.
func (s *session) adoptGrowth(ctx context.Context, counts map[string]int32, recreated map[string]*sources.TopicRecreated, rows []stores.Claim) ([]stores.Claim, error) {
	known := make(map[string]int32)
	for _, r := range rows {
		known[r.Topic] = max(known[r.Topic], r.Partition+1)
	}
	grown := false
	for topic, n := range counts {
		// Never prepared, or another topic, is not growth; the missing row stops the partition.
		for known[topic] > 0 && known[topic] < n && recreated[topic] == nil {
			after, err := s.adoptStep(ctx, topic, known[topic], n)
			if errors.Is(err, stores.ErrNoPosition) {
				break // a row is missing, which only looks like growth
			}
			if err != nil {
				return nil, err
			}
			known[topic], grown = after, true
		}
	}
	if !grown {
		return rows, nil
	}
	rows, err := s.e.cfg.Writer.Peek(ctx)
	if err != nil {
		s.failed(ctx, s.e.storeFailed, err)
	}
	return rows, err
}

// adoptStep records growth from before to n partitions, and gives how many there
// are now: another member may have seen fewer, and be first.
func (s *session) adoptStep(ctx context.Context, topic string, before, n int32) (int32, error) {
	tps := make([]event.TopicPartition, before)
	for i := range tps {
		tps[i] = event.TopicPartition{Topic: topic, Partition: int32(i)}
	}
	bounds, err := s.e.cfg.Log.Bounds(ctx, tps...)
	if err != nil {
		s.failed(ctx, s.e.sourceFailed, err)
		return 0, err
	}
	barrier := stores.Barrier{Topic: topic, Before: before, After: n}
	for _, tp := range tps {
		// Not the last stable offset: what an open transaction holds back may be older than the growth.
		barrier.Ends = append(barrier.Ends, bounds[tp].HighWatermark)
	}
	recorded, err := s.e.cfg.Writer.AddPartitions(ctx, barrier)
	if err != nil {
		if !errors.Is(err, stores.ErrNoPosition) {
			s.failed(ctx, s.e.storeFailed, err)
		}
		return 0, err
	}
	s.e.cfg.Logger.Info("topic has grown", "topic", topic, "before", before, "after", recorded.After)
	return recorded.After, nil
}

// applyBarriers sets how far each partition may go: an old partition to its
// end at the growth, a new one nowhere, until all old ones have arrived.
func (s *session) applyBarriers(ctx context.Context) error {
	barriers, err := s.e.cfg.Writer.Barriers(ctx)
	if err != nil {
		s.failed(ctx, s.e.storeFailed, err)
		return err
	}
	limits := make(map[event.TopicPartition]int64)
	if len(barriers) > 0 {
		rows, err := s.peek(ctx)
		if err != nil {
			s.failed(ctx, s.e.storeFailed, err)
			return err
		}
		for _, b := range barriers {
			b.Limit(limits, func(tp event.TopicPartition) int64 { return rows[tp].Next })
		}
	}
	s.mu.Lock()
	for _, p := range s.order {
		p.limit = noLimit
		if l, ok := limits[p.tp]; ok {
			p.limit = l
		}
	}
	s.mu.Unlock()
	s.wakeFetcher()
	return nil
}

// waitsAtBarrier says that a partition of ours has a limit.
func (s *session) waitsAtBarrier() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.order {
		if p.limit != noLimit {
			return true
		}
	}
	return false
}

// behind says that a partition of ours could move on.
func (s *session) behind() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.order {
		if p.live() && p.fault == "" && p.wait == nil && p.claim.Next < min(p.end, p.limit) {
			return true
		}
	}
	return false
}
