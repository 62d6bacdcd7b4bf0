// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/handlers"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// evaluate folds each batch of its partitions, in order, and stages the result.
func (s *session) evaluate(ctx context.Context, in <-chan *unit) {
	f := s.e.newFolder()
	// halted holds, by partition, one more than the serial of the units that
	// follow an event which could not be applied, or read.
	halted := make(map[*partition]int)
	for u := range in {
		if ctx.Err() != nil || halted[u.p] == u.serial+1 || !s.current(u) {
			s.finish(u)
			continue
		}
		f.fold(u, u.batch.Records, u.batch.Next)
		// This batch and those before it still commit; those after do not.
		switch {
		case u.stop != nil:
			halted[u.p] = u.serial + 1
			s.stops(u)
		case u.wait != nil:
			halted[u.p] = u.serial + 1
			s.waits(u)
		default:
			s.waited(u)
		}
		if u.wait != nil && u.next == u.batch.First {
			s.finish(u) // there is nothing to commit, and the next attempt waits for nothing else
			continue
		}
		u.stagedAt = time.Now()
		s.staged <- u // the committer reads until every evaluator has left
	}
}

// folder evaluates records into a fold; one per goroutine.
type folder struct {
	models  []fold.Model
	eval    Evaluator
	effects []fold.Effect
}

func (e *Engine) newFolder() *folder {
	return &folder{models: e.cfg.Models, eval: e.cfg.NewEvaluator()}
}

// fold evaluates records into u, setting next to the position after them, or
// to the first record that cannot be applied together with the stop, or that
// cannot be read now together with the wait.
func (f *folder) fold(u *unit, records []event.Record, next int64) {
	u.rows, u.next, u.events, u.applied, u.stop, u.wait = nil, next, 0, 0, nil, nil
	for i := range records {
		r := &records[i]
		effects, outcome, err := f.eval.Handle(u.p.tp, r, f.effects[:0])
		f.effects = effects
		if err == nil && len(effects) > 0 {
			if u.rows == nil {
				u.rows = fold.NewBatch(f.models)
			}
			err = u.rows.Apply(effects...)
		}
		if errors.As(err, &u.wait) {
			u.next = r.Offset
			return
		}
		if err != nil {
			u.next, u.stop = r.Offset, StopFor(r.Offset, err)
			return
		}
		u.events++
		if outcome.Result == handlers.Applied {
			u.applied++
		}
		if r.Timestamp <= maxTimestamp {
			u.eventTime = max(u.eventTime, r.Timestamp)
		}
	}
}

// maxTimestamp is the end of the year 9999 in milliseconds. A later one is of
// another unit, and neither a store nor a status can hold it.
const maxTimestamp = 253_402_300_799_999

// StopFor turns the error of one event, of its evaluation or of its rows, into
// what users see. It never carries a payload's value (Law 7): the errors that
// come here do not either.
func StopFor(offset int64, err error) *contract.Stop {
	stop := &contract.Stop{Position: contract.OffsetPosition(offset), Reason: "HandlerError", Message: err.Error()}
	var ev *handlers.EventError
	var over *fold.OverflowError
	var row *fold.RowError
	var data *stores.DataError
	switch {
	case errors.As(err, &ev):
		stop.Reason, stop.Path, stop.Message = ev.Reason, ev.Path, ev.Message
	case errors.As(err, &row):
		stop.Reason, stop.Path, stop.Message = row.Reason, row.Path, row.Message
	case errors.As(err, &over):
		stop.Reason = "OutOfRange"
		stop.Path = "models[" + over.Model + "].columns[" + over.Column + "]"
		stop.Message = over.Message
	case errors.As(err, &data):
		stop.Reason, stop.Path, stop.Message = data.Reason, "models["+data.Model+"]", data.Message
		switch {
		case data.Path != "":
			stop.Path = data.Path
		case data.Column != "":
			stop.Path += ".columns[" + data.Column + "]"
		}
	}
	return stop
}
