// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package schemas holds the schemas of the kinds, and refuses what the API
// server would refuse: it runs the API server's own code on the generated
// CustomResourceDefinitions.
//
// Invariants: a resource that Check passes is admitted by an API server with
// these CRDs, as far as the resource alone decides; schemas are read when a kind
// is first asked for, since that takes tens of milliseconds.
//
// Neighbours: config/crd (what it runs), lint (who asks), config/schemas (the
// JSON Schemas for editors that generate.go makes of it).
package schemas
