// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package oracle says what a read model must hold, without any code of the
// projector: it makes events from a seed, folds them one by one in the plainest
// way, and compares whole tables with what a database holds.
//
// Its tables are chosen so that nothing hides: a count and a sum show what was
// lost or applied twice, an appended sequence shows that and every change of
// order, a maximum and a set column show who came last, a deletion shows what
// came back from the dead, and a row that two topics feed shows lost updates
// between partitions.
//
// The audit is a second witness. A trigger on the table positions records every
// committed move; the moves must tile the log without gap or overlap, epochs
// must never fall, and a token is one claim's. It sees a zombie's commit even
// when the rows are right by luck.
//
// It imports a database driver and nothing of this module.
package oracle
