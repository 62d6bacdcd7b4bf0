// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package bulk builds a revision at one go, before its consumer group is joined
// (CORRECTNESS 6, ADR 0018).
//
// One process builds: it holds the claims of all partitions. It reads the log up to ends
// that it noted first, folds it by row key into buckets in memory, writes the buckets
// that do not fit to a file, and then has the store put rows, keys, indexes and
// positions in place in one transaction. The other processes of the revision wait for it.
//
// Invariants:
//   - The rows are those that applying event by event gives, or there are none: the
//     fold is the same algebra, from absent rows, and what cannot be folded so (an event
//     that fails among it) leaves the revision untouched to package engine,
//     which then says why, and where.
//   - Events of a partition are folded in order, and barriers hold (Law 4).
//   - Nothing is in the store before all is: a crash costs time and nothing else.
//   - Memory, spill, connections and, if asked, events per second are bounded (Law 10).
//
// Neighbours: projectors/engine goes on where this ends and lends it the evaluators;
// projectors/fold composes; projectors/stores writes (stores.Builder); cmd/projector calls.
package bulk
