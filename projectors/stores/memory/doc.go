// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package memory is a read store in the memory of the process: for tests of
// the engine, for running a projection without a database, and as the first
// store to pass stores/storetest.
//
// It is a whole database: several projections, revisions and foreign relations
// share one Store. One mutex serialises all transactions, so it says nothing
// about locks. Hooks inject faults at the points where a real store has them.
package memory
