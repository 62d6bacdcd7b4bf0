// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package progress asks projector pods how far they are, and says what their
// answers mean for a projection.
//
// It dials nothing but pods that are proven to be the projection's own (Pod to
// ReplicaSet to Deployment to Projection, by UID, in one namespace), on the
// projector's port, without redirects, for at most two seconds and 256 KiB, and
// believes nothing that an answer says beyond its own projection and revision
// (Law 7). Answers are kept in memory only, so that one lost poll is not a
// change of state; a restart of the operator asks again.
//
// Neighbours: controllers/plan turns a Snapshot into conditions.
package progress
