// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"errors"
	"fmt"

	"github.com/projectionist-dev/projectionist/projectors/event"
)

// RefusedError says why an answer cannot be had.
type RefusedError struct {
	// Code is one of the reasons below.
	Code string
	// Message says what is missing and what to do. It carries no value.
	Message string
	Err     error
}

func (e *RefusedError) Error() string { return e.Code + ": " + e.Message }

// Reason gives Code.
func (e *RefusedError) Reason() string { return e.Code }

func (e *RefusedError) Unwrap() error { return e.Err }

// Reasons of a RefusedError.
const (
	// ReasonHistoryMissing says that events which may have made the rows are not in the log any more.
	ReasonHistoryMissing = "HistoryMissing"
	// ReasonBeginUnknown says that the bookkeeping does not say where a revision began that did not begin with the first events.
	ReasonBeginUnknown = "BeginUnknown"
	// ReasonPositionMissing says that the bookkeeping does not say how far a partition was applied.
	ReasonPositionMissing = "PositionMissing"
	// ReasonBarrierBroken says that positions contradict a barrier of a topic's growth.
	ReasonBarrierBroken = "BarrierBroken"
	// ReasonEventRefused says that the handlers refuse an event that the positions say was applied.
	ReasonEventRefused = "EventRefused"
	// ReasonKeysHeld says that keys are held, or were, in a way that this release does not know.
	ReasonKeysHeld = "KeysHeld"
	// ReasonTooManyRows says that more rows than may be held in memory are concerned.
	ReasonTooManyRows = "TooManyRows"
	// ReasonLogUnreadable says that the log gave nothing for too long.
	ReasonLogUnreadable = "LogUnreadable"
	// ReasonNotCaughtUp says that the projector did not reach the end of a log of which compaction has removed events.
	ReasonNotCaughtUp = "NotCaughtUp"
	// ReasonRevisionMoved says that the revision's positions fell while the log was read.
	ReasonRevisionMoved = "RevisionMoved"
)

// Refused makes a *RefusedError; an error among args wrapped by %w is its Err.
func Refused(code, format string, args ...any) *RefusedError {
	err := fmt.Errorf(format, args...)
	return &RefusedError{Code: code, Message: err.Error(), Err: errors.Unwrap(err)}
}

// EventRefused says that the handlers refuse, with err, an event that the positions say was applied.
func EventRefused(tp event.TopicPartition, rec *event.Record, err error) *RefusedError {
	return Refused(ReasonEventRefused, "the positions say that event %s@%d was applied, and these handlers refuse it: %w. "+
		"Compare with the program and the schemas that built the revision, or rebuild it", tp, rec.Offset, err)
}
