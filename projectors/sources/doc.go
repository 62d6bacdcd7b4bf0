// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sources states what the engine asks of an event log: read it in
// order from a position, tell where it begins and ends, and share its
// partitions among the members of a group.
//
// Invariants that every implementation holds, and that the conformance suite
// in package sourcetest checks:
//
//   - A fetch from offset n gives the committed records with offset >= n, in
//     order, each once, and a Next that is past everything looked at. Records of
//     aborted transactions and control records are never given, but Next moves
//     over them, so that the end of the log is reached.
//   - Nothing ever changes a position silently. An offset outside the log, a
//     topic made anew under its old name and a log that lost its tail are
//     errors with a stable reason; the reader decides.
//   - The fault of one partition does not hide the records of another.
//   - A member rejoins its group only after the engine said that all workers
//     of the last generation have left.
//
// Neighbours: package event gives the records; kafka is the production
// implementation, memory the one for unit tests and the command line; assign
// holds the assignment that both share.
package sources
