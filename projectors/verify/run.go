// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"
	"maps"
	"runtime/metrics"
	"slices"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/codecs"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/fold/naive"
	"github.com/projectionist-dev/projectionist/projectors/handlers"
	"github.com/projectionist-dev/projectionist/projectors/history"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// run is one comparison.
type run struct {
	Options
	models []fold.Model
	// plans is how each model is compared; out of it the models that are left out as a whole.
	plans  []plan
	eval   *handlers.Evaluator
	state  *naive.State
	reader *history.Reader
	// wanted holds the buckets that are folded, by model: the sample at first, then those that differ.
	wanted [][Buckets]bool
	// table holds the digests of the first snapshot, by model and bucket.
	table [][]digest

	asserted *assertions
	calls    int

	claims, again []stores.Claim
	barriers      []stores.Barrier
	buf           []byte
	effects, kept []fold.Effect
}

// plan is how a model is compared.
type plan struct {
	Model
	// out says that the model is left out, arrival that chance may decide which of its events are refused.
	out, arrival bool
	// columns are the indexes of those that are compared, the key among them.
	columns []int
}

func newRun(o Options) *run {
	r := &run{Options: o, models: o.Program.Models(), eval: o.Program.NewEvaluator(), reader: history.NewReader(o.Log, o.Patience, o.Progress)}
	r.state = naive.New(r.models)
	r.wanted = make([][Buckets]bool, len(r.models))
	r.table = make([][]digest, len(r.models))
	for i := range r.models {
		r.plans = append(r.plans, planOf(&o, i, &r.models[i]))
		r.table[i] = make([]digest, Buckets)
		for b := range o.Sample {
			r.wanted[i][b] = !r.plans[i].out && !o.AssertionsOnly
		}
	}
	return r
}

const (
	whyArrival = "order: Arrival: what it holds depends on which of two events is read first"
	whyRefused = "order: Arrival: which of two events is read first decides which of them is refused, and here another one was"
	whyNative  = "native: the database may write a value in another form"
)

func planOf(o *Options, model int, m *fold.Model) plan {
	spec := &o.Contract.Models[model]
	p := plan{Model: Model{Name: m.Name}, arrival: spec.Order != ""}
	arrival, told := o.Arrival[m.Name]
	if p.arrival && !told {
		p.leaveOut(whyArrival)
		return p
	}
	for i, col := range spec.StoredColumns() {
		switch {
		case slices.Contains(m.Key, i):
			p.columns = append(p.columns, i)
		case p.arrival && (slices.Contains(arrival, col.Name) || col.Name == contract.DeletedColumn):
			p.LeftOut = append(p.LeftOut, LeftOut{col.Name, whyArrival})
		case col.Native != "":
			p.LeftOut = append(p.LeftOut, LeftOut{col.Name, whyNative})
		default:
			p.columns = append(p.columns, i)
		}
	}
	if p.arrival && len(arrival) > 0 && len(p.columns) == len(m.Key) {
		// Where every column depends on arrival, so may which rows there are.
		p.leaveOut(whyArrival)
	}
	return p
}

func (p *plan) leaveOut(why string) {
	p.out, p.LeftOut = true, []LeftOut{{Why: why}}
}

func (r *run) wants(model int, key []value.Value) bool {
	return !r.plans[model].out && r.wanted[model][bucketOfValues(key)]
}

// digestTable takes the first snapshot.
func (r *run) digestTable(ctx context.Context) error {
	var key []value.Value
	return r.Store.Snapshot(ctx, r.Contract, stores.Visit{
		Begin: func(claims []stores.Claim, barriers []stores.Barrier) error {
			r.claims, r.barriers = claims, barriers
			return nil
		},
		Want: func(model int, key []value.Value) bool { return r.asserted.about(model) || r.wants(model, key) },
		Row: func(model int, row []value.Value) error {
			r.asserted.row(model, row)
			key = key[:0]
			for _, k := range r.models[model].Key {
				key = append(key, row[k])
			}
			if b := bucketOfValues(key); !r.plans[model].out && r.wanted[model][b] {
				r.buf = r.table[model][b].add(row, r.plans[model].columns, r.buf)
			}
			return nil
		},
	})
}

// foldTo folds the log up to exactly the claims' positions.
func (r *run) foldTo(ctx context.Context, claims []stores.Claim, barriers []stores.Barrier) error {
	return r.reader.To(ctx, claims, barriers, r.event)
}

// event folds one event, of which it keeps what falls into wanted buckets. What is dropped cannot fail: the positions
// say that the event was applied.
func (r *run) event(tp event.TopicPartition, rec *event.Record) error {
	effects, _, err := r.eval.Handle(tp, rec, r.effects[:0])
	r.effects = effects
	var unavailable *codecs.UnavailableError
	if errors.As(err, &unavailable) {
		return err
	}
	if err != nil {
		return history.EventRefused(tp, rec, err)
	}
	if err := r.apply(effects, func(p *plan) bool { return !p.arrival }); err != nil {
		return history.EventRefused(tp, rec, err)
	}
	for i := range r.plans {
		p := &r.plans[i]
		if p.out || !p.arrival {
			continue
		}
		if err := r.apply(effects, func(of *plan) bool { return of == p }); err != nil {
			p.leaveOut(whyRefused)
		}
	}
	return r.bounded(r.rows())
}

func (r *run) apply(effects []fold.Effect, of func(*plan) bool) error {
	r.kept = r.kept[:0]
	for i := range effects {
		e := &effects[i]
		if p := &r.plans[e.Model]; !p.out && of(p) && (e.Where != nil || r.wants(e.Model, e.Key)) {
			r.kept = append(r.kept, *e)
		}
	}
	if len(r.kept) == 0 {
		return nil
	}
	return r.state.Apply(r.kept...)
}

func (r *run) rows() int {
	n := 0
	for m := range r.models {
		n += r.state.Len(m)
	}
	return n
}

// liveHeap is what the last collection of garbage left, in bytes.
const liveHeap = "/gc/heap/live:bytes"

// bounded refuses more rows, or more memory, than may be held (Law 10).
func (r *run) bounded(rows int) error {
	if r.MaxRows > 0 && rows > r.MaxRows {
		return history.Refused(history.ReasonTooManyRows, "there are more than %d rows, which are held in memory", r.MaxRows)
	}
	const every = 1024
	if r.calls++; r.MaxBytes == 0 || r.calls%every != 0 {
		return nil
	}
	sample := []metrics.Sample{{Name: liveHeap}}
	if metrics.Read(sample); sample[0].Value.Kind() == metrics.KindUint64 && sample[0].Value.Uint64() > r.MaxBytes {
		return history.Refused(history.ReasonTooManyRows, "%d rows are held, and the memory that there is for them, %d MiB, is in use", rows, r.MaxBytes>>20)
	}
	return nil
}

// suspect makes wanted the buckets whose digests differ, and tells whether there are any. It counts the rows of the others.
func (r *run) suspect() bool {
	found := false
	for m := range r.models {
		p := &r.plans[m]
		if p.out {
			continue
		}
		folded := make([]digest, Buckets)
		for key, row := range r.state.All(m) {
			r.buf = folded[bucketOf(key)].add(row, p.columns, r.buf)
		}
		for b := range r.wanted[m] {
			if !r.wanted[m][b] {
				continue
			}
			if r.wanted[m][b] = folded[b] != r.table[m][b]; r.wanted[m][b] {
				found = true
			} else {
				p.Equal += folded[b].rows
			}
		}
	}
	return found
}

// pause is between two looks at a projector that is waited for.
const pause = 100 * time.Millisecond

// lookAgain takes the second snapshot, folds on to it, and compares row by row. Where the log was compacted, the snapshot
// is taken anew until the projector has come to an end of the log behind all that is missing: before that, a row differs
// from the log although it is right. Rows that differ while the projector stands still before such an end are refused.
func (r *run) lookAgain(ctx context.Context) error {
	r.prune()
	for impatient := time.Now().Add(r.Patience); ; {
		if err := r.reader.Settle(ctx); err != nil {
			return err
		}
		last := time.Now().After(impatient)
		table, err := r.tableAgain(ctx, !last)
		if err == nil {
			err = r.foldTo(ctx, r.again, r.barriers)
		}
		var early *history.RefusedError
		switch {
		case errors.As(err, &early) && early.Code == history.ReasonNotCaughtUp:
		case err != nil:
			return err
		case last || r.reader.Settled():
			return r.compareAll(ctx, table)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// compareAll compares the rows of all models as of the second snapshot.
func (r *run) compareAll(ctx context.Context, table *naive.State) error {
	differing := int64(0)
	for m := range r.models {
		if p := &r.plans[m]; !p.out {
			r.compare(p, &r.models[m], maps.Collect(r.state.All(m)), maps.Collect(table.All(m)), &r.wanted[m])
			differing += p.Differing()
		}
	}
	if differing == 0 {
		return nil
	}
	if err := r.reader.Settle(ctx); err != nil {
		return err
	}
	return r.reader.Told(r.again)
}

// tableAgain reads the rows of the wanted buckets; told is whether it is to fail with ReasonNotCaughtUp where the log cannot tell what they should be.
func (r *run) tableAgain(ctx context.Context, told bool) (*naive.State, error) {
	table := naive.New(r.models)
	held := 0
	err := r.Store.Snapshot(ctx, r.Contract, stores.Visit{
		Begin: func(claims []stores.Claim, barriers []stores.Barrier) error {
			r.again, r.barriers = claims, barriers
			if told {
				return r.reader.Told(claims)
			}
			return nil
		},
		Want: r.wants,
		Row: func(model int, row []value.Value) error {
			held++
			if err := r.bounded(held + r.rows()); err != nil {
				return err
			}
			table.Put(model, row)
			return nil
		},
	})
	if err == nil {
		err = history.Moved(r.Contract, r.claims, r.again)
	}
	return table, err
}

// prune forgets the rows of buckets that are equal.
func (r *run) prune() {
	kept := naive.New(r.models)
	for m := range r.models {
		for key, row := range r.state.All(m) {
			if r.wanted[m][bucketOf(key)] {
				kept.Put(m, row)
			}
		}
	}
	r.state = kept
}

// compare compares the rows of the wanted buckets, by key.
func (r *run) compare(p *plan, m *fold.Model, log, table map[string][]value.Value, wanted *[Buckets]bool) {
	keys := slices.Collect(maps.Keys(log))
	for k := range table {
		if _, both := log[k]; !both {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	differ := map[int]bool{}
	for _, k := range keys {
		d := Difference{Log: log[k], Table: table[k]}
		switch {
		case d.Table == nil:
			d.Kind = Missing
			p.Missing++
		case d.Log == nil:
			d.Kind = Extra
			p.Extra++
		default:
			for _, c := range p.columns {
				if !same(d.Log[c], d.Table[c]) {
					d.Columns = append(d.Columns, c)
				}
			}
			if len(d.Columns) == 0 {
				p.Equal++
				continue
			}
			d.Kind = Changed
			p.Changed++
		}
		differ[bucketOf(k)] = true
		if len(p.Differences) < r.Differences {
			row := d.Log
			if row == nil {
				row = d.Table
			}
			for _, c := range m.Key {
				d.Key = append(d.Key, row[c])
			}
			p.Differences = append(p.Differences, d)
		}
	}
	for b := range wanted {
		if wanted[b] && !differ[b] {
			p.Settled++
		}
	}
}

func same(a, b value.Value) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return value.Compare(a, b) == 0
}

func (r *run) result() *Result {
	out := &Result{Revision: r.Contract.Revision, At: places(r.claims), Again: places(r.again), Events: r.reader.Events(), Sample: r.Sample}
	for i := range r.plans {
		if p := &r.plans[i]; p.out {
			out.Models = append(out.Models, Model{Name: p.Name, LeftOut: p.LeftOut})
		} else {
			out.Models = append(out.Models, p.Model)
		}
	}
	out.Assertions = r.asserted.results()
	if r.AssertionsOnly {
		out.Models, out.Sample = nil, 0
	}
	return out
}

func places(claims []stores.Claim) []Place {
	var out []Place
	for _, c := range claims {
		out = append(out, Place{c.TopicPartition, c.Next})
	}
	return out
}
