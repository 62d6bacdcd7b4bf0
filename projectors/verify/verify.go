// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/handlers"
	"github.com/projectionist-dev/projectionist/projectors/history"
	"github.com/projectionist-dev/projectionist/projectors/sources"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// Buckets is into how many buckets the keys of a model fall, by a hash.
const Buckets = contract.Buckets

// Options are what to compare, and how.
type Options struct {
	Log   sources.Log
	Store stores.Snapshotter
	// Contract is that of the revision to compare, and Program what it compiles to.
	Contract *contract.Contract
	Program  *handlers.Program
	// Arrival gives, by model with order: Arrival, the columns that depend on what arrives first. Such a model
	// that is not in it is left out as a whole.
	Arrival map[string][]string
	// Sample is how many of the Buckets are compared, always the same ones; 0 is all of them.
	Sample int
	// AssertionsOnly compares nothing: the log is not read.
	AssertionsOnly bool
	// Assertions are tested on all rows of the first snapshot.
	Assertions []contract.Assertion
	// Differences is how many differing rows of a model are kept in the result, the first ones by key; 0 is none.
	Differences int
	// MaxRows bounds the rows in memory, MaxBytes the memory that is in use; 0 is no bound.
	MaxRows  int
	MaxBytes uint64
	// Patience is for how long a log that gives nothing is asked again, and a projector is waited for that has to apply
	// what compaction has left; 0 is a minute.
	Patience time.Duration
	// Progress, if set, hears how many positions of the log were read, and of how many.
	Progress func(read, of int64)
}

// Place is how far a partition was applied: Next is the next offset.
type Place struct {
	event.TopicPartition
	Next int64
}

// Result is what a comparison came to.
type Result struct {
	Revision string
	// At are the positions of the first snapshot, in order; Again those of the second, where there was one.
	At, Again []Place
	// Events counts the records of the log that were read.
	Events int64
	// Sample is how many of the Buckets were compared.
	Sample int
	Models []Model
	// Assertions are what became of Options.Assertions, in that order.
	Assertions []Assertion
}

// Compared counts the rows that were compared, and those of them that differ.
func (r *Result) Compared() (rows, differing int64) {
	for i := range r.Models {
		rows, differing = rows+r.Models[i].Compared(), differing+r.Models[i].Differing()
	}
	return rows, differing
}

// Equal tells whether no row differs.
func (r *Result) Equal() bool {
	for i := range r.Models {
		if r.Models[i].Differing() > 0 {
			return false
		}
	}
	return true
}

// Model is what was found in one model.
type Model struct {
	Name string
	// Equal, Changed, Missing and Extra count rows, tombstones among them: as the log says, with other values, not
	// in the table, and in the table alone.
	Equal, Changed, Missing, Extra int64
	// Settled counts buckets that differed at the first snapshot and not at the second: their rows were
	// overwritten by later events.
	Settled int
	// LeftOut names what was not compared.
	LeftOut []LeftOut
	// Differences are the first differing rows, by key.
	Differences []Difference
}

// Compared counts the rows that were compared.
func (m *Model) Compared() int64 { return m.Equal + m.Differing() }

// Differing counts those that are not equal.
func (m *Model) Differing() int64 { return m.Changed + m.Missing + m.Extra }

// LeftOut is a column that is not compared. Where Column is "" it is the whole model, of whose rows nothing is said.
type LeftOut struct{ Column, Why string }

// Kind is how a row differs.
type Kind string

// The kinds of differences.
const (
	Changed Kind = "Changed"
	Missing Kind = "Missing"
	Extra   Kind = "Extra"
)

// Difference is one row. It holds values of events: it is for the terminal of a user who may read them (Law 7).
type Difference struct {
	Kind Kind
	// Key holds the values of the key columns, in their order.
	Key []value.Value
	// Log is the row as the log says, Table as it is, each with a value for each stored column; nil is no row.
	Log, Table []value.Value
	// Columns are the indexes of those that differ, for Changed.
	Columns []int
}

// Run compares. It fails with a *history.RefusedError, an error of the source or the store, or ctx's error.
func Run(ctx context.Context, o Options) (*Result, error) {
	if o.Sample <= 0 || o.Sample > Buckets {
		o.Sample = Buckets
	}
	if o.Patience <= 0 {
		o.Patience = time.Minute
	}
	r := newRun(o)
	var err error
	if r.asserted, err = newAssertions(&o); err != nil {
		return nil, err
	}
	if err := r.digestTable(ctx); err != nil {
		return nil, err
	}
	if o.AssertionsOnly {
		return r.result(), nil
	}
	if err := history.Check(ctx, r.Log, r.Contract, r.claims); err != nil {
		return nil, err
	}
	if err := r.foldTo(ctx, r.claims, r.barriers); err != nil {
		return nil, err
	}
	if r.suspect() {
		if err := r.lookAgain(ctx); err != nil {
			return nil, err
		}
	}
	return r.result(), nil
}
