// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package preview is the sub-command preview: what some real events do, event by
// event, and the rows that come of them, without writing anything.
//
// Invariants: nothing leaves this process, and no consumer group is joined; an
// event in error is shown and passed over, so that one look shows all of them.
//
// Neighbours: events and sources/kafka give events, replay applies them in memory.
package preview
