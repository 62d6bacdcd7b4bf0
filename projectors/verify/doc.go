// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package verify says whether the tables of a revision hold exactly what the log says (Law 1), while its projector goes on.
//
// It takes a snapshot of the store: the positions, and a digest of the rows in each of 4,096 buckets of keys, all as
// of one instant. It folds the log from its beginning up to exactly these positions, with the interpreter that gives
// effects their meaning (fold/naive), and makes the same digests. Where they differ it keeps its fold of those buckets,
// takes a second snapshot with their rows, folds on to the positions of that one, and compares row by row.
//
// Invariants:
//
//   - What is compared is of one instant: positions and rows come from one transaction of the store, and the fold ends
//     at these positions, no event before or after. A projector that writes meanwhile is no difference.
//   - It writes nothing, takes no claim, joins no consumer group, and holds no snapshot while it reads the log.
//   - What cannot be answered is refused with the reason, never guessed: a log without its beginning, a topic that was
//     made anew, a barrier of growth that the positions contradict, an event that the handlers refuse, a row that
//     differs where compaction has removed events and the projector is not at the end.
//   - What is left out is named: columns of models with order: Arrival that depend on arrival, and columns with a type
//     of the database's own, which may write a value in another form.
//   - Rows in memory are bounded (Law 10): Options.MaxRows and MaxBytes, and a sample holds its share alone.
//   - Values are in Model.Differences, and in Rows and Values of an Assertion, and nowhere else: they are for a user's
//     terminal (Law 7).
//
// Assertions are tested on the rows of the first snapshot as they pass by, on every row, whatever the sample is; a
// tombstone is none. Sums are exact.
//
// Digests are computed here, of rows that the store streams, and not in the store: the texts of floats, timestamps,
// decimals and JSON differ between databases, and two digests that ought to be equal had better come out of one
// function. It costs the transfer of the table: see docs/verification.md for what was measured.
//
// Neighbours: projectors/stores gives snapshots, projectors/sources the log, projectors/handlers effects; the command
// line prints.
package verify
