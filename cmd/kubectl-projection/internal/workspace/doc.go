// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package workspace finds what belongs together among manifests and compiles it:
// a Projection with its EventTopics, their EventBroker and its ReadStore.
//
// Invariants: a name is looked up nearest first (the same directory and below,
// then the parent's), so that many examples may lie beside each other; what is
// refused is what the operator would refuse, with its place; an EventBroker and a
// ReadStore need not be there, since nobody may be meant to dial them.
//
// Neighbours: manifests reads, contract/compile judges; test, run and preview use
// what comes out.
package workspace
