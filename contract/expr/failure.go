// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"fmt"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Error is why an expression does not compile.
type Error struct {
	// Line and Column are 1-based places in the expression.
	Line, Column int
	// Message says what is wrong and how to fix it. It may quote the expression.
	Message string
}

func (e *Error) Error() string {
	if e.Line <= 1 {
		return fmt.Sprintf("column %d: %s", e.Column, e.Message)
	}
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Message)
}

// Failure is why an expression has no value for an event. Its message names
// paths and types, and never a value (Law 7).
type Failure struct{ Message string } //nolint:errname // Error is the error of Compile

func (f *Failure) Error() string { return f.Message }

func failf(format string, args ...any) *Failure { return &Failure{fmt.Sprintf(format, args...)} }

func celErr(f *Failure) ref.Val { return types.WrapErr(f) }
