// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import "testing"

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, Harness)
	}{
		{"PrepareIsIdempotent", prepareIsIdempotent},
		{"PrepareAdoptsARetainedProjection", prepareAdopts},
		{"PrepareRefusesForeignNames", prepareRefusesForeignNames},
		{"SecondRevision", secondRevision},
		{"NamesThatNeedQuoting", namesThatNeedQuoting},
		{"LongNamesNeverCollide", longNamesNeverCollide},
		{"ManyModelsAndColumns", manyModelsAndColumns},
		{"RetireDropsAllAndOnlyOurs", retireDropsAllAndOnlyOurs},
		{"TypesRoundTrip", typesRoundTrip},
		{"KeysOfEachType", keysOfEachType},
		{"EveryOperation", everyOperation},
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
		{"ConcurrentTakeover", concurrentTakeover},
		{"IntervalsTile", intervalsTile},
		{"RandomHistories", randomHistories},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, h) })
	}
}
