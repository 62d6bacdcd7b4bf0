// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sqlite is a read store in one file, or in memory: for running a
// projection with nothing installed, and for read models that one machine serves.
//
// Invariants: all writes of a process go through one connection, and those of
// several processes wait for each other by SQLite's lock, taken when a transaction
// begins; so nothing that a transaction has read can change before it commits.
// Values are stored in forms that SQL compares and orders as the fold does
// (values.go). The tables named projectionist_... are the bookkeeping.
//
// Neighbours: stores/rmw folds a batch over the rows that it touches; contracts
// come from the contract package; the engine and the command line call. There is
// no cgo: the driver is modernc.org/sqlite.
package sqlite
