// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/sources"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// session is the work of one generation.
type session struct {
	e   *Engine
	gen sources.Generation

	mu    sync.Mutex
	parts map[event.TopicPartition]*partition
	order []*partition // sorted

	wake    chan struct{} // a partition became fetchable
	workers []chan *unit
	staged  chan *unit
	budget  *semaphore.Weighted

	storeAway bool // look could not read; the watcher's own
}

func newSession(e *Engine, gen sources.Generation) *session {
	s := &session{
		e: e, gen: gen,
		parts:  make(map[event.TopicPartition]*partition, len(gen.Assigned)),
		wake:   make(chan struct{}, 1),
		staged: make(chan *unit, 64),
		budget: semaphore.NewWeighted(e.cfg.MaxInFlightBytes),
	}
	for _, tp := range gen.Assigned {
		p := &partition{tp: tp, limit: noLimit, end: -1, leaderEpoch: -1}
		s.parts[tp] = p
		s.order = append(s.order, p)
	}
	slices.SortFunc(s.order, func(a, b *partition) int { return a.tp.Compare(b.tp) })
	for range e.cfg.Workers {
		s.workers = append(s.workers, make(chan *unit, 2*maxOutstanding))
	}
	return s
}

// run claims, works until ctx is done, and returns when every goroutine has left.
func (s *session) run(ctx context.Context) {
	if !s.begin(ctx) {
		return
	}
	s.e.reachedBoth()
	// The last commits may outlive the generation by DrainTimeout: the fence
	// makes that safe, and it saves the next owner from doing the work again.
	commitCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(s.e.cfg.DrainTimeout, cancel) })()

	var evaluators, rest sync.WaitGroup
	for _, ch := range s.workers {
		evaluators.Go(func() { s.evaluate(ctx, ch) })
	}
	rest.Go(func() { s.watch(ctx) })
	rest.Go(func() { s.commitLoop(commitCtx) })
	s.fetchLoop(ctx)
	for _, ch := range s.workers {
		close(ch)
	}
	evaluators.Wait()
	close(s.staged)
	rest.Wait()
}

// begin makes growth and barriers known and claims the partitions, trying
// until ctx is done.
func (s *session) begin(ctx context.Context) bool {
	var wait backoff
	for ctx.Err() == nil {
		err := s.prepare(ctx)
		if err == nil {
			return true
		}
		wait.sleep(ctx)
	}
	return false
}

func (s *session) prepare(ctx context.Context) error {
	infos, err := s.e.cfg.Log.Describe(ctx, s.e.cfg.Topics...)
	if err != nil {
		s.failed(ctx, s.e.sourceFailed, err)
		return err
	}
	s.e.sourceOK()
	counts := make(map[string]int32, len(infos))
	for name, info := range infos {
		counts[name] = info.Partitions
	}
	s.e.mu.Lock()
	s.e.counts = counts
	s.e.mu.Unlock()

	rows, err := s.e.cfg.Writer.Peek(ctx)
	if err != nil {
		s.failed(ctx, s.e.storeFailed, err)
		return err
	}
	for _, p := range s.order {
		if n := counts[p.tp.Topic]; p.tp.Partition >= n {
			// Brokers learn of growth one after the other.
			err := fmt.Errorf("%s is assigned, but the broker asked knows only %d partitions yet", p.tp, n)
			s.failed(ctx, s.e.sourceFailed, err)
			return err
		}
	}
	recreated := recreatedTopics(infos, rows)
	if rows, err = s.adoptGrowth(ctx, counts, recreated, rows); err != nil {
		return err
	}
	known := make(map[event.TopicPartition]bool, len(rows))
	for _, r := range rows {
		known[r.TopicPartition] = true
	}
	var claim []event.TopicPartition
	s.mu.Lock()
	for _, p := range s.order {
		switch err := recreated[p.tp.Topic]; {
		case known[p.tp]:
			p.stop = nil // of an earlier attempt
			claim = append(claim, p.tp)
		case err != nil:
			s.stopLocked(p, &contract.Stop{Position: contract.OffsetPosition(0), Reason: err.Reason(), Message: err.Error()})
		default:
			s.stopLocked(p, positionMissing(0))
		}
	}
	s.mu.Unlock()
	claims, err := s.e.cfg.Writer.Claim(ctx, s.e.cfg.Owner, claim)
	if err != nil {
		s.failed(ctx, s.e.storeFailed, err)
		return err
	}
	s.e.storeOK()

	s.mu.Lock()
	for _, c := range claims {
		p := s.parts[c.TopicPartition]
		if id := infos[c.Topic].ID; c.TopicID == "" {
			c.TopicID = id
		} else if id != "" && id != c.TopicID {
			err := &sources.TopicRecreated{Topic: c.Topic, WasID: c.TopicID, NowID: id}
			s.stopLocked(p, &contract.Stop{Position: contract.OffsetPosition(c.Next), Reason: err.Reason(), Message: err.Error()})
		}
		p.claim, p.claimed, p.fetchNext, p.leaderEpoch = c, true, c.Next, c.LeaderEpoch
	}
	s.mu.Unlock()
	return s.applyBarriers(ctx)
}

// positionMissing stops a partition that has no row in the bookkeeping.
func positionMissing(at int64) *contract.Stop {
	return &contract.Stop{
		Position: contract.OffsetPosition(at), Reason: "PositionMissing",
		Message: "the bookkeeping has no position row for this partition; reading it from the start could count events twice. " +
			"Restore the row in the table positions, or rebuild the projection",
	}
}

// recreatedTopics are those whose position rows belong to another topic of the same name.
func recreatedTopics(infos map[string]sources.TopicInfo, rows []stores.Claim) map[string]*sources.TopicRecreated {
	out := make(map[string]*sources.TopicRecreated)
	for _, r := range rows {
		if id := infos[r.Topic].ID; id != "" && r.TopicID != "" && id != r.TopicID {
			out[r.Topic] = &sources.TopicRecreated{Topic: r.Topic, WasID: r.TopicID, NowID: id}
		}
	}
	return out
}

// failed reports an error to a health, unless it only tells that ctx is done.
func (s *session) failed(ctx context.Context, report func(error), err error) {
	if ctx.Err() == nil {
		report(err)
	}
}

// fetchLoop asks for records and hands them to the evaluators until ctx is done.
func (s *session) fetchLoop(ctx context.Context) {
	var wait backoff
	for ctx.Err() == nil {
		positions := s.fetchPositions()
		if len(positions) == 0 {
			select {
			case <-ctx.Done():
			case <-s.wake:
			}
			continue
		}
		results, err := s.e.cfg.Log.Fetch(ctx, positions)
		if err != nil {
			releaseAll(results)
			s.failed(ctx, s.e.sourceFailed, err)
			wait.sleep(ctx)
			continue
		}
		healthy := true
		for i := range results {
			if err := results[i].Err; err != nil {
				healthy = s.fetchFailed(results[i].Batch.TopicPartition, err) && healthy
			} else if !s.accept(ctx, &results[i].Batch) {
				releaseAll(results[i:])
				break
			}
		}
		if !healthy {
			wait.sleep(ctx)
			continue
		}
		wait.reset()
		s.sourceAnswers()
	}
}

// sourceAnswers notes that the source has answered. It is whole only when no
// partition of it has a fault: one that fails is not asked every time.
func (s *session) sourceAnswers() {
	s.mu.Lock()
	faulty := slices.ContainsFunc(s.order, func(p *partition) bool { return p.live() && (p.fault != "" || p.wait != nil) })
	s.mu.Unlock()
	if !faulty {
		s.e.sourceOK()
	}
}

func releaseAll(results []sources.Result) {
	for i := range results {
		results[i].Batch.Release()
	}
}

// fetchPositions is empty while a partition with more to give waits for the
// committer: a long poll without it would hold it up when its turn comes.
func (s *session) fetchPositions() []sources.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []sources.Position
	for _, p := range s.order {
		p.resume(time.Now())
		if p.throttled() {
			return nil
		}
		if p.fetchable() {
			p.asked = p.serial
			out = append(out, p.position())
		}
	}
	return out
}

// fetchFailed stops the partition when waiting cannot help; otherwise it says
// false: the source is not healthy and the fetcher pauses.
func (s *session) fetchFailed(tp event.TopicPartition, err error) bool {
	s.mu.Lock()
	p := s.parts[tp]
	if sources.Permanent(err) {
		// A partition that was lost since then is asked again, by whoever has it.
		if p.claimed && p.serial == p.asked {
			s.stopLocked(p, &contract.Stop{
				Position: contract.OffsetPosition(p.fetchNext), Reason: sources.ReasonOf(err), Message: err.Error(),
			})
		}
		s.mu.Unlock()
		return true
	}
	p.fault, p.faultAt = err.Error(), time.Now()
	s.mu.Unlock()
	s.e.sourceFailed(err)
	return false
}

// accept books a batch and passes it on; false when ctx is done. The batch is
// the caller's to release unless it was passed on.
func (s *session) accept(ctx context.Context, b *event.Batch) bool {
	weight := min(int64(b.Bytes)+recordWeight*int64(len(b.Records)), s.e.cfg.MaxInFlightBytes)
	if err := s.budget.Acquire(ctx, weight); err != nil {
		return false
	}
	s.mu.Lock()
	p := s.parts[b.TopicPartition]
	p.fault = ""
	p.sampled(b.End, b.HighWatermark, time.Now())
	if !p.live() || b.First != p.fetchNext || b.Next <= b.First {
		s.mu.Unlock()
		s.budget.Release(weight)
		b.Release()
		return true
	}
	cutAt(b, p.limit)
	p.fetchNext = b.Next
	if b.LeaderEpoch >= 0 {
		p.leaderEpoch = b.LeaderEpoch
	}
	p.outstanding++
	u := &unit{p: p, serial: p.serial, batch: *b, weight: weight}
	b.Free = nil // the unit's now; releasing a buffer twice would hand it to two readers
	s.mu.Unlock()
	select {
	case s.workers[int(p.tp.Partition)%len(s.workers)] <- u:
		return true
	case <-ctx.Done():
		s.finish(u)
		return false
	}
}

// cutAt drops what a barrier does not allow to be read yet.
func cutAt(b *event.Batch, limit int64) {
	if b.Next <= limit {
		return
	}
	n, _ := slices.BinarySearchFunc(b.Records, limit, func(r event.Record, limit int64) int {
		return int(min(max(r.Offset-limit, -1), 1))
	})
	b.Records, b.Next = b.Records[:n], limit
}

// finish gives back what a unit holds, whatever became of it.
func (s *session) finish(u *unit) {
	u.batch.Release()
	s.budget.Release(u.weight)
	s.mu.Lock()
	u.p.outstanding--
	s.mu.Unlock()
	s.wakeFetcher()
}

func (s *session) wakeFetcher() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// current says whether a unit still counts: its partition has not been lost or
// stopped since it was fetched.
func (s *session) current(u *unit) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return u.current()
}

// stops is stopLocked for what a unit says of its partition, unless the unit has become void while it was evaluated. A stop of a
// partition that nobody claims would stay: it is what keeps it from being claimed again.
func (s *session) stops(u *unit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u.current() {
		s.stopLocked(u.p, u.stop)
	}
}

// stopLocked stops a partition for good: nothing after is fetched. What is
// already in flight before the stop still commits.
func (s *session) stopLocked(p *partition, stop *contract.Stop) {
	if p.stop != nil && p.stop.Position.Compare(stop.Position) <= 0 {
		return // what stopped it first in the log's order stands
	}
	stop.Since = time.Now().UTC()
	p.stop = stop
	s.e.metrics.stops.WithLabelValues(stop.Reason).Inc()
	s.e.cfg.Logger.Error("partition stopped", "partition", p.tp.String(), "position", string(stop.Position),
		"reason", stop.Reason, "path", stop.Path, "message", stop.Message)
}
