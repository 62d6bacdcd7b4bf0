// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package bulk

import (
	"context"
	"errors"
	"math"
	"runtime/debug"
	"sync"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/sources"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// part is one partition of a build; the work's mutex guards what changes.
type part struct {
	claim stores.Claim
	// next is the position to fetch, done the one up to which all is folded.
	next, done int64
	// end is how far to read.
	end, highWatermark int64
	leaderEpoch        int32
	eventTime          int64 // ms, 0 if none
}

// work is one build by this process.
type work struct {
	*Builder
	infos    map[string]sources.TopicInfo
	order    []event.TopicPartition
	buckets  *buckets
	barriers []stores.Barrier

	mu      sync.Mutex
	parts   map[event.TopicPartition]*part
	sampled time.Time
}

func newWork(b *Builder, claims []stores.Claim, infos map[string]sources.TopicInfo) *work {
	w := &work{Builder: b, infos: infos, parts: make(map[event.TopicPartition]*part, len(claims))}
	for _, c := range claims {
		if c.TopicID == "" {
			c.TopicID = infos[c.Topic].ID
		}
		w.order = append(w.order, c.TopicPartition)
		w.parts[c.TopicPartition] = &part{claim: c, next: c.Next, done: c.Next, end: c.Next, leaderEpoch: c.LeaderEpoch}
	}
	return w
}

// sample notes the ends of the log. It asks for the number of partitions
// afterwards: while that is what it was, no end lies behind a growth, and what is read up
// to it comes before all that a growth moves to another partition.
func (w *work) sample(ctx context.Context) error {
	bounds, err := w.cfg.Log.Bounds(ctx, w.order...)
	if err != nil {
		w.sourceFailed(ctx, err)
		return err
	}
	infos, err := w.cfg.Log.Describe(ctx, w.topics()...)
	if err != nil {
		w.sourceFailed(ctx, err)
		return err
	}
	w.sourceOK()
	if err := w.compare(infos); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for tp, p := range w.parts {
		at := bounds[tp]
		if p.next < at.Earliest || p.next > at.HighWatermark {
			return unfitf(outcomeTopics, "%s is to be read from position %d, and its log has %d to %d", tp, p.next, at.Earliest, at.HighWatermark)
		}
		p.end, p.highWatermark = max(at.End, p.next), at.HighWatermark
	}
	w.sampled = time.Now()
	return nil
}

// compare finds what package engine has to say, or to do, before anything is read.
func (w *work) compare(infos map[string]sources.TopicInfo) error {
	rows := map[string]int32{}
	for _, tp := range w.order {
		if tp.Partition != rows[tp.Topic] {
			return unfitf(outcomeTopics, "there is no position of %s/%d", tp.Topic, rows[tp.Topic])
		}
		rows[tp.Topic]++
		p := w.parts[tp]
		if id := infos[tp.Topic].ID; id != "" && p.claim.TopicID != "" && id != p.claim.TopicID {
			return unfitf(outcomeTopics, "topic %s was made anew", tp.Topic)
		}
		if p.claim.HeldVersion > 0 {
			return unfitf(outcomeTopics, "keys of %s are held", tp)
		}
	}
	for topic, n := range rows {
		if got := infos[topic].Partitions; got != n {
			return unfitf(outcomeTopics, "topic %s has %d partitions and %d positions", topic, got, n)
		}
	}
	return nil
}

// remaining is how many positions lie before the ends.
func (w *work) remaining() (n int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.parts {
		n += p.end - p.done
	}
	return n
}

// run reads, folds and writes.
func (w *work) run(ctx context.Context, build stores.Build) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-build.Lost():
			cancel(errLost)
		case <-ctx.Done():
		}
	}()
	w.Builder.mu.Lock()
	w.work = w
	w.Builder.mu.Unlock()
	defer func() {
		w.Builder.mu.Lock()
		w.work = nil
		w.Builder.mu.Unlock()
		w.metrics.memory.Set(0)
		w.metrics.spill.Set(0)
	}()
	w.setPhase(contract.BuildReading)
	if err := w.retry(ctx, w.storeFailed, func() (err error) {
		if w.barriers, err = w.cfg.Writer.Barriers(ctx); err == nil {
			w.storeOK()
		}
		return err
	}); err != nil {
		return err
	}
	spill := newSpill(w.cfg.SpillDir, w.cfg.Contract.Build.Spill(), w.cfg.MaxMemory)
	defer spill.close()
	defer collectLess()()
	if err := w.readAll(ctx, spill); err != nil {
		return err
	}
	return w.write(ctx, build)
}

// collectLess lets garbage grow up to the runtime's memory limit, where there is
// one: most of the heap is rows, which stay, and looking at them again and again is in vain.
func collectLess() (restore func()) {
	if debug.SetMemoryLimit(-1) == math.MaxInt64 {
		return func() {}
	}
	was := debug.SetGCPercent(400)
	return func() { debug.SetGCPercent(was) }
}

// readAll reads up to the ends, and then up to those of then, as long as much has come meanwhile and it gains on it.
func (w *work) readAll(ctx context.Context, spill *spill) error {
	for last := int64(0); ; {
		err := w.retry(ctx, func(context.Context, error) {}, func() error { return w.sample(ctx) })
		if w.buckets != nil && errors.As(err, new(*unfit)) {
			return nil // what was read before counts; package engine sees to the rest
		}
		if err != nil {
			return err
		}
		todo := w.remaining()
		switch {
		case w.buckets == nil:
			w.buckets = newBuckets(w.cfg.Models, todo, w.cfg.MaxMemory, spill)
		case todo < w.cfg.MinEvents || todo > last/2:
			return nil
		}
		last = todo
		if moved, err := w.read(ctx); err != nil || !moved {
			return err
		}
	}
}

// final is an error that trying again does not mend.
type final struct{ err error }

func (f *final) Error() string { return f.err.Error() }

// retry tries again until it succeeds, fails for good, or ctx is done.
func (w *work) retry(ctx context.Context, report func(context.Context, error), fn func() error) error {
	var wait backoff
	for {
		err := fn()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil, errors.As(err, new(*unfit)):
			return err
		}
		if end := (*final)(nil); errors.As(err, &end) {
			return end.err
		}
		report(ctx, err)
		sleep(ctx, wait.next())
	}
}

// status adds what the build says; the Builder's mutex is held.
func (w *work) status(st *contract.ProjectorStatus) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, tp := range w.order {
		p := w.parts[tp]
		s := contract.PartitionStatus{
			Topic: tp.Topic, Partition: tp.Partition, Position: contract.OffsetPosition(p.claim.Next), End: contract.OffsetPosition(p.end),
			Lag: p.end - p.claim.Next, EventTime: p.claim.EventTime, UpdatedAt: w.sampled.UTC(), Waiting: "Building: the revision is built in bulk",
		}
		if p.claim.Begin > 0 {
			s.Begin = contract.OffsetPosition(p.claim.Begin)
		}
		if w.sampled.IsZero() {
			s.UpdatedAt = time.Time{}
		}
		st.Partitions = append(st.Partitions, s)
		st.Build.Events += p.done - p.claim.Next
		st.Build.Of += p.end - p.claim.Next
	}
}

func (w *work) advances() []stores.Advance {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]stores.Advance, len(w.order))
	for i, tp := range w.order {
		p := w.parts[tp]
		out[i] = stores.Advance{Claim: p.claim, Next: p.done, LeaderEpoch: p.leaderEpoch, TopicID: p.claim.TopicID, EventTime: p.claim.EventTime}
		if t := time.UnixMilli(p.eventTime).UTC(); p.eventTime > 0 && t.After(out[i].EventTime) {
			out[i].EventTime = t
		}
	}
	return out
}
