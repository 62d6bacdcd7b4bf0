// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package stores is what the engine and the action Jobs need of a read store.
//
// Invariants (held by the conformance suite in stores/storetest): rows and the
// positions that produced them commit in one transaction (Law 2); a commit
// that does not hold the current epoch, token and expected position of every
// partition in it changes nothing (Law 3); an environment fault is never
// reported as a fault of the data (Law 5).
//
// Neighbours: projectors/fold gives the mutations, projectors/engine calls,
// stores/memory and stores/postgres implement, projectors/connect picks one.
// Adding a store is one package, one line there, one call of the suite, one
// page of docs.
package stores
