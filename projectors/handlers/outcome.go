// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package handlers

import "time"

// Reasons of an EventError, as conditions show them.
const (
	// ReasonDecodeError says that the payload cannot be read.
	ReasonDecodeError = "DecodeError"
	// ReasonHandlerError says that an expression has no value, or not one of its column's type.
	ReasonHandlerError = "HandlerError"
	// ReasonKeyMismatch says that the message key is not what keyedBy says.
	ReasonKeyMismatch = "KeyMismatch"
	// ReasonConstraintViolation says that a value breaks a rule of its column, or a row a check of its model.
	ReasonConstraintViolation = "ConstraintViolation"
	// ReasonTooManyEffects says that an event makes more than MaxEffects effects.
	ReasonTooManyEffects = "TooManyEffects"
)

// MaxEffects bounds the effects of one event over all handlers, and the elements
// that one forEach looks at (Law 10).
const MaxEffects = 10_000

// EventError says why an event cannot be applied. Nothing of it was applied.
type EventError struct {
	// Reason is one of the Reasons above.
	Reason string
	// Path is the field path of the expression concerned:
	// models[order_summary].handlers[line-added].add.total, topics[orders].keyedBy.
	Path string
	// Message says what is wrong, and never holds a value.
	Message string
}

func (e *EventError) Error() string {
	if e.Path == "" {
		return e.Reason + ": " + e.Message
	}
	return e.Reason + ": " + e.Path + ": " + e.Message
}

// handlerError is the EventError of an expression that has no value.
func handlerError(path string, err error) *EventError {
	return &EventError{ReasonHandlerError, path, err.Error()}
}

// Result is what became of an event.
type Result uint8

const (
	// Applied says that at least one handler took the event. That its effect finds
	// no row, or is undone by a condition over row, is not known here.
	Applied Result = iota + 1
	// IgnoredType says that no handler takes the event's type.
	IgnoredType
	// IgnoredWhen says that the conditions of all handlers that take it are false,
	// or their forEach is empty.
	IgnoredWhen
	// IgnoredTombstone says that the record has a null value, and no handler takes tombstones.
	IgnoredTombstone
)

// String is the name as metrics show it.
func (r Result) String() string {
	switch r {
	case Applied:
		return "applied"
	case IgnoredType:
		return "ignored-type"
	case IgnoredWhen:
		return "ignored-when"
	case IgnoredTombstone:
		return "ignored-tombstone"
	}
	return "none"
}

// Outcome is what Handle tells beside the effects.
type Outcome struct {
	Result Result
	// Time is the event's time (meta.time) for an event that was applied, the record's otherwise.
	Time time.Time
}
