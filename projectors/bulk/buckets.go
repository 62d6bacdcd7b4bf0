// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package bulk

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
)

// buckets hold the rows by a hash of model and key. A bucket is folded in memory until
// memory is short; then its rows go to the spill, and from then on the records
// that touch it, to be evaluated and folded again when it is written: a loading
// effect is code and data of an event, which only the event itself can stand for in a file.
type buckets struct {
	models []fold.Model
	seed   maphash.Seed
	all    []bucket
	max    int64
	held   atomic.Int64 // estimated bytes in memory
	spill  *spill

	shrinking sync.Mutex
}

type bucket struct {
	mu    sync.Mutex
	batch *fold.Batch // nil once it is spilled
	bytes int64       // of batch, as counted in held
	file  pieces
}

// A batch costs some memory for each model even when it is nearly empty.
const (
	fewBuckets, manyBuckets = 64, 256
	manyEvents              = 10_000_000
)

func newBuckets(models []fold.Model, events, maxMemory int64, s *spill) *buckets {
	n := fewBuckets
	if events > manyEvents {
		n = manyBuckets
	}
	b := &buckets{models: models, seed: maphash.MakeSeed(), all: make([]bucket, n), max: maxMemory, spill: s}
	for i := range b.all {
		b.all[i].batch = fold.NewBatch(models)
	}
	return b
}

// of gives the bucket of a row, and key, which it overwrites, for use the next time.
func (b *buckets) of(key []byte, model int, values []value.Value) (int, []byte) {
	key = append(key[:0], byte(model), byte(model>>8))
	for _, v := range values {
		key = value.AppendKey(key, v)
	}
	return int(maphash.Bytes(b.seed, key) % uint64(len(b.all))), key
}

// count brings held up to date; the bucket's mutex is held.
func (k *bucket) count(b *buckets) {
	now := int64(0)
	if k.batch != nil {
		now = int64(k.batch.Bytes())
	}
	b.held.Add(now - k.bytes)
	k.bytes = now
}

// shrink makes room when memory is short: first what grows with the events is
// replaced by the rows that it makes, then the largest buckets are spilled.
func (b *buckets) shrink() error {
	if b.held.Load() <= b.max {
		return nil
	}
	b.shrinking.Lock()
	defer b.shrinking.Unlock()
	if b.held.Load() <= b.max {
		return nil
	}
	for i := range b.all {
		if err := b.settle(&b.all[i]); err != nil {
			return err
		}
	}
	for b.held.Load() > b.max/4*3 {
		largest := -1
		var most int64
		for i := range b.all {
			b.all[i].mu.Lock()
			if k := &b.all[i]; k.batch != nil && (largest < 0 || k.bytes > most) {
				largest, most = i, k.bytes
			}
			b.all[i].mu.Unlock()
		}
		if largest < 0 {
			return nil
		}
		if err := b.evict(&b.all[largest]); err != nil {
			return err
		}
	}
	return nil
}

func (b *buckets) settle(k *bucket) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.batch == nil {
		return nil
	}
	if err := k.batch.Settle(); err != nil {
		return refusedRow(err)
	}
	k.count(b)
	return nil
}

// evict writes a bucket's rows to the spill.
func (b *buckets) evict(k *bucket) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	var entry []byte
	for m := range b.models {
		for row, err := range rowsOf(k.batch, m) {
			if err != nil {
				return err
			}
			entry = appendRow(entry[:0], &b.models[m], m, row)
			if err := b.spill.add(&k.file, entry); err != nil {
				return err
			}
		}
	}
	k.batch = nil
	k.count(b)
	return nil
}

// refusedRow is an event that cannot be applied, found by its row: which event
// it was, package engine finds out.
func refusedRow(err error) error {
	return unfitf(outcomeEventRefused, "an event cannot be applied to its row: %v", err)
}
