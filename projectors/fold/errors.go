// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package fold

import (
	"fmt"

	"github.com/projectionist-dev/projectionist/contract/value"
)

// OverflowError says that an operation leaves the range of its column: the
// number's, or the size that a list or a json value may have. It carries no value.
type OverflowError struct {
	Model, Column string
	// Message is a sentence's worth of what is wrong and what to do.
	Message string
}

func (e *OverflowError) Error() string {
	return fmt.Sprintf("models[%s].columns[%s]: %s", e.Model, e.Column, e.Message)
}

func (t *table) overflow(col int) error {
	c := t.columns[col]
	e := &OverflowError{Model: t.model.Name, Column: c.Name}
	switch {
	case c.Type.Array:
		e.Message = fmt.Sprintf("the list would hold more than %d elements: give the column list.maxItems, or append less", value.MaxArrayElements)
	case c.Type.Kind == value.JSONKind:
		e.Message = fmt.Sprintf("the merged value would be longer than %d bytes: merge fewer members, or remove some", value.MaxTextBytes)
	case c.Rules.Min != nil || c.Rules.Max != nil:
		e.Message = "add leaves the column's range: correct the event or the handler, or widen range"
	default:
		e.Message = "add leaves the range of the column's type: correct the event or the handler, or give the column a wider type"
	}
	return e
}

// RowError says that an event cannot be applied to the row as it is: an
// expression over row fails, or a check does not hold. It carries no value.
type RowError struct {
	// Reason is CamelCase, as conditions show it: HandlerError, ConstraintViolation.
	Reason string
	// Path is the field path in the Projection.
	Path string
	// Message says what is wrong.
	Message string
}

func (e *RowError) Error() string { return e.Path + ": " + e.Message }
