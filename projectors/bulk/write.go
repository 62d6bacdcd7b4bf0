// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package bulk

import (
	"context"
	"errors"
	"iter"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// write has the store put everything in place.
func (w *work) write(ctx context.Context, build stores.Build) error {
	advances := w.advances()
	var rows int64
	err := w.retry(ctx, w.storeFailed, func() error {
		w.setPhase(contract.BuildWriting)
		rows = 0
		err := build.Write(ctx, advances, w.fill(ctx, &rows), func() {
			w.storeOK()
			w.setPhase(contract.BuildIndexing)
		})
		var data *stores.DataError
		switch {
		case errors.As(err, new(*stores.FencedError)):
			return &final{errLost}
		case errors.As(err, &data):
			return unfitf(outcomeEventRefused, "the store refuses a row: %v", data)
		case err != nil && !stores.Transient(err):
			if ctx.Err() == nil && !errors.As(err, new(*unfit)) {
				w.cfg.Logger.Error("the rows cannot be written, the log is read anew", "error", err.Error())
			}
			return &final{err}
		}
		return err
	})
	if err != nil {
		return err
	}
	w.storeOK()
	events := int64(0)
	for _, a := range advances {
		events += a.Next - a.Claim.Next
	}
	w.Builder.mu.Lock()
	w.built, w.builtRows = events, rows
	w.Builder.mu.Unlock()
	w.cfg.Logger.Info("the revision is built", "events", events, "rows", rows, "spilled", w.buckets.spill.size())
	return nil
}

// fill gives the store the rows: those in memory model by model, then those of
// each spilled bucket. It may be called again.
func (w *work) fill(ctx context.Context, written *int64) stores.Fill {
	counted := func(rows iter.Seq2[[]value.Value, error]) iter.Seq2[[]value.Value, error] {
		return func(yield func([]value.Value, error) bool) {
			for row, err := range rows {
				if err == nil {
					*written++
					w.metrics.rows.Inc()
				}
				if !yield(row, err) {
					return
				}
			}
		}
	}
	return func(into func(int, iter.Seq2[[]value.Value, error]) error) error {
		w.storeOK() // it asks for rows
		load := func(model int, rows iter.Seq2[[]value.Value, error]) error {
			err := into(model, counted(rows))
			if err == nil {
				w.storeOK()
			}
			return err
		}
		b := w.buckets
		for m := range b.models {
			if err := load(m, b.inMemory(m)); err != nil {
				return err
			}
		}
		f := newFolder(b, w.cfg.NewEvaluator(), w.topicAt)
		for i := range b.all {
			if b.all[i].batch != nil {
				continue
			}
			batch, err := w.replay(ctx, f, i)
			if err != nil {
				return err
			}
			for m := range b.models {
				if err := load(m, rowsOf(batch, m)); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

func (b *buckets) inMemory(model int) iter.Seq2[[]value.Value, error] {
	return func(yield func([]value.Value, error) bool) {
		for i := range b.all {
			if b.all[i].batch == nil {
				continue
			}
			for row, err := range rowsOf(b.all[i].batch, model) {
				if !yield(row, err) || err != nil {
					return
				}
			}
		}
	}
}

// rowsOf gives the rows that a batch makes of an empty table, in the order of their keys.
func rowsOf(batch *fold.Batch, model int) iter.Seq2[[]value.Value, error] {
	return func(yield func([]value.Value, error) bool) {
		for _, u := range batch.Segments()[0].Rows(model) {
			row, err := u.Apply(nil)
			if err != nil {
				yield(nil, refusedRow(err))
				return
			}
			if row != nil && !yield(row, nil) {
				return
			}
		}
	}
}

// leastPart is how many bytes of rows a spilled bucket may have in any case.
const leastPart = 8 << 20

// replay folds a spilled bucket: its rows, and on top the records that touch it.
func (w *work) replay(ctx context.Context, f *folder, n int) (*fold.Batch, error) {
	batch := fold.NewBatch(w.buckets.models)
	var rec event.Record
	err := w.buckets.spill.each(&w.buckets.all[n].file, func(piece []byte) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		e := entries{b: piece}
		for e.more() {
			switch e.kind() {
			case entryRow:
				if model, row := e.row(w.buckets.models); !e.bad {
					batch.Put(model, row)
				}
			case entryRecord:
				topic, partition := e.record(&rec)
				if e.bad || topic >= len(w.cfg.Contract.Topics) {
					return unfitf(outcomeSpillFailed, "the spill was changed")
				}
				tp := event.TopicPartition{Topic: w.cfg.Contract.Topics[topic].Name, Partition: partition}
				if err := awaitSchemas(ctx, w.Builder, func() error { return f.again(batch, n, tp, &rec) }); err != nil {
					return err
				}
			default:
				e.bad = true
			}
		}
		if e.bad {
			return unfitf(outcomeSpillFailed, "the spill was changed")
		}
		most := max(w.buckets.max, leastPart)
		if int64(batch.Bytes()) <= most {
			return nil
		}
		if err := batch.Settle(); err != nil {
			return refusedRow(err)
		}
		if int64(batch.Bytes()) > most {
			return unfitf(outcomeTooLarge, "a part of the rows is larger than %d bytes: give the projector more memory", most)
		}
		return nil
	})
	return batch, err
}
