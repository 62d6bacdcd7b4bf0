// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"iter"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/failpoint"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// writeIdle is how long the transaction of a build may wait for rows that are
// being folded: one bucket's worth.
const writeIdle = 15 * time.Minute

// The places where a test ends the process; see package failpoint.
const (
	failBuildInCopy       = "postgres/build-die-in-copy"
	failBuildBeforeIndex  = "postgres/build-die-before-index"
	failBuildBeforeCommit = "postgres/build-die-before-commit"
	failBuildAfterCommit  = "postgres/build-die-after-commit"
)

func dieAt(name string) {
	if failpoint.Enabled && failpoint.Hit(name) {
		os.Exit(137)
	}
}

// attempt is the one transaction of a build. DDL is a part of it like the rest:
// whatever ends it leaves tables, keys and indexes as they were.
func (b *build) attempt(ctx context.Context, c *stores.Commit, rows stores.Fill, indexing func()) error {
	w := b.w
	var id int64
	if err := w.cfg.rawTx(ctx, w.pool, pgx.ReadOnly, func(tx pgx.Tx) (err error) {
		id, err = w.projection(ctx, tx)
		return err
	}); err != nil {
		return err
	}
	conn, err := w.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite})
	if err != nil {
		return err
	}
	defer release(tx)
	if _, err := tx.Exec(ctx, settings(0, w.cfg.LockTimeout, writeIdle, w.cfg.NetworkTimeout, nil)); err != nil {
		return err
	}
	if err := watchClient(ctx, tx); err != nil {
		return err
	}
	bare, err := b.strip(ctx, tx, id)
	if err != nil {
		return err
	}
	if err := b.load(ctx, conn, rows); err != nil {
		return err
	}
	dieAt(failBuildBeforeIndex)
	indexing()
	if err := b.finish(ctx, tx, bare); err != nil {
		return err
	}
	p := &pipeline{ctx: ctx, conn: conn}
	w.queueFence(p, id, c)
	if err := p.flush(); err != nil {
		return err
	}
	// The claims are those of a projector from now on: it is built, even where it has no row.
	if _, err := tx.Exec(ctx, "UPDATE "+w.book("positions")+" SET owner = $3 WHERE projection = $1 AND revision = $2", id, w.revision, b.owner); err != nil {
		return err
	}
	dieAt(failBuildBeforeCommit)
	if err := tx.Commit(ctx); err != nil {
		return w.explainCommit(err)
	}
	dieAt(failBuildAfterCommit)
	return nil
}

// load copies what rows gives, piece by piece.
func (b *build) load(ctx context.Context, conn *pgxpool.Conn, rows stores.Fill) error {
	var ours *copyError
	err := rows(func(model int, seq iter.Seq2[[]value.Value, error]) error {
		var theirs error
		t := b.w.tables[model]
		err := copyRows(ctx, conn.Conn().PgConn(), b.w.cfg.Schema, t, func(yield func([]value.Value, error) bool) {
			for row, err := range seq {
				if err != nil {
					theirs = err
				}
				if !yield(row, err) {
					return
				}
			}
		})
		dieAt(failBuildInCopy)
		switch {
		case theirs != nil:
			return theirs
		case err != nil:
			return &copyError{t.explain(nil)(err)}
		}
		return nil
	})
	switch {
	case errors.As(err, &ours):
		return ours.err
	case err != nil:
		return &fillError{err}
	}
	return nil
}

// copyError is an error of the server's, on its way through the caller.
type copyError struct{ err error }

func (e *copyError) Error() string { return e.err.Error() }

// strip drops keys and indexes for as long as rows are copied, and tells
// whether it did. It does not where the tables belong to another role, which alone may,
// and where readers see them, who would wait for the end.
func (b *build) strip(ctx context.Context, tx pgx.Tx, id int64) (bool, error) {
	w := b.w
	var active *string
	if err := tx.QueryRow(ctx, "SELECT p.active_revision FROM "+w.book("projections")+" p WHERE p.id = $1", id).Scan(&active); err != nil {
		return false, err
	}
	if active == nil || *active == w.revision {
		return false, nil
	}
	for _, t := range w.tables {
		var own bool
		err := tx.QueryRow(ctx, `SELECT pg_has_role(current_user, c.relowner, 'USAGE') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2`, w.cfg.Schema, t.name).Scan(&own)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) || err == nil && !own {
			return false, err
		}
	}
	// A switch to this revision waits for the end of the build, or gives up and comes again.
	if _, err := tx.Exec(ctx, "SELECT FROM "+w.book("revisions")+" WHERE projection = $1 AND revision = $2 FOR SHARE", id, w.revision); err != nil {
		return false, err
	}
	return w.dropAll(ctx, tx)
}

// dropAll tells whether it could: where something depends on a key, or has the
// table locked, all stays as it is.
func (w *Writer) dropAll(ctx context.Context, tx pgx.Tx) (bool, error) {
	part, err := tx.Begin(ctx)
	if err != nil {
		return false, err
	}
	for _, t := range w.tables {
		for _, sql := range dropIndexes(w.cfg.Schema, t) {
			_, err := part.Exec(ctx, sql)
			if _, code := sqlState(err); code == stateDependents || code == stateLockNotAvailable {
				return false, part.Rollback(ctx)
			}
			if err != nil {
				return false, err
			}
		}
	}
	return true, part.Commit(ctx)
}

// finish makes keys and indexes again, and tells the planner what there is.
func (b *build) finish(ctx context.Context, tx pgx.Tx, bare bool) error {
	for _, t := range b.w.tables {
		var texts []string
		if bare {
			texts = createIndexes(b.w.cfg.Schema, t)
		}
		// Of another role's table the server only says that it skips it.
		for _, sql := range append(texts, "ANALYZE "+quote(b.w.cfg.Schema, t.name)) {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return t.explain(nil)(err)
			}
		}
	}
	return nil
}

// dropIndexes are the statements that leave a table without key and indexes.
// Those that somebody else has made stay.
func dropIndexes(schema string, t *table) []string {
	var out []string
	for _, ix := range t.indexes {
		if ix.unique {
			out = append(out, "ALTER TABLE "+quote(schema, t.name)+" DROP CONSTRAINT IF EXISTS "+quote(ix.name))
		} else {
			out = append(out, "DROP INDEX IF EXISTS "+quote(schema, ix.name))
		}
	}
	return append(out, "ALTER TABLE "+quote(schema, t.name)+" DROP CONSTRAINT IF EXISTS "+quote(t.keyName()))
}

// createIndexes are those that make them again.
func createIndexes(schema string, t *table) []string {
	out := []string{"ALTER TABLE " + quote(schema, t.name) + " ADD " + t.primaryKey()}
	for _, ix := range t.indexes {
		out = append(out, createIndex(schema, t, ix))
	}
	return out
}
