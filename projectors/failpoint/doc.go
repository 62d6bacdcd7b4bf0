// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package failpoint lets a test make the data plane wrong on purpose, at a
// named place, so that it can show that it would notice.
//
// A release has none of it: without the build tag `failpoints` Hit is a
// constant false that the compiler removes together with the wrong branch.
// With the tag, PROJECTIONIST_FAILPOINTS names the points that are on, with
// commas between:
//
//	name       every hit
//	name=20    the 20th hit only, counted per process
//
// The points there are, by the package that has them:
//
//	postgres/fence-no-epoch-token          a commit checks neither epoch nor token of its claim
//	postgres/fence-none                    a commit checks the expected position neither
//	postgres/claim-tokens-once             a claim whose answer was lost is tried again with the tokens of the first try
//	postgres/position-outside-transaction  rows commit first, positions in a transaction of their own
//	postgres/die-before-position           the process exits between these two transactions
//	bulk/die-reading                       the process exits while it folds for a bulk build
//	postgres/build-die-in-copy             and while the store copies its rows,
//	postgres/build-die-before-index        before keys and indexes are made,
//	postgres/build-die-before-commit       before the transaction commits,
//	postgres/build-die-after-commit        and when it has
//
// It knows nothing of the rest of the project.
package failpoint

// Env is the environment variable that names the points.
const Env = "PROJECTIONIST_FAILPOINTS"
