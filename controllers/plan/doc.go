// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package plan decides, from what was observed, what should exist and what the
// status says. Everything in it is a pure function: no client, no clock but the
// one that is handed in, no memory. Conditions are derived from the world and
// never from an earlier status, which only lends its transition times (Law 8).
//
// Neighbours: the reconcilers observe and apply; controllers/actions decides
// about Jobs, controllers/progress reads projectors, controllers/resources
// builds objects.
package plan
