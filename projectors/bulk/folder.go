// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package bulk

import (
	"errors"

	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/codecs"
	"github.com/projectionist-dev/projectionist/projectors/engine"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
)

// effectsPerBucket is how many effects per bucket wait, at most, until they are folded: enough that what is read of their
// rows is waited for together, and few enough to be in the processor's caches still.
const effectsPerBucket = 32

// folder evaluates records into buckets; one per goroutine. Effects wait until there are some for each bucket: rows lie all over
// the memory, so that one event after the other would wait for its row each.
type folder struct {
	buckets *buckets
	eval    engine.Evaluator
	topicAt func(event.TopicPartition) int
	effects []fold.Effect
	waiting []waiting // by bucket
	count   int       // effects that wait
	key     []byte    // scratch, as record is
	record  []byte
}

// waiting is what some events do to rows of one bucket, in their order. The slices of its effects are its own.
type waiting struct {
	events  []pending
	effects []fold.Effect
	keys    []value.Value
	changes []fold.Change
}

// pending is an event whose effects end before an index.
type pending struct {
	rec *event.Record
	end int
}

func newFolder(b *buckets, eval engine.Evaluator, topicAt func(event.TopicPartition) int) *folder {
	return &folder{buckets: b, eval: eval, topicAt: topicAt, waiting: make([]waiting, len(b.all))}
}

// add evaluates a record, which must not change before flush. What waits is of one partition: flush comes before the next one's.
func (f *folder) add(tp event.TopicPartition, rec *event.Record) error {
	effects, _, err := f.eval.Handle(tp, rec, f.effects[:0])
	f.effects = effects
	if err != nil {
		// An event before it may be one that cannot be applied at all.
		if before := f.flush(tp); before != nil {
			return before
		}
		return refusedEvent(tp, rec, err)
	}
	for i := range effects {
		f.waiting[f.bucketOf(&effects[i])].add(rec, &effects[i])
	}
	if f.count += len(effects); f.count >= effectsPerBucket*len(f.waiting) {
		return f.flush(tp)
	}
	return nil
}

func (f *folder) bucketOf(e *fold.Effect) (n int) {
	n, f.key = f.buckets.of(f.key, e.Model, e.Key)
	return n
}

func (w *waiting) add(rec *event.Record, e *fold.Effect) {
	key, changes := len(w.keys), len(w.changes)
	w.keys, w.changes = append(w.keys, e.Key...), append(w.changes, e.Changes...)
	w.effects = append(w.effects, *e)
	mine := &w.effects[len(w.effects)-1]
	mine.Key, mine.Changes = w.keys[key:len(w.keys):len(w.keys)], w.changes[changes:len(w.changes):len(w.changes)]
	if n := len(w.events); n == 0 || w.events[n-1].rec != rec {
		w.events = append(w.events, pending{rec: rec})
	}
	w.events[len(w.events)-1].end = len(w.effects)
}

// reset forgets the events, and keeps the memory.
func (w *waiting) reset() {
	clear(w.events)
	clear(w.effects)
	clear(w.keys)
	clear(w.changes)
	*w = waiting{events: w.events[:0], effects: w.effects[:0], keys: w.keys[:0], changes: w.changes[:0]}
}

// flush folds the effects that wait.
func (f *folder) flush(tp event.TopicPartition) error {
	f.count = 0
	for n := range f.waiting {
		w := &f.waiting[n]
		if len(w.events) == 0 {
			continue
		}
		err := f.fold(n, w, tp)
		w.reset()
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *folder) fold(n int, w *waiting, tp event.TopicPartition) error {
	k := &f.buckets.all[n]
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.batch == nil {
		for _, e := range w.events {
			f.record = appendRecord(f.record[:0], f.topicAt(tp), tp.Partition, e.rec)
			if err := f.buckets.spill.add(&k.file, f.record); err != nil {
				return err
			}
		}
		return nil
	}
	k.batch.Expect(w.effects)
	from := 0
	for _, e := range w.events {
		if err := k.batch.Apply(w.effects[from:e.end]...); err != nil {
			return refusedEvent(tp, e.rec, err)
		}
		from = e.end
	}
	k.count(f.buckets)
	return nil
}

// again folds into a batch those effects of a record that are on rows of bucket n.
func (f *folder) again(batch *fold.Batch, n int, tp event.TopicPartition, rec *event.Record) error {
	effects, _, err := f.eval.Handle(tp, rec, f.effects[:0])
	f.effects = effects
	if err != nil && !errors.As(err, new(*codecs.UnavailableError)) {
		return refusedRow(err)
	}
	if err != nil {
		return err
	}
	mine := effects[:0]
	for i := range effects {
		if f.bucketOf(&effects[i]) == n {
			mine = append(mine, effects[i])
		}
	}
	if err := batch.Apply(mine...); err != nil {
		return refusedRow(err)
	}
	return nil
}

// refusedEvent is an event that cannot be applied; one that cannot be read yet stays as it is.
func refusedEvent(tp event.TopicPartition, rec *event.Record, err error) error {
	if errors.As(err, new(*codecs.UnavailableError)) {
		return err
	}
	stop := engine.StopFor(rec.Offset, err)
	return unfitf(outcomeEventRefused, "%s at position %s of %s: %s", stop.Reason, stop.Position, tp, stop.Message)
}
