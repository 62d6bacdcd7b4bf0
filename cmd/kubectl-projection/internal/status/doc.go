// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package status shows what a projection is doing: as a screen, and line by line as it goes on.
//
// Invariants: it shows what the operator's status and the projectors say, and
// where exact figures are missing says why. No payload value is in either (Law 7).
//
// Neighbours: cluster reads both, output paints.
package status
