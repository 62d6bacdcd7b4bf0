// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package keyreplay makes rows of a large table anew, by the action of a Job, while producers and a projector go on, with
// a real broker and a real database, and holds the table against the oracle's fold.
//
// It breaks no part, so that it shares those of the other tests.
package keyreplay
