// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package history reads the log from where a revision began, which is mostly its beginning, up to exactly the positions of a revision, for those that fold it
// once more: a comparison (projectors/verify) and a replay of some keys (projectors/keyreplay).
//
// Invariants:
//
//   - What is given are all records from where the revision began up to the positions, each partition's in order, and nothing after; partitions
//     beyond a barrier of growth wait as they do in a projector.
//   - What the log cannot tell is refused with the reason (RefusedError), never guessed: a log without what the revision began with, a
//     topic that was made anew, positions that are missing or contradict a barrier, keys that are held.
//   - It joins no consumer group and writes nothing.
//
// Neighbours: projectors/sources gives the log, projectors/stores the positions.
package history
