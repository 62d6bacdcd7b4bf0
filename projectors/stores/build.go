// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package stores

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/contract/value"
)

// Builder is a capability of a Writer: it fills the empty tables of its revision at one go (CORRECTNESS 6).
type Builder interface {
	// StartBuild gives the right to build to this process: it claims all
	// partitions, as BuildOwner(owner), so that no commit of an earlier claim succeeds. It fails with
	// ErrBuilding where another process has the right, with ErrBuilt where there are
	// rows, or a claim that was not made for a build; then nothing is claimed by owner
	// for a build. Otherwise as Claim does.
	StartBuild(ctx context.Context, owner string) (Build, error)
}

// Build is a build under way. The tables are as they were until Write has committed.
type Build interface {
	// Claims are those of all partitions, in order, with the positions to read from.
	Claims() []Claim
	// Lost is closed when the right is gone for good: another process has it, or had it.
	Lost() <-chan struct{}
	// Write puts rows into the tables and moves the positions, in one transaction: all
	// or nothing, whatever happens in between. StartBuild gives ErrBuilt from then on. Advances name all partitions, in order.
	// indexing is called when the last row is written and keys and indexes are made.
	//
	// It fails as Commit does, and with what rows fails with. After an error for which
	// Transient is true it may be called again with the same advances, and then
	// finds out itself whether it had happened.
	Write(ctx context.Context, advances []Advance, rows Fill, indexing func()) error
	// Abandon leaves the revision to projectors: it claims all partitions as owner, after
	// which StartBuild gives ErrBuilt.
	Abandon(ctx context.Context) error
	// Close gives the right back.
	Close()
}

// Fill calls load any number of times, each with rows of one model: a value for
// each of contract.Model.StoredColumns. No key of a model comes twice. The store
// keeps no row. An error of load, or out of rows, ends it and is its error.
type Fill func(load func(model int, rows iter.Seq2[[]value.Value, error]) error) error

var (
	// ErrBuilding means that another process builds the revision.
	ErrBuilding = errors.New("another projector builds this revision")
	// ErrBuilt means that the revision has rows, or that projectors have begun to apply events to it.
	ErrBuilt = errors.New("the revision is built already, or is being built event by event")
)

// buildMark follows the owner in the claims of a build. No pod has such a name.
const buildMark = " (building)"

// BuildOwner is how the claims of a build name their owner.
func BuildOwner(owner string) string { return owner + buildMark }

// Building tells whether a process builds the revision, or did and has not come to the end.
func Building(claims []Claim) bool {
	return slices.ContainsFunc(claims, func(c Claim) bool { return strings.HasSuffix(c.Owner, buildMark) })
}

// MayBuild tells whether the claims leave a build possible: each was never
// made, or made for a build, which then has not come to its end.
func MayBuild(claims []Claim) bool {
	for _, c := range claims {
		if c.Owner != "" && !strings.HasSuffix(c.Owner, buildMark) {
			return false
		}
	}
	return len(claims) > 0
}
