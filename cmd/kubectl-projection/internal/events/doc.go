// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package events makes records of events that people write: in a ProjectionTest,
// or in files with one JSON object per line (NDJSON).
//
// Invariants: a payload keeps its bytes as they are in the file; an event without
// a key has the one that its topic's keyedBy gives; each event knows its place in
// a file, and an error names that place and no value.
//
// Neighbours: ptest has the form of an event, testrun, run and preview read.
package events
