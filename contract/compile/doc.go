// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package compile turns the specs of a Projection, its EventTopics, their
// EventBroker and its ReadStore into a contract.Contract, or says everything
// that is wrong with them. The operator, lint and run share it, so that all
// three accept the same specs.
//
// It enforces what no CRD rule can see: references, types, expressions and the
// ordering rule (CORRECTNESS 1): no row may depend on how partitions interleave.
// It identifies what rows are a function of by a hash that no later release may
// change (CORRECTNESS 9), and tells what a new spec changes.
//
// Invariants: it is pure, and a function of its input alone; the list of
// problems is complete and sorted; a contract comes with no problem of severity
// Error. Specs that never saw an API server (and so have no defaults) compile to
// the same contract as those that did.
//
// Neighbours: api/v1alpha1 (specs), contract (result), contract/value (column
// types), contract/expr (CEL).
package compile
