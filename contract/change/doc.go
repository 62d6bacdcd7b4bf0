// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package change says what it takes to go from what runs to what is declared:
// nothing, an update in place, or a new revision, and what readers notice of it.
//
// Invariants: it is pure, and says NewRevision or BreaksReaders exactly where the
// data of the two contracts differ or another attempt is asked for. Readers break
// exactly where a view goes, or loses or retypes a column, which is what a
// promotion asks consent for (CORRECTNESS 7).
//
// Neighbours: contract/compile makes contracts and tells them apart; the operator decides by it
// (controllers/plan/rollout), and cmd/kubectl-projection prints what the operator will decide.
package change
