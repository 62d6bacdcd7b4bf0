// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package output is how commands answer: as text for people, coloured on a
// terminal only, or as JSON or YAML for pipelines.
//
// Invariants: what a command finds goes to Out, and in one format; what keeps it
// from running is an error that it returns, and goes to Err. ErrFound makes the
// difference between exit codes 1 and 2.
//
// Neighbours: every sub-command of kubectl-projection.
package output
