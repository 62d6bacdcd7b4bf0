// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package controllers_test

import (
	"slices"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
)

// book is the bookkeeping of a store, of one projection each: what the actions on revisions do to it.
type book map[string]*contract.RevisionFacts

// act does what a Job was asked, and puts what it finds into its result.
func (b book) act(projection, revision string, q contract.Request, r *contract.Result, now time.Time) {
	if b[projection] == nil {
		b[projection] = &contract.RevisionFacts{}
	}
	f := b[projection]
	now = now.UTC().Truncate(time.Second)
	refuse := func(reason string) { r.OK, r.Reason, r.Message = false, reason, "refused" }
	stale := q.Switch != nil && (q.Switch.Active != f.Active || q.Switch.Sequence != f.Sequence)
	switch {
	case !r.OK:
	case q.Action == contract.ActionRetire:
		*f = contract.RevisionFacts{}
	case q.Action == contract.ActionPrepare:
		if f.Find(revision) == nil {
			f.Revisions = append(f.Revisions, contract.RevisionFact{Revision: revision})
		}
		if f.Active == "" {
			f.Active, f.Sequence = revision, f.Sequence+1
			f.Find(revision).PromotedAt = now
		}
	case q.Action == contract.ActionPromote:
		switch {
		case q.Switch.Revision == f.Active:
		case stale:
			refuse("Superseded")
		case f.Find(q.Switch.Revision) == nil:
			refuse("RevisionMissing")
		default:
			f.Find(f.Active).LeftAt = now
			f.Active, f.Sequence = q.Switch.Revision, f.Sequence+1
			f.Find(f.Active).PromotedAt, f.Find(f.Active).LeftAt = now, time.Time{}
		}
	case q.Action == contract.ActionDiscard:
		switch {
		case f.Find(q.Switch.Revision) == nil:
		case q.Switch.Revision == f.Active:
			refuse("RevisionActive")
		case stale:
			refuse("Superseded")
		default:
			f.Revisions = slices.DeleteFunc(f.Revisions, func(r contract.RevisionFact) bool { return r.Revision == q.Switch.Revision })
		}
	default:
		return
	}
	facts := *f
	facts.Revisions = slices.Clone(f.Revisions)
	r.Revisions = &facts
	if r.Prepare != nil {
		r.Prepare.ActiveRevision, r.Prepare.Sequence = f.Active, f.Sequence
	}
}
