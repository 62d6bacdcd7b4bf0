// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package actions does what short Jobs do at a broker or a store: probe them,
// create a topic, prepare, verify, promote or discard a revision, make the rows of
// some keys anew, retire a projection.
//
// Invariants: each action may run twice or late; its result fits a termination
// message and carries neither secret nor payload; a fault of the surroundings is
// marked retryable. Neighbours: the operator writes the contract.Request and
// reads the contract.Result, cmd/projector calls Runner.
package actions
