// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package handlers turns events into effects on rows: it compiles a contract's
// expressions once, and evaluates them per event.
//
// Invariants: an event is all or nothing (an error leaves no effect); operands
// are converted to their column's type before they leave (CORRECTNESS 2), and
// key columns injectively, so that rows of different message keys never meet;
// the message key is checked against keyedBy for every event that has an effect
// (CORRECTNESS 1); effects share no memory with the record; no error carries a
// value (Law 7). An event that no handler takes, one whose conditions are all
// false, and a tombstone are ignored, and counted as such (Law 5).
//
// It knows neither where records come from nor where rows go. Neighbours:
// contract/expr, projectors/codecs, projectors/fold; projectors/engine calls.
package handlers
