// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package engine is the pipeline of a projector: fetch, evaluate, fold, commit.
//
// One session lives as long as one generation of the consumer group. In it one
// goroutine fetches, a few evaluate (each partition always on the same one, so
// that its order holds), one commits and one watches the ends of the log,
// barriers and lost claims. A commit takes whatever has been folded while the
// last one was under way, over all partitions: the slower the store, the larger
// the batches.
//
// Invariants:
//   - Events of a partition are committed in order and exactly once (Laws 2 to 4);
//     every commit carries the claim's epoch, token and expected position.
//   - Each event is applied, ignored by a declared rule, or stops its partition at
//     its position with nothing after it applied (Law 5). A fault of the
//     surroundings is a wait and is tried again for ever; so is an event whose
//     schema cannot be had now, and only its own partition waits for it.
//   - Bytes in flight are bounded (Law 10): the fetcher waits for the committer.
//   - Workers leave within DrainTimeout of the generation's end.
//
// Neighbours: projectors/sources gives batches, projectors/handlers effects,
// projectors/fold composes them, projectors/stores commits. It knows no broker
// and no database.
package engine
