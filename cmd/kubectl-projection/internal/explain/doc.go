// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package explain says how a projection runs: what is created in the store,
// which statements carry the effects of each handler, whether rows are read
// first, and why.
//
// Invariants: the SQL is the store's own, and the reasons the compiler's own, so
// that what is shown is what runs.
//
// Neighbours: contract/compile (reasons), projectors/fold (the shape of a
// handler's effects), projectors/stores/postgres (SQL).
package explain
