// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package handlers turns events into effects on rows: it compiles a contract's
// expressions once, and evaluates them per event.
//
// What happens to a record, in order: it is decoded; its type is found; upcasts
// make the newest version of the event; the handlers that take the type are
// looked up; time and id are found; and for each handler, for each element of its
// forEach, the condition, the message key, the row's key or the fan-out's
// conditions, and the operands are evaluated. A record without a value goes to
// handlers of tombstones, without type, upcasts and keyedBy.
//
// Invariants:
//
//   - An event is all or nothing: an error leaves no effect.
//   - Operands are converted to their column's type and held to its rules before
//     they leave (CORRECTNESS 2), and key columns injectively, so that rows of
//     different message keys never meet.
//   - The message key is checked against keyedBy for every event that has an
//     effect (CORRECTNESS 1).
//   - Effects share no memory with the record, and are the same whatever was
//     evaluated before.
//   - No error carries a value (Law 7).
//   - Every event has one Result, and what no handler takes is counted as such (Law 5).
//   - The effects of an event, the elements of a forEach, what an upcast makes and
//     the types that are remembered are bounded (Law 10).
//
// Expressions that read row cannot be evaluated with the event. Their handlers
// make loading effects (fold.Loader), which keep what they read of the event and
// run when the row is known, on any goroutine, as do the checks and generated
// columns of a model (fold.Finisher). What does not read row is evaluated with
// the event even then, so that an event that cannot be applied is known as soon
// as possible; only where a condition reads row do its operands' errors wait for
// it (ADR 0014).
//
// It knows neither where records come from nor where rows go. Neighbours:
// contract/expr, projectors/codecs, projectors/fold; projectors/engine calls.
package handlers
