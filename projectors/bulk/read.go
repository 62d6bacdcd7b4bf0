// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package bulk

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/projectionist-dev/projectionist/projectors/codecs"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/failpoint"
	"github.com/projectionist-dev/projectionist/projectors/sources"
)

// recordWeight is what a record counts in flight beside its own bytes.
const recordWeight = 64

// maxTimestamp is the end of the year 9999 in milliseconds; see package engine.
const maxTimestamp = 253_402_300_799_999

// failReading is where a test ends the process; see package failpoint.
const failReading = "bulk/die-reading"

// unit is one fetched batch on its way into the buckets.
type unit struct {
	part   *part
	batch  event.Batch
	weight int64
}

// reader is one pass over the log.
type reader struct {
	*work
	ctx     context.Context //nolint:containedctx // it is the pass's life
	fail    context.CancelCauseFunc
	budget  *semaphore.Weighted
	workers []chan unit
	flying  sync.WaitGroup // units
	pace    pace
}

// read folds all up to the ends, as far as barriers allow. It tells whether it moved.
func (w *work) read(ctx context.Context) (moved bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &reader{work: w, ctx: ctx, fail: cancel, budget: semaphore.NewWeighted(w.cfg.MaxInFlightBytes)}
	if b := w.cfg.Contract.Build; b != nil {
		r.pace.perSecond = int64(b.MaxEventsPerSecond)
	}
	var evaluators sync.WaitGroup
	for range w.cfg.Workers {
		ch := make(chan unit, 64)
		r.workers = append(r.workers, ch)
		evaluators.Go(func() { r.evaluate(ch) })
	}
	before := w.remaining()
	r.fetchAll()
	for _, ch := range r.workers {
		close(ch)
	}
	evaluators.Wait()
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	return w.remaining() < before, nil
}

// fetchAll returns when there is nothing more to fetch and all of it is folded, or ctx is done.
func (r *reader) fetchAll() {
	var wait backoff
	var limits map[event.TopicPartition]int64
	for drained := false; r.ctx.Err() == nil; {
		if limits == nil {
			limits = r.limits()
		}
		positions := r.positions(limits)
		if len(positions) == 0 {
			if drained {
				return // no barrier has opened either
			}
			// A key that a growth has moved is in another worker's hands from here on.
			r.flying.Wait()
			limits, drained = nil, true
			continue
		}
		drained = false
		results, err := r.cfg.Log.Fetch(r.ctx, positions)
		failed := err
		for i := range results {
			b := &results[i].Batch
			switch {
			case results[i].Err == nil && err == nil:
				r.accept(b, limits[b.TopicPartition])
			case results[i].Err != nil && sources.Permanent(results[i].Err):
				r.fail(unfitf(outcomeTopics, "%v", results[i].Err))
			case results[i].Err != nil:
				failed = results[i].Err
			}
			b.Release()
		}
		if failed != nil {
			r.sourceFailed(r.ctx, failed)
			sleep(r.ctx, wait.next())
			continue
		}
		wait.reset()
		r.sourceOK()
	}
}

// limits is how far each partition may be read before all that is in flight is folded.
func (r *reader) limits() map[event.TopicPartition]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make(map[event.TopicPartition]int64, len(r.parts))
	for tp, p := range r.parts {
		out[tp] = p.end
	}
	for _, b := range r.barriers {
		b.Limit(out, func(tp event.TopicPartition) int64 {
			if p := r.parts[tp]; p != nil {
				return p.done
			}
			return 0
		})
	}
	return out
}

func (r *reader) positions(limits map[event.TopicPartition]int64) []sources.Position {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []sources.Position
	for _, tp := range r.order {
		if p := r.parts[tp]; p.next < limits[tp] {
			out = append(out, sources.Position{TopicPartition: tp, Offset: p.next, LeaderEpoch: p.leaderEpoch, TopicID: p.claim.TopicID})
		}
	}
	return out
}

// accept passes a batch on, up to its limit, and takes it from the caller.
func (r *reader) accept(b *event.Batch, limit int64) {
	r.mu.Lock()
	p := r.parts[b.TopicPartition]
	stale := b.First != p.next || b.Next <= b.First
	r.mu.Unlock()
	if stale {
		return
	}
	epoch := b.LeaderEpoch
	if b.Next > limit {
		n, _ := slices.BinarySearchFunc(b.Records, limit, func(rec event.Record, limit int64) int { return int(min(max(rec.Offset-limit, -1), 1)) })
		b.Records, b.Next = b.Records[:n], limit
		epoch = -1 // it may be that of a batch beyond
	}
	weight := min(int64(b.Bytes)+recordWeight*int64(len(b.Records)), r.cfg.MaxInFlightBytes)
	if r.budget.Acquire(r.ctx, weight) != nil {
		return
	}
	r.mu.Lock()
	p.next = b.Next
	if epoch >= 0 {
		p.leaderEpoch = epoch
	}
	r.mu.Unlock()
	u := unit{part: p, batch: *b, weight: weight}
	b.Free = nil // the unit's now
	r.flying.Add(1)
	n := int64(len(b.Records))
	r.workers[int(b.Partition)%len(r.workers)] <- u
	if rest := r.pace.after(time.Now(), n); rest > 0 {
		r.moved(time.Now().Add(rest)) // it stands still because it is to
		sleep(r.ctx, rest)
	}
}

// evaluate folds the batches of its partitions, in order.
func (r *reader) evaluate(in <-chan unit) {
	f := newFolder(r.buckets, r.cfg.NewEvaluator(), r.topicAt)
	for u := range in {
		if r.ctx.Err() == nil {
			if err := r.foldUnit(f, &u); err != nil {
				r.fail(err)
			}
		}
		u.batch.Release()
		r.budget.Release(u.weight)
		r.flying.Done()
	}
}

func (r *reader) foldUnit(f *folder, u *unit) error {
	newest := int64(0)
	for i := range u.batch.Records {
		rec := &u.batch.Records[i]
		err := f.add(u.batch.TopicPartition, rec)
		if err != nil && errors.As(err, new(*codecs.UnavailableError)) {
			err = r.awaitSchemas(func() error { return f.add(u.batch.TopicPartition, rec) })
		}
		if err != nil {
			return err
		}
		if rec.Timestamp <= maxTimestamp {
			newest = max(newest, rec.Timestamp)
		}
	}
	if err := f.flush(u.batch.TopicPartition); err != nil {
		return err
	}
	if failpoint.Enabled && failpoint.Hit(failReading) {
		os.Exit(137)
	}
	if err := r.buckets.shrink(); err != nil {
		return err
	}
	r.mu.Lock()
	u.part.done = u.batch.Next
	u.part.eventTime = max(u.part.eventTime, newest)
	r.mu.Unlock()
	r.metrics.events.Add(float64(len(u.batch.Records)))
	r.metrics.memory.Set(float64(r.buckets.held.Load()))
	r.metrics.spill.Set(float64(r.buckets.spill.size()))
	r.moved(time.Now())
	return nil
}

// moved notes progress, or until when there is none on purpose.
func (r *reader) moved(at time.Time) {
	r.Builder.mu.Lock()
	defer r.Builder.mu.Unlock()
	if at.After(r.progress) {
		r.progress = at
	}
}

// awaitSchemas tries again while what is needed to read an event cannot be had.
func (r *reader) awaitSchemas(fn func() error) error {
	return awaitSchemas(r.ctx, r.Builder, fn)
}

func awaitSchemas(ctx context.Context, b *Builder, fn func() error) error {
	var wait backoff
	for {
		err := fn()
		var missing *codecs.UnavailableError
		if !errors.As(err, &missing) {
			return err
		}
		b.sourceFailed(ctx, err)
		sleep(ctx, wait.next())
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// pace spreads events over time.
type pace struct {
	perSecond int64
	due       time.Time
}

// after is how long to wait when n more events were passed on.
func (p *pace) after(now time.Time, n int64) time.Duration {
	if p.perSecond <= 0 {
		return 0
	}
	if p.due.Before(now) {
		p.due = now
	}
	p.due = p.due.Add(time.Duration(float64(n) / float64(p.perSecond) * float64(time.Second)))
	return p.due.Sub(now)
}
