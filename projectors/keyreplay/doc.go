// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package keyreplay makes some rows of a revision anew from the log, while its projector goes on (CORRECTNESS 8).
//
// It folds the log from its beginning up to the positions F of the moment, keeping the wanted keys alone, and then
// chases the positions L of the projector until the gap is small. Then, in one transaction of the store that locks all
// positions, it folds (F, L] and puts the rows in place. A swap of rows as of F for rows as of L would lose (F, L] of every add.
//
// Invariants:
//
//   - The rows are exactly what the log says at the positions that they are committed with, no event before or after;
//     rows of other keys are not touched. A key without events has no row.
//   - The fold is that of projectors/verify: history's reader, the handlers of the contract, the interpreter. Of an event
//     the effects on wanted keys are kept, and fan-outs, which are applied to the wanted rows that they match. That is exact,
//     since no effect reads or writes another row than its own.
//   - Writers wait for a bounded time; a gap that cannot be folded within it is chased on.
//   - What cannot be had is refused with the reason (history.RefusedError): a model whose rows depend on arrival; a
//     log without its full history; one that compaction may have thinned out, before the projector is at its end.
//
// Neighbours: projectors/history reads the log, projectors/stores replaces; projectors/actions and the command line call.
package keyreplay
