// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package foldtest

import (
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
)

// Versioned is a handler with versionBy: it sets the columns that the version
// guards, or deletes and leaves a tombstone, unless the row's version is higher.
// Of equal versions the later event wins.
type Versioned struct {
	Column  int // the version column
	Version value.Value
	Deleted int // the hidden column
	// Delete puts every other column at its default instead of Set.
	Delete   bool
	Defaults []fold.Change
	Set      []fold.Change
}

// Load implements fold.Loader.
func (l *Versioned) Load(row []value.Value) (fold.Step, error) {
	if row != nil && row[l.Column] != nil && value.Compare(l.Version, row[l.Column]) < 0 {
		return fold.Step{Skip: true}, nil
	}
	changes := l.Set
	if l.Delete {
		changes = l.Defaults
	}
	out := append(make([]fold.Change, 0, len(changes)+2), changes...)
	return fold.Step{Changes: append(out,
		fold.Change{Column: l.Column, Op: fold.OpSet, Operand: l.Version},
		fold.Change{Column: l.Deleted, Op: fold.OpSet, Operand: l.Delete},
	)}, nil
}

// Bytes implements fold.Loader.
func (l *Versioned) Bytes() int { return 100 }

// Reading is a handler whose expressions read the row: it compares a column, may
// fail, and may write into one column what another holds.
type Reading struct {
	Column int
	Pivot  value.Value
	// Fails makes a row whose column equals Pivot an error.
	Fails         bool
	Less, NotLess fold.Step
	// From and To are columns of one type; From is copied unless they are equal.
	From, To int
}

// Load implements fold.Loader.
func (l *Reading) Load(row []value.Value) (fold.Step, error) {
	var x value.Value
	if row != nil {
		x = row[l.Column]
	}
	c := value.Compare(x, l.Pivot)
	if l.Fails && c == 0 {
		return fold.Step{}, &fold.RowError{Reason: "HandlerError", Path: "models[m].handlers[reading].when", Message: "it is so"}
	}
	step := l.NotLess
	if c < 0 {
		step = l.Less
	}
	if l.From != l.To && row != nil && !step.Skip && !step.Delete {
		copied := fold.Change{Column: l.To, Op: fold.OpSet, Operand: row[l.From]}
		step.Changes = append([]fold.Change{copied}, step.Changes...)
	}
	return step, nil
}

// Bytes implements fold.Loader.
func (l *Reading) Bytes() int { return 200 }
