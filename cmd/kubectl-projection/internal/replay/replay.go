// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/events"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/codecs"
	"github.com/projectionist-dev/projectionist/projectors/connect"
	"github.com/projectionist-dev/projectionist/projectors/engine"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/handlers"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// Projection is what is run: a contract and its compiled handlers.
type Projection struct {
	Contract *contract.Contract
	Program  *handlers.Program
}

// Cut is how events are cut into batches.
type Cut int

// The cuts.
const (
	// OneBatch folds all events and commits once, as a projector that is behind does.
	OneBatch Cut = iota
	// OneByOne commits each event.
	OneByOne
)

// Stop is an event that cannot be applied.
type Stop struct {
	// Event is the index of the event.
	Event int
	contract.Stop
}

// Step is what one event did.
type Step struct {
	// Event is the index of the event.
	Event int
	// Offset is its place in its partition.
	Offset int64
	// Type is the event's type, "" where it has none.
	Type    string
	Outcome handlers.Outcome
	Effects []Effect
	// Stop is why the event was not applied; nil when it was.
	Stop *contract.Stop
	// Behind is true for an event that was not looked at, behind one that stopped its partition.
	Behind bool
}

// Effect is what one handler did.
type Effect struct {
	// Handler is the handler's field path: models[stock_level].handlers[sold].
	Handler string
	fold.Effect
}

// HandlerName is the name of the handler.
func (e Effect) HandlerName() string {
	_, rest, _ := strings.Cut(e.Handler, ".handlers[")
	return strings.TrimSuffix(rest, "]")
}

// Options are how a run is made.
type Options struct {
	Cut Cut
	// GoOn skips an event that cannot be applied and takes the next ones of its partition, which a projector never does.
	GoOn bool
	// Watch is called after each event with OneByOne, when it is committed. It may be nil.
	Watch func(Step) error
}

// Result is what a run came to.
type Result struct {
	// Rows are the rows of each model as readers see them, by key.
	Rows [][][]value.Value
	// Stops are in the order of the events.
	Stops []Stop
}

// owner names this program in the bookkeeping.
const owner = "kubectl-projection"

// Run makes the projection's tables anew in the database, applies the events in
// their order, reads the rows, and drops the tables: the next projection may have
// models of the same names. Errors are of the surroundings.
func Run(ctx context.Context, p *Projection, db connect.Database, given []events.Event, o Options) (_ *Result, err error) {
	admin, err := db.Admin()
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	reader, ok := admin.(stores.Reader)
	if !ok {
		return nil, errors.New("rows cannot be read back from this store")
	}
	r := &run{ctx: ctx, p: p, o: o, stopped: map[event.TopicPartition]bool{}, claims: map[event.TopicPartition]stores.Claim{}}
	r.place(given)
	if _, err := admin.Retire(ctx, p.Contract.Projection); err != nil {
		return nil, err
	}
	defer func() {
		_, failed := admin.Retire(ctx, p.Contract.Projection)
		err = errors.Join(err, failed)
	}()
	if _, err := admin.Prepare(ctx, p.Contract, r.starts()); err != nil {
		return nil, err
	}
	if r.writer, err = db.Writer(p.Contract); err != nil {
		return nil, err
	}
	defer r.writer.Close()
	if err := r.claim(); err != nil {
		return nil, err
	}
	if err := r.all(); err != nil {
		return nil, err
	}
	out := &Result{Stops: r.stops}
	slices.SortFunc(out.Stops, func(a, b Stop) int { return a.Event - b.Event })
	for m := range p.Contract.Models {
		rows, err := reader.Read(ctx, p.Contract, m)
		if err != nil {
			return nil, err
		}
		out.Rows = append(out.Rows, rows)
	}
	return out, nil
}

// placed is an event with its place in the log.
type placed struct {
	index int
	tp    event.TopicPartition
	rec   event.Record
}

type run struct {
	ctx    context.Context //nolint:containedctx // a run is one call
	p      *Projection
	o      Options
	writer stores.Writer
	eval   *handlers.Evaluator
	log    []placed
	claims map[event.TopicPartition]stores.Claim
	// stopped partitions take no more events; with GoOn there are none.
	stopped map[event.TopicPartition]bool
	stops   []Stop
	effects []Effect
}

// place gives each event its offset: the number of events before it in its partition.
func (r *run) place(given []events.Event) {
	next := map[event.TopicPartition]int64{}
	for i := range given {
		tp := event.TopicPartition{Topic: given[i].Topic, Partition: max(0, given[i].Partition)}
		e := placed{index: i, tp: tp, rec: given[i].Record}
		if !given[i].Placed {
			e.rec.Offset = next[tp]
		}
		next[tp] = e.rec.Offset + 1
		r.log = append(r.log, e)
	}
	r.eval = r.p.Program.NewEvaluator()
	if r.o.Watch == nil {
		return
	}
	r.eval.Observe(func(handler string, e *fold.Effect) {
		kept := Effect{handler, *e}
		kept.Key, kept.Changes = slices.Clone(e.Key), slices.Clone(e.Changes)
		r.effects = append(r.effects, kept)
	})
}

func (r *run) starts() []stores.Start {
	counts := map[string]int32{}
	for _, e := range r.log {
		counts[e.tp.Topic] = max(counts[e.tp.Topic], e.tp.Partition+1)
	}
	var out []stores.Start
	for _, t := range r.p.Contract.Topics {
		for i := range max(1, counts[t.Name]) {
			out = append(out, stores.Start{TopicPartition: event.TopicPartition{Topic: t.Name, Partition: i}})
		}
	}
	return out
}

func (r *run) claim() error {
	var tps []event.TopicPartition
	for _, s := range r.starts() {
		tps = append(tps, s.TopicPartition)
	}
	slices.SortFunc(tps, event.TopicPartition.Compare)
	claims, err := r.writer.Claim(r.ctx, owner, tps)
	for _, c := range claims {
		r.claims[c.TopicPartition] = c
	}
	return err
}

func (r *run) all() error {
	if r.o.Cut == OneBatch {
		return r.commit(r.log)
	}
	for i := range r.log {
		e := &r.log[i]
		step := Step{Event: e.index, Offset: e.rec.Offset, Behind: r.stopped[e.tp]}
		if !step.Behind {
			before := len(r.stops)
			r.effects = nil
			outcome, err := r.one(e)
			if err != nil {
				return err
			}
			step.Type, step.Outcome, step.Effects = r.eval.EventType(), outcome, r.effects
			if len(r.stops) > before {
				step.Stop = &r.stops[before].Stop
			}
		}
		if r.o.Watch != nil {
			if err := r.o.Watch(step); err != nil {
				return err
			}
		}
	}
	return nil
}

// one applies one event.
func (r *run) one(e *placed) (handlers.Outcome, error) {
	b := r.newBatch()
	outcome, err := b.fold(e)
	if err == nil {
		err = b.commit()
	}
	return outcome, r.blame(e, err)
}

// commit applies events in one batch, or where the store refuses it in ever
// smaller ones, as the engine does.
func (r *run) commit(log []placed) error {
	b := r.newBatch()
	var last *placed
	folded := 0
	for i := range log {
		e := &log[i]
		if r.stopped[e.tp] {
			continue
		}
		_, err := b.fold(e)
		switch {
		case err == nil:
			last = e
			folded++
		case folded > 0:
			// What is before it goes first: it may hold an event that the store refuses.
			if err := r.commit(log[:i]); err != nil {
				return err
			}
			return r.commit(log[i:])
		default:
			if err := r.blame(e, err); err != nil {
				return err
			}
		}
	}
	err := b.commit()
	var data *stores.DataError
	switch {
	case !errors.As(err, &data):
		return err
	case folded == 1:
		return r.blame(last, err)
	}
	mid := len(log) / 2
	if err := r.commit(log[:mid]); err != nil {
		return err
	}
	return r.commit(log[mid:])
}

// blame stops the partition of an event that cannot be applied, and gives back
// errors that no event is to blame for.
func (r *run) blame(e *placed, err error) error {
	var (
		bad         *handlers.EventError
		over        *fold.OverflowError
		row         *fold.RowError
		data        *stores.DataError
		unavailable *codecs.UnavailableError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &unavailable):
		return err
	case errors.As(err, &bad), errors.As(err, &over), errors.As(err, &row), errors.As(err, &data):
		r.stops = append(r.stops, Stop{Event: e.index, Stop: *engine.StopFor(e.rec.Offset, err)})
	default:
		return err
	}
	if !r.o.GoOn {
		r.stopped[e.tp] = true
		return nil
	}
	// Its position is passed over, which a projector never does.
	b := r.newBatch()
	b.next[e.tp] = e.rec.Offset + 1
	return b.commit()
}

// batch is one transaction in the making.
type batch struct {
	*run
	rows *fold.Batch
	next map[event.TopicPartition]int64
}

func (r *run) newBatch() *batch {
	return &batch{run: r, rows: fold.NewBatch(r.p.Program.Models()), next: map[event.TopicPartition]int64{}}
}

func (b *batch) fold(e *placed) (handlers.Outcome, error) {
	effects, outcome, err := b.eval.Handle(e.tp, &e.rec, nil)
	if err == nil {
		err = b.rows.Apply(effects...)
	}
	if err == nil {
		b.next[e.tp] = e.rec.Offset + 1
	}
	return outcome, err
}

func (b *batch) commit() error {
	if len(b.next) == 0 {
		return nil
	}
	c := stores.Commit{Rows: b.rows}
	for tp, next := range b.next {
		claim, ok := b.claims[tp]
		if !ok {
			return fmt.Errorf("partition %s is not claimed", tp)
		}
		c.Advances = append(c.Advances, stores.Advance{Claim: claim, Next: next, LeaderEpoch: -1})
	}
	slices.SortFunc(c.Advances, func(x, y stores.Advance) int { return x.Claim.Compare(y.Claim.TopicPartition) })
	if err := b.writer.Commit(b.ctx, c); err != nil {
		return err
	}
	for tp, next := range b.next {
		claim := b.claims[tp]
		claim.Next = next
		b.claims[tp] = claim
	}
	return nil
}
