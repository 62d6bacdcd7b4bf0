// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"testing"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/engine"
	"github.com/projectionist-dev/projectionist/projectors/fold"
)

// TestStopKeepsTheAdvice: what a user is told to do about a value that does not fit is what the fold knows of the column.
func TestStopKeepsTheAdvice(t *testing.T) {
	err := fmt.Errorf("event: %w", &fold.OverflowError{Model: "totals", Column: "amount", Message: "add leaves the column's range: widen range"})
	want := contract.Stop{Position: "7", Reason: "OutOfRange", Path: "models[totals].columns[amount]", Message: "add leaves the column's range: widen range"}
	if got := engine.StopFor(7, err); *got != want {
		t.Errorf("%+v, want %+v", *got, want)
	}
}
