// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package testrun

// Report is what came of a run, in the form of -o json.
type Report struct {
	Tests   []TestReport `json:"tests"`
	Summary Summary      `json:"summary"`
	// Problems are files that cannot be read as they are meant.
	Problems []string `json:"problems,omitempty"`
}

// Summary counts.
type Summary struct {
	Projections int `json:"projections"`
	Cases       int `json:"cases"`
	Passed      int `json:"passed"`
	Failed      int `json:"failed"`
	// Errors counts tests that could not run.
	Errors int `json:"errors"`
	// Updated counts cases whose expected rows were rewritten.
	Updated int `json:"updated,omitempty"`
}

// TestReport is one ProjectionTest.
type TestReport struct {
	Name       string `json:"name"`
	Projection string `json:"projection"`
	File       string `json:"file"`
	// Error says why it could not run; there are no cases then, or not all.
	Error   string       `json:"error,omitempty"`
	Cases   []CaseReport `json:"cases,omitempty"`
	Seconds float64      `json:"seconds"`
}

// CaseReport is one case.
type CaseReport struct {
	Name     string    `json:"name"`
	Line     int       `json:"line"`
	Passed   bool      `json:"passed"`
	Updated  bool      `json:"updated,omitempty"`
	Seconds  float64   `json:"seconds"`
	Failures []Failure `json:"failures,omitempty"`
}

// Failure is one difference between what is expected and what came out. It is
// about a row (Model and Key are set) or about an event (Event is set).
type Failure struct {
	Model string `json:"model,omitempty"`
	// Key is the row's key, as sku=A-7.
	Key string `json:"key,omitempty"`
	// Event is the number of an event, from 1.
	Event int `json:"event,omitempty"`
	// Message says what differs where Columns do not.
	Message string       `json:"message,omitempty"`
	Details []string     `json:"details,omitempty"`
	Columns []ColumnDiff `json:"columns,omitempty"`
	// Touched are the events that reached the row, Unhandled those that no handler
	// takes, Skipped those for which no condition of a handler was true.
	Touched   []Touch  `json:"touched,omitempty"`
	Unhandled []string `json:"unhandled,omitempty"`
	Skipped   []string `json:"skipped,omitempty"`
}

// ColumnDiff is a column that differs.
type ColumnDiff struct {
	Column string `json:"column"`
	Want   string `json:"want"`
	Got    string `json:"got"`
}

// Touch is what one event did to a row.
type Touch struct {
	// Event is the event, as "#2 Received".
	Event string `json:"event"`
	// Handler is the name of the handler, or of several.
	Handler string `json:"handler"`
	// Effect is what became of the row: on_hand 0 -> 12.
	Effect string `json:"effect"`
}
