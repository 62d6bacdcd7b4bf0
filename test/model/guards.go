// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package model

// Guards are the rules that the protocol consists of, each of which can be left
// out. The comment says the rule; docs/protocol.md says what goes wrong without it.
type Guards struct {
	// Of the commit: fence.go and holds.go.

	// FenceClaim: the fence compares the claim.
	FenceClaim bool
	// FenceToken: by its token, and not by its epoch. That the code compares both is no
	// guard: docs/adr/0022-the-token-is-the-fence.md.
	FenceToken bool
	// FencePosition: the fence compares the position that the batch begins at.
	FencePosition bool
	// FenceRaises: a fence that does not hold is an error, which ends the transaction.
	FenceRaises bool
	// PositionWithRows: rows and position are changed in one transaction.
	PositionWithRows bool
	// MissingRowStops: a partition without a position row stops; its row is not made anew.
	MissingRowStops bool
	// FoldPerPartition: what was folded for a partition can be taken out of a batch.
	FoldPerPartition bool
	// LostAnswerReads: whether a commit happened whose answer was lost is read from the position row.
	LostAnswerReads bool
	// Reclaims: a fenced worker claims its partition again when nobody moves it.
	Reclaims bool
	// ReclaimWaits: it does so only then.
	ReclaimWaits bool
	// LooksAtRows: a worker compares its claims with the position rows also when it has nothing to commit.
	LooksAtRows bool
	// ServerEndsFrozen: the server ends the transaction of a client that has frozen.
	ServerEndsFrozen bool

	// Of held keys: holds.go.

	// FenceHeld: the fence compares the version of the held set that the batch was folded with.
	FenceHeld bool
	// ResolveRaises: who resolves a hold raises that version.
	ResolveRaises bool
	// ResolveLocks: and locks the position row while it reads and resolves.
	ResolveLocks bool
	// HeldReload: a worker whose version is old loads the held set again.
	HeldReload bool
	// OneVersion: a batch is folded with one version of it; what was folded with another is folded again.
	OneVersion bool
	// HoldsFollowers: an event whose key is held is held as well.
	HoldsFollowers bool
	// HoldWithPosition: a hold is written in the transaction that moves the position past it.
	HoldWithPosition bool

	// Of promotion and rollback: promotion.go, switches.go and topics.go.

	// ExpectsSequence: a switch happens only at the sequence that it was asked for at.
	ExpectsSequence bool
	// ExpectsActive: and only away from the revision that it was asked to leave.
	ExpectsActive bool
	// LocksRevisions: it locks the rows of both revisions, for which the row of a new partition must wait.
	LocksRevisions bool
	// LocksPositions: it locks the positions of the revision that readers leave.
	LocksPositions bool
	// ComparesPositions: the other revision must have reached them.
	ComparesPositions bool
	// MissingIsBehind: a partition that the other revision has no row for is behind.
	MissingIsBehind bool
	// HoldsAreSubset: what the other revision holds the one that readers leave must hold as well.
	HoldsAreSubset bool
	// ViewsWithRecord: views are replaced in the transaction that records the switch.
	ViewsWithRecord bool
	// AwaitsSnapshots: a promotion waits until snapshots from before the end of the build are gone.
	AwaitsSnapshots bool
	// AwaitsDurable: and until the revision's commits survive a crash.
	AwaitsDurable bool
	// KeptStaysDurable: those of the revision that readers have left go on to do so.
	KeptStaysDurable bool
	// RollbackCompares: a rollback compares positions like a promotion.
	RollbackCompares bool
	// NewTopicsReachEnd: a switch is asked for only when the revision has been at the end of each topic that readers do not see yet.
	NewTopicsReachEnd bool
	// RemovedIsConsent: a topic that the revision's spec no longer has is not waited for.
	RemovedIsConsent bool
	// PromotingStays: a revision is not dropped while a switch to it is under way.
	PromotingStays bool
	// ViewsReplaced: views are replaced, and not dropped and made anew.
	ViewsReplaced bool

	// Of partition growth: growth.go.

	// OldPause: old partitions stop at their ends at the growth until all have got there.
	OldPause bool
	// NewWait: new partitions wait for the same.
	NewWait bool
	// AllArrive: it is all old partitions that must have got there.
	AllArrive bool
	// EndsAreHighWatermarks: the ends count what open transactions of producers hold back.
	EndsAreHighWatermarks bool
	// FirstBarrierStands: the ends that were recorded first are everybody's.
	FirstBarrierStands bool
	// BarrierWithRows: position rows of new partitions are made in the transaction that records the ends.
	BarrierWithRows bool
	// BarriersKept: barriers are kept for revisions that are built later.
	BarriersKept bool
	// PreparedAsKnown: a revision is prepared with the partitions that are recorded, and sees later ones as growth.
	PreparedAsKnown bool
	// NewRowsOnly: position rows are made only for partitions from the recorded number on.
	NewRowsOnly bool
	// GrowthKnown: producers move a key from one old partition to another only when
	// every projector knows of the growth. This one is no code but the surroundings' to keep.
	GrowthKnown bool
}

// AllGuards is the protocol as it is.
func AllGuards() Guards {
	return Guards{
		FenceClaim: true, FenceToken: true, FencePosition: true, FenceRaises: true, PositionWithRows: true,
		MissingRowStops: true, FoldPerPartition: true, LostAnswerReads: true, Reclaims: true, ReclaimWaits: true, LooksAtRows: true, ServerEndsFrozen: true,
		FenceHeld: true, ResolveRaises: true, ResolveLocks: true, HeldReload: true, OneVersion: true, HoldsFollowers: true, HoldWithPosition: true,
		ExpectsSequence: true, ExpectsActive: true, LocksRevisions: true, LocksPositions: true, ComparesPositions: true,
		MissingIsBehind: true, HoldsAreSubset: true, ViewsWithRecord: true, AwaitsSnapshots: true, AwaitsDurable: true,
		KeptStaysDurable: true, RollbackCompares: true, NewTopicsReachEnd: true, RemovedIsConsent: true, PromotingStays: true, ViewsReplaced: true,
		OldPause: true, NewWait: true, AllArrive: true, EndsAreHighWatermarks: true, FirstBarrierStands: true, BarrierWithRows: true,
		BarriersKept: true, PreparedAsKnown: true, NewRowsOnly: true, GrowthKnown: true,
	}
}

// holds compares a claim with a position row as the fence does.
func (g *Guards) holds(epoch, token, rowEpoch, rowToken uint8) bool {
	if g.FenceToken {
		return !g.FenceClaim || token == rowToken
	}
	return !g.FenceClaim || epoch == rowEpoch
}
