// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package testrun is the sub-command test: it runs the cases of ProjectionTests,
// compares rows and stops with what is expected, and explains what differs.
//
// Invariants: each case starts from nothing; it runs as one batch and event by
// event, and both must give the same rows; what cannot be run is told apart from
// what fails; --update changes rows of the test's file or its row files, and nothing else.
//
// Neighbours: ptest reads the tests, workspace finds and compiles their
// Projections, replay runs them, output prints.
package testrun
