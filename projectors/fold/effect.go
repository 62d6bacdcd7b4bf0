// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package fold

import "github.com/projectionist-dev/projectionist/contract/value"

// Op is what a Change does to a column.
type Op uint8

// The operations on a column. NULL + x is x, and so are min(NULL, x) and
// max(NULL, x); an add, min, max or merge whose operand is NULL does nothing;
// append of NULL appends nothing; a setOnce acts on a NULL, and not with one.
const (
	OpSet Op = iota + 1
	OpAdd
	OpMax
	OpAppend
	OpSetOnce
	OpMin
	// OpMerge puts the members of a JSON object into the column's, one level
	// deep; a member that is null is removed; what is not an object counts as {}.
	OpMerge
)

// Change is one operation on one column. Operand has the column's type, or for
// OpAppend the type of the column's elements. It obeys the column's Rules: that
// was seen to when it was converted.
type Change struct {
	Column  int // index into Model.Columns
	Op      Op
	Operand value.Value
}

// Effect is what one event does to one row of one model, or to all rows that
// match: the output of one handler, or of one element of its forEach.
type Effect struct {
	Model int // index into the projection's models
	// Key holds the values of the key columns in the order of Model.Key; none is
	// NULL. It is nil for a fan-out.
	Key []value.Value
	// Where makes the effect a fan-out: on every row whose columns have these
	// values, in the order of their keys. It is ordered after the effects before
	// it and before those after it. It creates no row and changes no key.
	Where []Match
	// Delete removes the row; Changes is empty then.
	Delete bool
	// IgnoreAbsent makes the effect do nothing to an absent row (onAbsent: Ignore).
	IgnoreAbsent bool
	Changes      []Change
	// Load is set where what to do depends on the row: Delete and Changes are empty then.
	Load Loader
}

// Match is one condition of a fan-out. A NULL matches no row.
type Match struct {
	Column int
	Value  value.Value
}

// Loader says what an effect does, given the row at its turn. It is called once
// the row was read and locked, maybe several times (a commit that is tried
// again), and from any goroutine; it is a function of the event and the row.
type Loader interface {
	// Load gets the row as it is, nil where there is none and IgnoreAbsent is not
	// set; it must not modify or keep it. Where there is none, Step.Changes apply to a row of
	// defaults. Its errors are *RowError.
	Load(row []value.Value) (Step, error)
	// Bytes estimates the memory that it holds.
	Bytes() int
}

// Step is what a Loader decides. Skip leaves the row, or its absence, alone.
type Step struct {
	Skip, Delete bool
	Changes      []Change
}

// Column is one column of a model.
type Column struct {
	Name string
	Type value.Type
	// Default is the value of a new row's column that no change has touched; nil is NULL.
	Default value.Value
	Rules   Rules
}

// Model is the shape of a table.
type Model struct {
	Name    string
	Columns []Column
	// Key holds the indexes of the key columns, in key order.
	Key []int
	// Finish is called on each row that an event has touched and left, after all
	// effects of that event; nil where there is nothing to do. Rows are then read
	// before they are written. A fan-out on the model counts as an event of its own:
	// rows are finished before it, so that it matches them as they are then, and after it.
	Finish Finisher
}

// Finisher computes generated columns and tests the checks of a model.
type Finisher interface {
	// Finish gives the row with its generated columns; it may modify the row,
	// which is never nil. Its errors are *RowError.
	Finish(row []value.Value) ([]value.Value, error)
}
