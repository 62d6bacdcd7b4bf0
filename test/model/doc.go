// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package model checks the protocol of the data plane exhaustively: who may
// commit, what is held, when readers move to another revision, and how a topic grows.
//
// Check is a small explicit-state model checker. It visits, breadth first, every
// state that a System can reach, tests its invariants at every step, and that
// from every state the work can still be completed. What it finds is a shortest sequence of
// steps to a step that breaks one. States are compared whole: no collision of hashes hides one.
//
// There are six systems, each small enough to be searched in seconds: NewFence,
// NewHolds, NewPromotion, NewSwitches, NewTopics, NewGrowth. Every rule is a field of Guards. The tests
// search each system with all of them, and then without each one: there a
// counterexample must be found, and it must be the one in testdata. docs/protocol.md explains them.
//
// A model is not the code. Where each guard lives there, relative to projectors:
//
//	The fence: a commit begins with an UPDATE of its position rows that compares what its worker believes.
//	FenceClaim, FenceToken,
//	FencePosition, FenceHeld, FenceRaises   stores/postgres/fence.go: newTexts
//	PositionWithRows                        stores/postgres/commit.go: attempt
//	LostAnswerReads                         stores/postgres/commit.go: settle, fence.go: judge; engine/commit.go: landed
//	FoldPerPartition                        engine/commit.go: build, mergeRows
//	ServerEndsFrozen                        stores/postgres/connect.go: prologue
//
//	Claims: who works on a partition writes an epoch and a random token into its row.
//	MissingRowStops                         stores/postgres/writer.go: complete; engine/session.go: prepare
//	Reclaims, ReclaimWaits                  engine/watch.go: reclaim
//	LooksAtRows                             engine/look.go: look
//
//	Held keys: an event that is refused is set aside, and its followers of the same key behind it.
//	ResolveRaises, ResolveLocks, HeldReload,
//	OneVersion, HoldsFollowers, HoldWithPosition   -
//
//	Promotion and rollback: views are replaced in one transaction, which locks and compares first.
//	ExpectsSequence, ExpectsActive,
//	LocksRevisions, LocksPositions,
//	ComparesPositions, MissingIsBehind,
//	ViewsWithRecord, RollbackCompares       stores/postgres/promote.go: look, try, reached, record
//	AwaitsSnapshots                         stores/postgres/snapshots.go: awaitSnapshots
//	AwaitsDurable, KeptStaysDurable         no commit is asynchronous: stores/postgres/connect.go
//	ViewsReplaced, RemovedIsConsent         stores/postgres/views.go: replace, promote.go: beyond
//	NewTopicsReachEnd, PromotingStays       controllers/plan/rollout/decide.go: ready, cast
//	HoldsAreSubset                          -
//
//	Partition growth: what a key's new partition holds waits for what its old one held.
//	OldPause, NewWait, AllArrive            engine/watch.go: limitAt
//	EndsAreHighWatermarks                   engine/watch.go: adoptStep
//	FirstBarrierStands, BarrierWithRows,
//	BarriersKept, NewRowsOnly               stores/postgres/barriers.go: AddPartitions
//	PreparedAsKnown                         stores/starts.go: AsRecorded, each store's Prepare
//	GrowthKnown                             of the surroundings, see docs/ordering.md
//
// A dash marks what no code does yet: there the model is what it has to do.
// The neighbours that test the code itself: stores/storetest, test/chaos, test/faults.
package model
