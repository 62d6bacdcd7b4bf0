// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package faults breaks, one at a time, what surrounds a projector process, and
// feeds it what it must refuse. Each test says what must be seen while the fault
// lasts and what the tables must hold after it.
//
// Scenarios share one broker and one database and run beside each other, on
// topics and schemas of their own. Those that stop the database have one of
// their own; the restart of the broker comes first and alone.
//
//	go test -tags integration ./test/faults
//
// Neighbours: test/chaos has many faults in one run, test/e2e those of a cluster.
package faults
