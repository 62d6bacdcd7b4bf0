// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package replay applies a few events to a projection's empty tables and reads
// the rows: the handlers, the fold and the store of a projector, without its
// goroutines and timers.
//
// Invariants: the result is a function of the contract, the events and the cut; an
// event that cannot be applied stops its partition, as in the engine, with nothing
// of it and nothing behind it applied; what the surroundings are to blame for is an
// error and never a stop.
//
// Neighbours: projectors/handlers, fold and stores do the work; test and preview
// call. projectors/engine does the same for endless logs.
package replay
