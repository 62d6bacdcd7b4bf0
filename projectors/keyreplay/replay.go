// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package keyreplay

import (
	"context"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/handlers"
	"github.com/projectionist-dev/projectionist/projectors/history"
	"github.com/projectionist-dev/projectionist/projectors/sources"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// Options are what to make anew, and how.
type Options struct {
	Log   sources.Log
	Store stores.Replacer
	// Contract is that of the revision, and Program what it compiles to.
	Contract *contract.Contract
	Program  *handlers.Program
	// Keys are whose rows are made anew, at most MaxKeys, each once.
	Keys []Key
	// Owner is what the bookkeeping shows as who ended the projector's claims.
	Owner string
	// Patience is for how long a log that gives nothing, a store that is away or locked, or a projector that is to reach
	// the end, is waited for; 0 is a minute.
	Patience time.Duration
	// Hold bounds for how long the projector waits; see stores.Replacement.
	Hold time.Duration
	// MaxGap is how many positions are folded while the projector waits; 0 is DefaultMaxGap.
	MaxGap int64
	// ChaseLimit is for how long the projector is chased that applies events as fast as they are folded here; 0 is ten minutes.
	ChaseLimit time.Duration
	// Progress, if set, hears how many positions of the log were read, and of how many.
	Progress func(read, of int64)
}

// DefaultMaxGap is folded in a fraction of stores.DefaultHold: the interpreter was measured at 90,000 events a second.
const DefaultMaxGap = 10_000

// Reasons of a *history.RefusedError beside those of package history.
const (
	// ReasonOrderArrival says that the rows depend on which of two events is read first, so that the log gives others.
	ReasonOrderArrival = "OrderArrival"
	// ReasonTooManyKeys says that there are more than MaxKeys keys.
	ReasonTooManyKeys = "TooManyKeys"
	// ReasonNotBuilt says that the revision has no rows yet: no projector has begun, or it is being built in bulk.
	ReasonNotBuilt = "NotBuilt"
	// ReasonChaseLost says that the projector applied events as fast as they were folded.
	ReasonChaseLost = "ChaseLost"
)

// Result is what was done.
type Result struct {
	Revision string
	// At are the positions that the rows are of.
	At []stores.Claim
	// Events counts the records of the log that were read.
	Events int64
	// Tries counts the transactions that were begun; all but the last gave way.
	Tries int
	// Models are the counts of the contract's models.
	Models []stores.ReplacedRows
}

// Total adds the counts of all models.
func (r *Result) Total() stores.ReplacedRows {
	var out stores.ReplacedRows
	for _, m := range r.Models {
		out.Written, out.Deleted, out.Equal = out.Written+m.Written, out.Deleted+m.Deleted, out.Equal+m.Equal
	}
	return out
}

// Run makes the rows anew. It fails with a *history.RefusedError, a *stores.DataError where a row breaks a unique index, an
// error of the source or the store, or ctx's error. Nothing was changed then, but where the store's answer is in doubt;
// to run it again is right in any case.
func Run(ctx context.Context, o Options) (*Result, error) {
	if o.Patience <= 0 {
		o.Patience = time.Minute
	}
	if o.MaxGap <= 0 {
		o.MaxGap = DefaultMaxGap
	}
	if o.ChaseLimit <= 0 {
		o.ChaseLimit = 10 * time.Minute
	}
	if err := admit(&o); err != nil {
		return nil, err
	}
	r := newRun(o)
	if err := r.fromTheBeginning(ctx); err != nil {
		return nil, err
	}
	return r.chase(ctx)
}

// admit refuses what cannot be made anew by itself.
func admit(o *Options) error {
	if len(o.Keys) > MaxKeys {
		return history.Refused(ReasonTooManyKeys, "there are %d keys, and at most %d at a time: replay them in parts, or rebuild the projection", len(o.Keys), MaxKeys)
	}
	for _, k := range o.Keys {
		if m := &o.Contract.Models[k.Model]; m.Order != "" {
			return history.Refused(ReasonOrderArrival, "model %s has order: Arrival: its rows depend on which of two events is read first, and the log read once more may give others than its projector has; "+
				"rebuild the projection, or do without order: Arrival", m.Name)
		}
	}
	return nil
}
