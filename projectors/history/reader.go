// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"context"
	"errors"
	"time"

	"github.com/projectionist-dev/projectionist/projectors/codecs"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/sources"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// pause is between two attempts at a log or a schema registry that does not answer.
const pause = 200 * time.Millisecond

// Reader reads the log of all partitions from where a revision began, each in order. It belongs to one goroutine.
type Reader struct {
	log      sources.Log
	patience time.Duration
	progress func(read, of int64)
	at       map[event.TopicPartition]sources.Position
	begin    map[event.TopicPartition]int64
	// holes are the positions behind the last ones that compaction has emptied, known those of them behind which ends
	// were asked for, and ends what they were.
	holes, known, ends map[event.TopicPartition]int64
	events             int64
}

// NewReader makes a Reader that asks a log that gives nothing again for patience; 0 is a minute. progress, if not nil,
// hears how many positions of the log were read, and of how many.
func NewReader(log sources.Log, patience time.Duration, progress func(read, of int64)) *Reader {
	if patience <= 0 {
		patience = time.Minute
	}
	return &Reader{log: log, patience: patience, progress: progress, at: map[event.TopicPartition]sources.Position{},
		begin: map[event.TopicPartition]int64{}, holes: map[event.TopicPartition]int64{}, known: map[event.TopicPartition]int64{}, ends: map[event.TopicPartition]int64{}}
}

// Events counts the records that were given.
func (r *Reader) Events() int64 { return r.events }

// At is the position up to which a partition was given.
func (r *Reader) At(tp event.TopicPartition) int64 { return r.at[tp].Offset }

// Compaction removes an event since it has found a later one of its message key. A state of before that later one cannot be
// told from the log any more; it lies before the end of the log as it was at any time after the hole was read.

// Settled tells whether compaction has left no hole in what was read since Settle was last called.
func (r *Reader) Settled() bool { return len(r.unsettled()) == 0 }

func (r *Reader) unsettled() (out []event.TopicPartition) {
	for tp, hole := range r.holes {
		if hole > r.known[tp] {
			out = append(out, tp)
		}
	}
	return out
}

// Settle asks for the ends of the log behind the holes that were read. It fails as To does.
func (r *Reader) Settle(ctx context.Context) error {
	tps := r.unsettled()
	if len(tps) == 0 {
		return nil
	}
	quiet := r.newPatience()
	for {
		bounds, err := r.log.Bounds(ctx, tps...)
		if err == nil {
			for _, tp := range tps {
				r.known[tp], r.ends[tp] = r.holes[tp], bounds[tp].End
			}
			return nil
		}
		if err := quiet.after(ctx, err, false); err != nil {
			return err
		}
	}
}

// Told fails, with ReasonNotCaughtUp, where claims are before an end that Settle has found: what a row was there, the log
// cannot tell.
func (r *Reader) Told(claims []stores.Claim) error {
	for _, c := range claims {
		if end := r.ends[c.TopicPartition]; c.Next < end {
			return Refused(ReasonNotCaughtUp, "compaction has removed events of %s, and its projector is at %d, %d before the end: "+
				"what a row was there cannot be told from the log. Let the projector catch up first", c.TopicPartition, c.Next, end-c.Next)
		}
	}
	return nil
}

// To reads on, and gives each record before the claims' positions to each, which may fail with
// *codecs.UnavailableError to be asked again. Partitions behind a barrier wait for those before it, as in a projector
// (CORRECTNESS 1). After an error it may be called again, with claims at or past these: no record is given twice, unless
// each failed on it. It fails with a *RefusedError, an error of the source or of each, or ctx's cause.
func (r *Reader) To(ctx context.Context, claims []stores.Claim, barriers []stores.Barrier, each func(event.TopicPartition, *event.Record) error) error {
	targets := map[event.TopicPartition]int64{}
	for _, c := range claims {
		targets[c.TopicPartition] = c.Next
		if _, there := r.at[c.TopicPartition]; !there {
			begin := max(c.Begin, 0)
			r.at[c.TopicPartition] = sources.Position{TopicPartition: c.TopicPartition, Offset: begin, LeaderEpoch: -1, TopicID: c.TopicID}
			r.begin[c.TopicPartition] = begin
		}
	}
	barriers, err := r.passed(targets, barriers)
	if err != nil {
		return err
	}
	quiet := r.newPatience()
	for {
		limits := r.limits(targets, barriers)
		var positions []sources.Position
		for _, c := range claims {
			if p := r.at[c.TopicPartition]; p.Offset < limits[c.TopicPartition] {
				positions = append(positions, p)
			}
		}
		r.tell(targets)
		if len(positions) == 0 {
			return nil // all barriers are passed, so that every limit is its target
		}
		results, err := r.log.Fetch(ctx, positions)
		moved := false
		for i := range results {
			b := &results[i].Batch
			switch {
			case err != nil:
			case results[i].Err != nil:
				err = results[i].Err
			default:
				before := r.at[b.TopicPartition].Offset
				err = r.take(ctx, b, limits[b.TopicPartition], each)
				moved = moved || r.at[b.TopicPartition].Offset > before
			}
			b.Release()
		}
		if moved {
			quiet = r.newPatience()
		}
		if err := quiet.after(ctx, err, moved); err != nil {
			return err
		}
	}
}

// take gives the records before limit to each, and moves the position past them.
func (r *Reader) take(ctx context.Context, b *event.Batch, limit int64, each func(event.TopicPartition, *event.Record) error) error {
	at := r.at[b.TopicPartition]
	if b.First != at.Offset {
		return nil
	}
	for i := range b.Records {
		rec := &b.Records[i]
		if rec.Offset >= limit {
			break
		}
		quiet := r.newPatience()
		for {
			err := each(b.TopicPartition, rec)
			if err == nil {
				break
			}
			var unavailable *codecs.UnavailableError
			if !errors.As(err, &unavailable) {
				return &final{err}
			}
			if err := quiet.after(ctx, err, false); err != nil {
				return &final{err}
			}
		}
		r.events++
		if b.Compacted && rec.Offset > at.Offset {
			r.holes[b.TopicPartition] = rec.Offset
		}
		at.Offset = rec.Offset + 1
		r.at[b.TopicPartition] = at
	}
	end := min(b.Next, limit)
	if b.Compacted && end > at.Offset {
		r.holes[b.TopicPartition] = end
	}
	at.Offset, at.LeaderEpoch = end, b.LeaderEpoch
	if b.Next > limit {
		at.LeaderEpoch = -1 // it may be that of a batch beyond
	}
	r.at[b.TopicPartition] = at
	return nil
}

// final is an error after which the log is not asked again.
type final struct{ err error }

func (e *final) Error() string { return e.err.Error() }

func (e *final) Unwrap() error { return e.err }

// patience ends when nothing has come for long.
type patience struct {
	until time.Time
	last  error
}

func (r *Reader) newPatience() *patience { return &patience{until: time.Now().Add(r.patience)} }

// after pauses after an attempt that failed; it gives the error that ends it all.
func (p *patience) after(ctx context.Context, err error, moved bool) error {
	var end *final
	switch {
	case errors.As(err, &end):
		return end.err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case sources.Permanent(err) || errors.Is(err, sources.ErrClosed):
		return err
	case err != nil:
		p.last = err
	case moved:
		return nil
	}
	if time.Now().After(p.until) {
		if p.last == nil {
			return Refused(ReasonLogUnreadable, "the log gave nothing more, and the positions say that there is more in it: a producer's transaction may stand open")
		}
		return Refused(ReasonLogUnreadable, "%w", p.last)
	}
	if err == nil {
		return nil // the source has waited
	}
	select {
	case <-time.After(pause):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *Reader) tell(targets map[event.TopicPartition]int64) {
	if r.progress == nil {
		return
	}
	var read, of int64
	for tp, target := range targets {
		read, of = read+min(r.at[tp].Offset, target)-r.begin[tp], of+target-r.begin[tp]
	}
	r.progress(read, of)
}

// passed gives the barriers that the positions are past. Behind one that they are not past, no partition beyond it was read.
func (r *Reader) passed(targets map[event.TopicPartition]int64, barriers []stores.Barrier) ([]stores.Barrier, error) {
	var out []stores.Barrier
	for _, b := range barriers {
		short := -1
		for i, end := range b.Ends {
			if targets[event.TopicPartition{Topic: b.Topic, Partition: int32(i)}] < end {
				short = i
			}
		}
		if short < 0 {
			out = append(out, b)
			continue
		}
		for i := b.Before; i < b.After; i++ {
			if beyond := (event.TopicPartition{Topic: b.Topic, Partition: i}); targets[beyond] > r.begin[beyond] {
				return nil, Refused(ReasonBarrierBroken, "%s was read before %s/%d had reached position %d, where the topic grew: events of a key may have been applied out of order; rebuild the projection",
					beyond, b.Topic, short, b.Ends[short])
			}
		}
	}
	return out, nil
}

// limits is how far each partition may be read now.
func (r *Reader) limits(targets map[event.TopicPartition]int64, barriers []stores.Barrier) map[event.TopicPartition]int64 {
	out := make(map[event.TopicPartition]int64, len(targets))
	for tp, target := range targets {
		out[tp] = target
	}
	for _, b := range barriers {
		open := true
		for i, end := range b.Ends {
			open = open && r.at[event.TopicPartition{Topic: b.Topic, Partition: int32(i)}].Offset >= end
		}
		if open {
			continue
		}
		for i, end := range b.Ends {
			tp := event.TopicPartition{Topic: b.Topic, Partition: int32(i)}
			out[tp] = min(out[tp], end)
		}
		for i := b.Before; i < b.After; i++ {
			out[event.TopicPartition{Topic: b.Topic, Partition: i}] = 0
		}
	}
	return out
}
