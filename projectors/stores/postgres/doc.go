// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package postgres keeps read models in PostgreSQL 13 or newer.
//
// Rows live in tables named <model>__<revision>, readers select from views
// named <model>, and the project's own tables live in a bookkeeping schema
// (docs/bookkeeping.md).
//
// Invariants:
//   - Rows and positions commit in one transaction (Law 2), and the fence in it
//     raises: a commit that does not hold the epoch, token, expected position and
//     held version of each of its partitions changes nothing (Law 3).
//   - Locks are taken in one order: positions by topic and partition, then rows
//     by model and key (CORRECTNESS 2). Commits with fan-outs, which cannot keep to it,
//     exclude the others of their revision.
//   - A row that was read is locked until the commit, and one that was read as absent
//     is inserted only where it still is: otherwise the transaction is run again, loaders and all.
//   - Statement texts depend on the shape of a mutation, never on how many rows
//     a batch has, so that each is prepared once per connection.
//   - What a fan-out holds in memory does not depend on how many rows match.
//   - Every identifier is quoted and schema-qualified, and search_path is
//     pg_catalog in every transaction: no object of another role is ever called.
//   - No error carries a value: PostgreSQL's own messages may, so they are
//     replaced (Law 7). An environment fault is a *stores.EnvironmentError,
//     never a *stores.DataError (Law 5).
//   - Settings are transaction-local, so that a transaction pooler
//     (PgBouncer 1.21 or newer with max_prepared_statements above 0) may stand
//     between: nothing leaks into another client's session.
//
// Neighbours: projectors/fold gives the mutations, projectors/connect the
// credentials, stores/storetest the conformance suite.
package postgres
