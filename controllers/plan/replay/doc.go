// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package replay decides what becomes of a Replay: whether it may begin, what it
// waits for, and how it ended.
//
// A Replay that begins gets a record of what it is of, an annotation on itself:
// the Projection's UID, the hash of its newest spec and its replayToken. From then
// on the Projection's reconciler takes its UID as the attempt asked for, until it
// has ended, is deleted, or the spec is another one than recorded.
//
// One of some keys makes no revision, and gets no record: what it has begun, its
// Jobs say.
//
// Invariants: all here is pure. Of the Replays of one Projection that build
// tables at most one has begun and not ended. What has ended stays so; before that, nothing is read from
// a Replay's status (Law 8).
//
// Neighbours: controllers/plan makes a status of a Decision, controllers/plan/rollout
// builds and promotes, the Replay's reconciler carries a Decision out.
package replay
