// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package stores

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
)

// Replacer is a capability of an Admin: it puts rows in the place of others while projectors go on (CORRECTNESS 8).
type Replacer interface {
	// Positions reads the claims of all partitions of c's revision, in order, and the barriers as Writer.Barriers gives
	// them, as of one instant and without a lock.
	Positions(ctx context.Context, c *contract.Contract) ([]Claim, []Barrier, error)
	// Replace locks all positions of c's revision, calls r.Fold with them, puts the rows that it gives in the place of
	// those with their keys, and ends every claim, all in one transaction: no writer commits between the positions that
	// Fold was given and the rows of just these positions. Rows of other keys are not touched, and neither is a row that
	// is already as Fold gives it.
	//
	// It fails with an error of Fold, as it is; ErrHeldTooLong; a *DataError where a row breaks a rule of the table;
	// ctx's error; or one for which Transient is true. Then nothing was changed, but after the latter two it may have
	// been, and to call it again is right. A connection that is lost in COMMIT it sees to itself.
	Replace(ctx context.Context, c *contract.Contract, r Replacement) (Replaced, error)
}

// Replacement is what a Replace does.
type Replacement struct {
	// Owner is what the position rows show as the owner of the claims that are ended.
	Owner string
	// Hold bounds what is done while the positions are locked, which all writers of the revision wait for: Fold, and reading and
	// writing its rows. Only the COMMIT comes on top. It also bounds how long a lock is waited for. 0 is DefaultHold, more than
	// MaxHold is MaxHold. ctx of Fold is done then, with ErrHeldTooLong as its cause.
	Hold time.Duration
	// Fold gives the rows as of the claims' positions, on the caller's goroutine, and each key once. It must not use the
	// store, and may be called several times: each time for positions of their own.
	Fold func(ctx context.Context, claims []Claim, barriers []Barrier) ([]Row, error)
}

// DefaultHold and MaxHold are limits of Replacement.Hold. A session that is idle for longer than MaxHold in a transaction may be ended by a server.
const (
	DefaultHold = 2 * time.Second
	MaxHold     = 5 * time.Second
)

// HoldOrDefault is Hold within its limits.
func (r *Replacement) HoldOrDefault() time.Duration {
	if r.Hold <= 0 {
		return DefaultHold
	}
	return min(r.Hold, MaxHold)
}

// Row is what is to be under a key: Values holds a value for each of contract.Model.StoredColumns, nil is no row.
type Row struct {
	// Model is an index into the contract's models.
	Model int
	// Key holds the values of the key columns, in their order.
	Key    []value.Value
	Values []value.Value
}

// Replaced is what a Replace did.
type Replaced struct {
	// Claims are those that Fold was given, by the positions of which the rows are.
	Claims []Claim
	// Models are the counts of each model of the contract.
	Models []ReplacedRows
}

// ReplacedRows counts the keys of one model by what became of their rows.
type ReplacedRows struct {
	// Written rows were another, or none; Deleted rows are there no more; Equal ones, and absent ones, were as they had to be.
	Written, Deleted, Equal int64
}

// ErrHeldTooLong means that the rows were not folded and written within Replacement.Hold: the positions are free again, and nothing was changed.
var ErrHeldTooLong = errors.New("the rows were not folded and written in the time for which writers may be held up")

// freePrefix begins the token of a claim that was ended. Writers mint none that begins so.
const freePrefix = "free-"

// FreeToken mints the token of a claim that is ended: no commit holds it.
func FreeToken() string { return freePrefix + rand.Text() }

// Free tells that the claim was ended, and nobody holds the partition: whoever lost it by that may claim it at once.
func (c *Claim) Free() bool { return strings.HasPrefix(c.Token, freePrefix) }
