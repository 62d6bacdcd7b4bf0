// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package fold

import "fmt"

// OverflowError says that an add leaves the range of its column. It carries no value.
type OverflowError struct{ Model, Column string }

func (e *OverflowError) Error() string {
	return fmt.Sprintf("models[%s].columns[%s]: add leaves the range of the column's type", e.Model, e.Column)
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
