// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package stores

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
)

// Writer is the data path of one projector process into one revision's tables.
// Its methods may be called concurrently; every one of them honours ctx.
type Writer interface {
	// Claim mints a new epoch and token for each partition and returns where to
	// start. From then on no commit of an earlier claim succeeds. A partition
	// that has no position row fails with ErrNoPosition, and none is claimed.
	Claim(ctx context.Context, owner string, tps []event.TopicPartition) ([]Claim, error)
	// Peek reads the current claims and positions, without taking anything.
	Peek(ctx context.Context) ([]Claim, error)
	// Commit applies rows and positions in one transaction. All or nothing.
	// It fails with *FencedError, *DataError, ErrNoPosition, ctx's error, or an
	// error for which Transient is true. After the latter two the commit may have
	// happened all the same: Peek tells, since its claim cannot commit it twice.
	// When the connection is lost in COMMIT it finds out itself what happened
	// (CORRECTNESS 4): nil means committed.
	Commit(ctx context.Context, c Commit) error
	// AddPartitions inserts position rows at zero for partitions [from, to) of a
	// topic that has grown, and records the barrier: the end positions of the
	// partitions that existed before (CORRECTNESS 1). It is idempotent, and
	// returns the barrier that was recorded first for this topic and Before.
	// Before must be the number of partitions that the revision has rows for; it
	// fails with ErrNoPosition when it once had more of them, without a barrier there.
	AddPartitions(ctx context.Context, b Barrier) (Barrier, error)
	// Barriers lists the recorded barriers that concern this revision, oldest first.
	Barriers(ctx context.Context) ([]Barrier, error)
	// Ping tells whether the store can be written to now.
	Ping(ctx context.Context) error
	Close()
}

// Claim is the right to commit to a partition.
type Claim struct {
	event.TopicPartition
	Epoch int64
	Token string
	// Next is the position to read first.
	Next int64
	// Begin is where the revision began to read the partition, or BeginUnknown: its rows are those of the events from there on. A Writer
	// gives it where its contract has From; otherwise that is 0.
	Begin int64
	Owner string
	// TopicID is the broker's id of the topic when it was first read, "" if unknown.
	TopicID     string
	LeaderEpoch int32
	HeldVersion int64
	// EventTime is that of the newest event applied, zero if none.
	EventTime time.Time
}

// Advance moves one partition from Claim.Next to Next. The rows that the move
// produced are in the same Commit.
type Advance struct {
	Claim       Claim
	Next        int64
	EventTime   time.Time
	LeaderEpoch int32
	TopicID     string
}

// Commit is one transaction. Advances are in the order of
// event.TopicPartition.Compare and name a partition once; Rows may be nil or empty.
type Commit struct {
	Advances []Advance
	Rows     *fold.Batch
}

// Barrier says that partitions from Before on, of a topic that has grown to
// After, may only be read when the partitions before have passed Ends.
type Barrier struct {
	Topic         string
	Before, After int32
	// Ends holds the high watermark of each partition below Before when growth was
	// seen, by index: what open transactions hold back is older than the growth.
	Ends []int64
}

// Limit lowers how far partitions may be read, unless all partitions before the
// growth are at or past its ends by what at says: then it is open.
func (b Barrier) Limit(limits map[event.TopicPartition]int64, at func(event.TopicPartition) int64) {
	open := true
	for i, end := range b.Ends {
		open = open && at(event.TopicPartition{Topic: b.Topic, Partition: int32(i)}) >= end
	}
	if open {
		return
	}
	lower := func(tp event.TopicPartition, limit int64) {
		if have, ok := limits[tp]; !ok || limit < have {
			limits[tp] = limit
		}
	}
	for i, end := range b.Ends {
		lower(event.TopicPartition{Topic: b.Topic, Partition: int32(i)}, end)
	}
	for i := b.Before; i < b.After; i++ {
		lower(event.TopicPartition{Topic: b.Topic, Partition: i}, 0)
	}
}

// Admin is the DDL side of a store, used by action Jobs.
type Admin interface {
	Probe(ctx context.Context) (contract.StoreFacts, error)
	// Prepare creates what a revision needs: bookkeeping, tables, indexes, the
	// view, and a position row for each partition in starts. It is idempotent and adopts a
	// retained projection's tables; it fails with *NameTakenError rather than
	// touching a relation that is not this projection's. Position rows are made
	// once, with the revision: starts are ignored when it is there already. Where c.From asks for
	// another place than the starts' Next, they are made there (Resolve), which is written down with c, or it fails with a *StartError. Partitions that
	// another revision has not seen yet get none: they come through AddPartitions, with a barrier (AsRecorded). Views
	// show the revision that was prepared first. Starts number the partitions of
	// each topic from 0 without gaps.
	Prepare(ctx context.Context, c *contract.Contract, starts []Start) (contract.PrepareFacts, error)
	// Retire drops every relation and bookkeeping row of a projection and says what it dropped. Nothing to drop is no
	// error. What a projection of the same cluster, namespace and name but another UID has prepared since is not its own: it drops nothing.
	Retire(ctx context.Context, owner contract.Identity) ([]string, error)
	Close()
}

// Reader is a capability of an Admin: it reads a revision's rows as users of its
// views do, for tests and previews.
type Reader interface {
	// Read gives the rows of a model in the order of its key, each with a value for
	// each of contract.Contract.ViewColumns, joined ones among them. Rows that stay as tombstones are left out.
	Read(ctx context.Context, c *contract.Contract, model int) ([][]value.Value, error)
	// Count gives the number of rows that Read would give, without reading them.
	Count(ctx context.Context, c *contract.Contract, model int) (int64, error)
}

// Switcher is a capability of an Admin: revisions side by side, one of which readers see.
type Switcher interface {
	// Revisions gives what the bookkeeping says of a projection; of one that it does not know, zero facts and no error.
	Revisions(ctx context.Context, owner contract.Identity) (contract.RevisionFacts, error)
	// Promote makes the views show s.Revision, in one transaction that also locks the
	// positions of the active revision and finds those of the other at or past them
	// (CORRECTNESS 7): no reader sees a position fall (Law 6). The facts are those
	// after it, or, of a failure, those that it found. Where s.Revision is active
	// already it does nothing, and that is no error. It fails with *SwitchError; ctx ends the tries, as s.DeadlineSeconds does.
	Promote(ctx context.Context, owner contract.Identity, s contract.Switch) (contract.RevisionFacts, error)
	// Discard drops the tables, positions and bookkeeping rows of s.Revision, which readers
	// must not see. One that is gone already is no error. It fails with *SwitchError.
	Discard(ctx context.Context, owner contract.Identity, s contract.Switch) (contract.RevisionFacts, error)
}

// SwitchError says why a revision was not promoted or discarded. Nothing was changed.
type SwitchError struct {
	// Code is one of the reasons above.
	Code string
	// Message says what is wrong and what to do.
	Message string
	// Retryable is true where waiting may help.
	Retryable bool
}

func (e *SwitchError) Error() string { return e.Message }

// Reason gives Code.
func (e *SwitchError) Reason() string { return e.Code }

// Start is where a new revision begins to read a partition: with the earliest event that is there, where its contract has no From.
type Start struct {
	event.TopicPartition
	Next    int64
	TopicID string
	// End is the end of the log, and At the first position at or after From.Time; both are for contracts with From.
	End, At int64
}

// Reasons of store errors, as conditions show them.
const (
	ReasonUnreachable          = "Unreachable"
	ReasonAuthenticationFailed = "AuthenticationFailed"
	ReasonForbidden            = "Forbidden"
	ReasonSecretKeyMissing     = "SecretKeyMissing"
	ReasonNameTaken            = "NameTaken"
	ReasonNotPrepared          = "NotPrepared"
	ReasonBookkeepingNewer     = "BookkeepingNewer"

	// ReasonSuperseded says that the projection is in another state than the action expected: it does nothing.
	ReasonSuperseded = "Superseded"
	// ReasonHandoverTimeout says that the new revision did not reach the old one's positions in time.
	ReasonHandoverTimeout = "HandoverTimeout"
	// ReasonViewLocked says that the lock on a view was not to be had within the limit.
	ReasonViewLocked = "ViewLocked"
	// ReasonReadersWouldBreak says that a view would lose or retype a column that readers may use.
	ReasonReadersWouldBreak = "ReadersWouldBreak"
	// ReasonRevisionMissing says that a revision has no tables.
	ReasonRevisionMissing = "RevisionMissing"
	// ReasonRevisionActive says that readers see the revision that was to be dropped.
	ReasonRevisionActive = "RevisionActive"
)

// MaxFanOutRows bounds the rows that one fan-out of one event touches in a
// commit (Law 10); more are a FanOutTooLarge.
const MaxFanOutRows = 100_000

// ErrNoPosition means that a position row is missing: the revision was not
// prepared, or somebody deleted the row. Restarting at zero would count events twice.
var ErrNoPosition = errors.New("no position row in the bookkeeping")

// FencedError says which partitions' fences did not hold. Nothing was changed.
type FencedError struct{ Partitions []event.TopicPartition }

func (e *FencedError) Error() string {
	var b strings.Builder
	b.WriteString("fenced:")
	for _, tp := range e.Partitions {
		fmt.Fprintf(&b, " %s", tp)
	}
	return b.String()
}

// DataError says that the rows themselves cannot be stored: a value out of its
// column's range, a constraint. The engine narrows it down to one event.
type DataError struct {
	Model string
	// Path is the field path of the expression or rule concerned; "" where it is that of the column or model.
	Path   string
	Column string // "" if the store did not say
	Reason string // CamelCase: OutOfRange, ConstraintViolation, FanOutTooLarge, or that of a *fold.RowError
	// Message says what is wrong, without any value.
	Message string
}

func (e *DataError) Error() string {
	if e.Path != "" {
		return fmt.Sprintf("%s: %s: %s", e.Reason, e.Path, e.Message)
	}
	if e.Column == "" {
		return fmt.Sprintf("%s: model %s: %s", e.Reason, e.Model, e.Message)
	}
	return fmt.Sprintf("%s: models[%s].columns[%s]: %s", e.Reason, e.Model, e.Column, e.Message)
}

// ReasonFanOutTooLarge is the reason of a FanOutTooLarge.
const ReasonFanOutTooLarge = "FanOutTooLarge"

// FanOutTooLarge says that a fan-out on the model would touch more than MaxFanOutRows rows.
func FanOutTooLarge(model string) *DataError {
	return &DataError{Model: model, Reason: ReasonFanOutTooLarge, Message: fmt.Sprintf(
		"where matches more than %d rows: match by more columns, or give the model a key that the event names", MaxFanOutRows)}
}

// NameTakenError says that a relation exists that is not this projection's.
type NameTakenError struct {
	Relation string
	// Owner is "cluster/namespace/name", or "" for a relation that no projection made.
	Owner string
}

func (e *NameTakenError) Error() string {
	if e.Owner == "" {
		return fmt.Sprintf("relation %s exists and was not made by a projection: rename the model or move the relation away", e.Relation)
	}
	return fmt.Sprintf("relation %s belongs to projection %s: rename the model, or delete that projection's tables first", e.Relation, e.Owner)
}

// EnvironmentError is a fault of the surroundings: it makes a wait, never a
// dead letter (Law 5).
type EnvironmentError struct {
	Reason string
	// Message says what to do; it carries no secret.
	Message string
	Err     error
}

func (e *EnvironmentError) Error() string { return e.Reason + ": " + e.Message }

func (e *EnvironmentError) Unwrap() error { return e.Err }

// Transient tells whether waiting may help: the surroundings are at fault, not
// the data, the claim or the caller.
func Transient(err error) bool {
	var env *EnvironmentError
	return errors.As(err, &env)
}
