// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controllers holds one thin reconciler per kind. Each reads like a
// checklist: observe the world, plan (a pure function), apply what is desired,
// and write the status once, if it changed.
//
// The operator has no rule on Secrets, and dials nothing but the API server and
// the projector pods that it owns (Law 7). Nothing is decided from an earlier
// status (Law 8), and a converged resource causes no request that changes
// anything (Law 9).
//
// Neighbours: plan (decisions), actions (Jobs), resources (builders), apply
// (server-side apply), progress (projectors' answers), contract/compile (specs).
package controllers
