// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rollout decides which fields of a Projection's spec move readers to
// another revision or ask for a rebuild.
//
// Invariants: it is pure. It refuses what the operator would not do, with what to
// do instead; the operator still has the last word, since the status that it is judged by may be old.
//
// Neighbours: cluster writes what is decided, status shows what comes of it.
package rollout
