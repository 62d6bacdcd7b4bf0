// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rmw applies a batch by reading rows, folding in memory, and handing
// back the rows to write: all that a store does for which a read is cheap.
//
// Invariants: a row is read once per commit at most; what it gives depends only
// on the batch and the rows read, so that a store that reads and writes in one
// transaction is correct; nothing is written before all of the batch is known to
// apply.
//
// Neighbours: projectors/fold gives the mutations; stores/memory and
// stores/sqlite are Sources and write the Changes. stores/postgres has
// statements of its own, for which it need not read.
package rmw
