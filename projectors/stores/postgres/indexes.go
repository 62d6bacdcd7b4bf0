// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// lateIndex is an index of a table that is in use. It is made after the
// transaction of Prepare: CREATE INDEX there would hold up the table's writers for as
// long as it takes, and with lockDDL everybody else's definitions.
type lateIndex struct {
	table *table
	index
}

// Concurrently is the text of CREATE INDEX as Prepare sends it for a table that is there already.
func Concurrently(create string) string {
	if rest, ok := strings.CutPrefix(create, "CREATE INDEX "); ok {
		return "CREATE INDEX CONCURRENTLY " + rest
	}
	return create
}

// makeIndex makes an index that is not there, or that an interrupted try has left invalid. Readers and
// writers go on; it waits for transactions of this database that are older than it. No limit of this package is on it but
// ctx: an index of a large table takes as long as it takes. When ctx ends the driver cancels it, and
// what a process leaves that could not is found by the next.
func (a *Admin) makeIndex(ctx context.Context, late lateIndex) error {
	name := quote(a.cfg.Schema, late.name)
	err := a.alone(ctx, advisoryIndexes, tableKey(a.cfg.Schema, late.table), func(conn *pgx.Conn) error {
		for {
			is, err := a.indexState(ctx, conn, late)
			if err != nil {
				return err
			}
			switch {
			case is.there && !is.ours:
				return &stores.NameTakenError{Relation: name}
			case is.valid:
				return nil
			case is.underway:
				// A process that is gone has begun it, and the server has not noticed: it may come to a good end.
				if !pause(ctx, time.Second) {
					return context.Cause(ctx)
				}
				continue
			}
			sql := Concurrently(createIndex(a.cfg.Schema, late.table, late.index))
			if is.there {
				// Not in use by any query; and a plain DROP would keep readers out while it waits.
				sql = "DROP INDEX CONCURRENTLY IF EXISTS " + name
			}
			if _, err := conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol); err != nil {
				return err
			}
		}
	})
	if _, code := sqlState(err); (code == stateQueryCanceled || code == stateLockNotAvailable) && ctx.Err() == nil {
		return &stores.EnvironmentError{Reason: ReasonTimeout, Err: err, Message: fmt.Sprintf(
			"index %s was not made within the statement_timeout or lock_timeout that the role or the database has: lift it for the role that prepares (ALTER ROLE ... SET statement_timeout = 0), "+
				"or make the index by hand: %s", name, Concurrently(createIndex(a.cfg.Schema, late.table, late.index)))}
	}
	return environment(ctx, err)
}

// indexState is what there is by an index's name.
type indexState struct {
	there, ours, valid bool
	// underway tells that a session makes it now.
	underway bool
}

func (a *Admin) indexState(ctx context.Context, conn *pgx.Conn, late lateIndex) (is indexState, err error) {
	err = conn.QueryRow(ctx, `SELECT i.indrelid IS NOT NULL AND t.relname OPERATOR(pg_catalog.=) $3, coalesce(i.indisvalid, false),
EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p WHERE p.index_relid OPERATOR(pg_catalog.=) c.oid)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
LEFT JOIN pg_catalog.pg_index i ON i.indexrelid OPERATOR(pg_catalog.=) c.oid LEFT JOIN pg_catalog.pg_class t ON t.oid OPERATOR(pg_catalog.=) i.indrelid
WHERE n.nspname OPERATOR(pg_catalog.=) $1 AND c.relname OPERATOR(pg_catalog.=) $2`,
		pgx.QueryExecModeSimpleProtocol, a.cfg.Schema, late.name, late.table.name).Scan(&is.ours, &is.valid, &is.underway)
	if errors.Is(err, pgx.ErrNoRows) {
		return is, nil
	}
	is.there = true
	return is, err
}

// tableKey tells tables apart in the lock of makeIndex. Two with one key would only wait for each other.
func tableKey(schema string, t *table) int32 {
	sum := sha256.Sum256([]byte(quote(schema, t.name)))
	return int32(binary.BigEndian.Uint32(sum[:4]))
}

// alone runs what cannot be in a transaction, on a connection of its own, and as the only one with this lock.
//
// The lock is that of an idle transaction beside it, which has no snapshot: what waits for older snapshots does not wait for
// it, and a lock of the session would be lost in a pooler.
func (a *Admin) alone(ctx context.Context, class, key int32, fn func(*pgx.Conn) error) error {
	return a.cfg.rawTx(ctx, a.pool, pgx.ReadWrite, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_catalog.set_config('idle_in_transaction_session_timeout', '0', true)"); err != nil {
			return err
		}
		for mine := false; !mine; {
			// Waiting in the server would take a snapshot that the holder waits for, and the
			// portal of the extended protocol would keep one until the next statement.
			err := tx.QueryRow(ctx, fmt.Sprintf("SELECT pg_catalog.pg_try_advisory_xact_lock(%d, %d)", class, key),
				pgx.QueryExecModeSimpleProtocol).Scan(&mine)
			if err != nil {
				return err
			}
			if !mine && !pause(ctx, 100*time.Millisecond) {
				return context.Cause(ctx)
			}
		}
		conn, err := a.pool.Acquire(ctx)
		if err != nil {
			return err
		}
		defer conn.Release()
		return fn(conn.Conn())
	})
}
