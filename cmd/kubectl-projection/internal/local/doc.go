// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package local is the sub-command run: the projections of some manifests on this
// machine, in the engine that a projector has.
//
// Invariants: the embedded broker begins empty, so the rows that it fills begin
// anew, too; a store that a cluster writes to is never touched behind its back (the
// identity of tables is another, and the store refuses names that are taken);
// memory is bounded, since what every projection has consumed leaves the broker.
//
// Neighbours: workspace compiles, secrets and projectors/connect reach brokers and
// stores, projectors/engine runs.
package local
