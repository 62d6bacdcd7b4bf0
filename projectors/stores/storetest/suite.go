// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"maps"
	"slices"
	"testing"
)

// Run runs the suite, and prints how many cases it had.
func Run(t *testing.T, h Harness) {
	h.tally = &tally{cases: map[string]int{}}
	for _, c := range []struct {
		name string
		run  func(*testing.T, Harness)
	}{
		{"PrepareIsIdempotent", prepareIsIdempotent},
		{"PrepareAdoptsARetainedProjection", prepareAdopts},
		{"PrepareRefusesForeignNames", prepareRefusesForeignNames},
		{"SecondRevision", secondRevision},
		{"SecondRevisionAfterGrowth", secondRevisionAfterGrowth},
		{"StartsElsewhere", startsElsewhere},
		{"StartsRefused", startsRefused},
		{"SwitchMovesReaders", switchMovesReaders},
		{"SwitchBehind", switchBehind},
		{"SwitchUnderWrites", switchUnderWrites},
		{"SwitchWhilePartitionsAreAdded", switchWhilePartitionsAreAdded},
		{"SwitchOfTopics", switchOfTopics},
		{"SwitchRefuses", switchRefuses},
		{"SwitchKeepsNames", switchKeepsNames},
		{"Discard", discard},
		{"NamesThatNeedQuoting", namesThatNeedQuoting},
		{"LongNamesNeverCollide", longNamesNeverCollide},
		{"ManyModelsAndColumns", manyModelsAndColumns},
		{"RetireDropsAllAndOnlyOurs", retireDropsAllAndOnlyOurs},
		{"TypesRoundTrip", typesRoundTrip},
		{"KeysOfEachType", keysOfEachType},
		{"EveryOperation", everyOperation},
		{"RulesOfColumns", rulesOfColumns},
		{"ListsStayBounded", listsStayBounded},
		{"Loaders", loaders},
		{"LoaderFails", loaderFails},
		{"Finishers", finishers},
		{"Versions", versions},
		{"FanOutOrder", fanOutOrder},
		{"FanOutManyRows", fanOutManyRows},
		{"FanOutTooLarge", fanOutTooLarge},
		{"FanOutOfEachType", fanOutOfEachType},
		{"UniqueMoves", uniqueMoves},
		{"UniqueViolation", uniqueViolation},
		{"IndexesChange", indexesChange},
		{"Joins", joins},
		{"ReadsWhatViewsShow", readsWhatViewsShow},
		{"NativeTypes", nativeTypes},
		{"Snapshots", snapshots},
		{"SnapshotFaults", snapshotFaults},
		{"Active", active},
		{"Replaces", replaces},
		{"ReplacesOfEachType", replacesOfEachType},
		{"ReplaceRefused", replaceRefused},
		{"ReplaceUnderWrites", replaceUnderWrites},
		{"ShapesInOneBatch", shapesInOneBatch},
		{"ModelsCommitTogether", modelsCommitTogether},
		{"LargeBatch", largeBatch},
		{"PositionsOnly", positionsOnly},
		{"ClaimTakesOver", claimTakesOver},
		{"FenceRefuses", fenceRefuses},
		{"MissingPosition", missingPosition},
		{"CancelledCommit", cancelledCommit},
		{"OverflowIsDataError", overflowIsDataError},
		{"Barriers", barriers},
		{"ConcurrentAdds", concurrentAdds},
		{"ConcurrentLoads", concurrentLoads},
		{"ConcurrentFanOuts", concurrentFanOuts},
		{"ConcurrentTakeover", concurrentTakeover},
		{"IntervalsTile", intervalsTile},
		{"BuildWritesRowsAndPositions", buildWritesRowsAndPositions},
		{"BuildNativeTypes", buildNativeTypes},
		{"BuildRight", buildRight},
		{"BuildFails", buildFails},
		{"RandomHistories", randomHistories},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.run(t, h)
			h.did("scenarios", 1)
		})
	}
	total := 0
	for _, kind := range slices.Sorted(maps.Keys(h.tally.cases)) {
		t.Logf("%6d %s", h.tally.cases[kind], kind)
		total += h.tally.cases[kind]
	}
	t.Logf("%d cases", total)
}
