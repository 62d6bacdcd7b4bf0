// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package fold

import "github.com/projectionist-dev/projectionist/contract/value"

// Op is what a Change does to a column.
type Op uint8

// The operations on a column. NULL + x is x, and max(NULL, x) is x; an add or
// max whose operand is NULL does nothing; append of NULL appends nothing.
const (
	OpSet Op = iota + 1
	OpAdd
	OpMax
	OpAppend
)

// Change is one operation on one column. Operand has the column's type, or for
// OpAppend the type of the column's elements.
type Change struct {
	Column  int // index into Model.Columns
	Op      Op
	Operand value.Value
}

// Effect is what one event does to one row of one model: the output of one
// handler. A column occurs at most once in Changes.
type Effect struct {
	Model int // index into the projection's models
	// Key holds the values of the key columns in the order of Model.Key; none is NULL.
	Key []value.Value
	// Delete removes the row; Changes is empty then.
	Delete bool
	// IgnoreAbsent makes the effect do nothing to an absent row (onAbsent: Ignore).
	IgnoreAbsent bool
	Changes      []Change
}

// Column is one column of a model.
type Column struct {
	Name string
	Type value.Type
	// Default is the value of a new row's column that no change has touched; nil is NULL.
	Default value.Value
}

// Model is the shape of a table.
type Model struct {
	Name    string
	Columns []Column
	// Key holds the indexes of the key columns, in key order.
	Key []int
}
