// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fold is the algebra of mutations: what an event does to a row, how
// two such effects compose into one, and what the result does to a row.
//
// Invariants (property-tested against a naive interpreter): composition is
// associative; folding events and then applying the result equals applying
// them one by one, from any starting row, absent included, however the log is
// cut into batches. Operands are converted to the column's type before they
// come here (CORRECTNESS 2).
//
// It knows neither expressions (projectors/handlers makes Effects) nor
// databases (projectors/stores turn folded mutations into statements).
package fold
