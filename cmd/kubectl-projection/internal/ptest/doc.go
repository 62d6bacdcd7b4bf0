// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package ptest is the file format of kind ProjectionTest: given these events,
// then these rows. It is no resource of a cluster; only the command line reads it.
//
// Invariants: the types alone say what a file may hold, so that editors, lint and
// test agree; values keep the digits and the text that they have in the file;
// every part of a test knows its place there.
//
// Neighbours: manifests reads the files, testrun runs the tests, events makes
// records of the events.
package ptest
