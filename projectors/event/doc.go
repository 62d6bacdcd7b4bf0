// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package event holds the words that the data plane shares: a partition of a
// topic, a record, a batch of records, a position.
//
// It is a leaf: sources produce these types, the engine carries them, handlers
// read them. Offsets are numbers inside the data plane; wherever they leave it
// (contract, bookkeeping, API) they are contract.Position, an opaque ordered
// string.
package event
