// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package stores

import (
	"errors"

	"github.com/projectionist-dev/projectionist/projectors/fold"
)

// Applied makes a *DataError of what fold.Mutation.Apply and fold.FanOut.Apply
// fail with; nil stays nil.
func Applied(err error) error {
	var over *fold.OverflowError
	var row *fold.RowError
	switch {
	case errors.As(err, &over):
		return &DataError{Model: over.Model, Column: over.Column, Reason: "OutOfRange", Message: over.Message}
	case errors.As(err, &row):
		return &DataError{Path: row.Path, Reason: row.Reason, Message: row.Message}
	default:
		return err
	}
}
