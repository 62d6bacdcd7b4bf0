// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cluster reads a cluster's projections, writes their specs, and asks for replays.
//
// It is the only package of the command line that speaks to an API server: the
// others work on files and on what this one has read.
//
// Invariants: it writes nothing but spec fields of Projections, in patches that
// hold these fields alone, and makes and deletes Replays; what is not asked for is not read, and a right that
// the user lacks costs only what needs it (Forbidden). Secrets are read by Mounts alone, by name and with the user's own
// rights; none is written anywhere here.
//
// Neighbours: rollout and plan decide, status prints.
package cluster
