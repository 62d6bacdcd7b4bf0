// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

var _ stores.Replacer = (*Admin)(nil)

// Positions implements stores.Replacer.
func (a *Admin) Positions(ctx context.Context, c *contract.Contract) (claims []stores.Claim, barriers []stores.Barrier, err error) {
	err = environment(ctx, pgx.BeginTxFunc(ctx, a.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, a.cfg.prologue()); err != nil {
			return err
		}
		r := replacing{Admin: a, tx: tx, c: c}
		if err := r.find(ctx, ""); err != nil {
			return err
		}
		claims, barriers, err = r.places(ctx, "")
		return err
	}))
	return claims, barriers, err
}

// Replace implements stores.Replacer. Locks are taken in the order of AddPartitions and Commit: revision, positions, rows.
// With the revision's, no partition is added, and with those of all positions, no commit is at its rows: so those
// that come after, fan-outs among them, keep to their order.
func (a *Admin) Replace(ctx context.Context, c *contract.Contract, rep stores.Replacement) (stores.Replaced, error) {
	tables, err := newTables(c)
	if err != nil {
		return stores.Replaced{}, &stores.EnvironmentError{Reason: ReasonInvalidDefinition, Message: err.Error()}
	}
	r := &replacing{Admin: a, c: c, rep: rep, tables: tables, token: stores.FreeToken()}
	err = a.cfg.retry(ctx, func() error {
		if err := r.try(ctx); r.refused == nil {
			return err
		}
		return nil // it ends the tries
	})
	if err = errors.Join(r.refused, err); err != nil {
		return stores.Replaced{}, err
	}
	return r.done, nil
}

// replacing is one Replace.
type replacing struct {
	// stored is the contract of the revision in the bookkeeping.
	stored []byte
	*Admin
	c      *contract.Contract
	rep    stores.Replacement
	tables []*table
	// token begins those that the claims get: each is one claim's, and of this Replace alone.
	token string
	// done is what the last try did, if it committed.
	done stores.Replaced
	// refused is an error of Fold.
	refused error

	tx pgx.Tx
	id int64
}

func (r *replacing) try(ctx context.Context) error {
	conn, err := r.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	return pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite}, func(tx pgx.Tx) error {
		r.tx = tx
		claims, barriers, err := r.lock(ctx)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(claims, func(c stores.Claim) bool { return strings.HasPrefix(c.Token, r.token) }) {
			return nil // the answer to the COMMIT of the last try was lost
		}
		held, cancel := context.WithDeadlineCause(ctx, time.Now().Add(r.rep.HoldOrDefault()), stores.ErrHeldTooLong)
		defer cancel()
		if err := r.work(held, conn, claims, barriers); err != nil {
			if _, code := sqlState(err); r.refused == nil && ctx.Err() == nil && (held.Err() != nil || code == stateQueryCanceled) {
				r.refused = stores.ErrHeldTooLong
			}
			return err
		}
		return nil
	})
}

// work is what all writers of the revision wait for, until ctx ends. The COMMIT after it has the time that it takes: one that is
// given up is perhaps done all the same.
func (r *replacing) work(ctx context.Context, conn *pgxpool.Conn, claims []stores.Claim, barriers []stores.Barrier) error {
	rows, err := r.fold(ctx, claims, barriers)
	if err != nil {
		return err
	}
	// The server does not hear that the client's time is over until it has done what it is at. Behind the lock of a
	// row it gives up sooner, so that what it has waited for can be told.
	end, _ := ctx.Deadline()
	if err := r.timeouts(ctx, time.Until(end), time.Until(end)/2); err != nil {
		return err
	}
	r.done = stores.Replaced{Claims: claims, Models: make([]stores.ReplacedRows, len(r.tables))}
	p := &pipeline{ctx: ctx, conn: conn}
	for m, t := range r.tables {
		if err := r.replace(p, t, ofModel(rows, m), &r.done.Models[m]); err != nil {
			return err
		}
	}
	if err := p.flush(); err != nil {
		return err
	}
	if _, err := r.tx.Exec(ctx, "UPDATE "+r.book("positions")+" SET epoch = epoch + 1, token = $3::text || '/' || topic || '/' || partition::text, owner = $4, claimed_at = pg_catalog.now() WHERE projection = $1 AND revision = $2",
		r.id, r.c.Revision, r.token, r.rep.Owner); err != nil {
		return err
	}
	// A constraint that is deferred is tested here, where its table is known.
	if _, err = r.tx.Exec(ctx, "SET CONSTRAINTS ALL IMMEDIATE"); err != nil {
		return explainCommit(r.cfg.Schema, r.tables, err)
	}
	// A COMMIT that is ended while it waits for a synchronous standby is one without that.
	return r.timeouts(ctx, r.cfg.StatementTimeout, r.cfg.LockTimeout)
}

func (r *replacing) timeouts(ctx context.Context, statement, lock time.Duration) error {
	ms := func(d time.Duration) string { return strconv.FormatInt(max(d.Milliseconds(), 1), 10) }
	_, err := r.tx.Exec(ctx, "SELECT pg_catalog.set_config('statement_timeout', $1, true), pg_catalog.set_config('lock_timeout', $2, true)", ms(statement), ms(lock))
	return err
}

func (r *replacing) book(name string) string { return quote(r.cfg.BookkeepingSchema, name) }

// lock keeps every writer of the revision from committing.
func (r *replacing) lock(ctx context.Context) ([]stores.Claim, []stores.Barrier, error) {
	if _, err := r.tx.Exec(ctx, r.cfg.prologue()); err != nil {
		return nil, nil, err
	}
	// Whoever waits here, be it behind a reader of one row, holds up what it has locked already: one wait, and all of them together, have a limit.
	if err := r.timeouts(ctx, 2*r.rep.HoldOrDefault(), r.rep.HoldOrDefault()); err != nil {
		return nil, nil, err
	}
	if err := r.find(ctx, " FOR UPDATE OF r"); err != nil {
		return nil, nil, err
	}
	return r.places(ctx, " FOR UPDATE OF p")
}

// find looks up the projection's id.
func (r *replacing) find(ctx context.Context, lock string) error {
	err := r.tx.QueryRow(ctx, "SELECT p.id, r.contract FROM "+r.book("projections")+" p JOIN "+r.book("revisions")+
		" r ON r.projection = p.id AND r.revision = $4 WHERE p.cluster = $1 AND p.namespace = $2 AND p.name = $3"+lock,
		r.c.Projection.Cluster, r.c.Projection.Namespace, r.c.Projection.Name, r.c.Revision).Scan(&r.id, &r.stored)
	if errors.Is(err, pgx.ErrNoRows) {
		return &stores.EnvironmentError{Reason: stores.ReasonNotPrepared, Message: "revision " + r.c.Revision + " has no tables: it was not prepared, or was dropped"}
	}
	return err
}

// places gives all position rows in order.
func (r *replacing) places(ctx context.Context, lock string) ([]stores.Claim, []stores.Barrier, error) {
	rows, err := r.tx.Query(ctx, "SELECT "+claimColumns+" FROM "+r.book("positions")+
		" p WHERE p.projection = $1 AND p.revision = $2 ORDER BY p.topic, p.partition"+lock, r.id, r.c.Revision)
	if err != nil {
		return nil, nil, err
	}
	claims, err := pgx.CollectRows(rows, scanClaim)
	if err != nil {
		return nil, nil, err
	}
	stores.SetBegins(claims, r.stored)
	barriers, err := r.cfg.barriers(ctx, r.tx, r.id, r.c.Revision)
	return claims, barriers, err
}

// fold calls rep.Fold while the positions are locked.
func (r *replacing) fold(held context.Context, claims []stores.Claim, barriers []stores.Barrier) ([]stores.Row, error) {
	rows, err := r.rep.Fold(held, slices.Clone(claims), barriers)
	if err == nil && held.Err() != nil {
		err = context.Cause(held)
	}
	r.refused = err
	return rows, err
}

// ofModel gives the rows of a model, in the order of their keys.
func ofModel(rows []stores.Row, model int) []stores.Row {
	var out []stores.Row
	for _, row := range rows {
		if row.Model == model {
			out = append(out, row)
		}
	}
	slices.SortFunc(out, func(a, b stores.Row) int { return slices.CompareFunc(a.Key, b.Key, value.Compare) })
	return out
}

// replace makes the table's rows those given, in the order of their keys.
func (r *replacing) replace(p *pipeline, t *table, rows []stores.Row, n *stores.ReplacedRows) error {
	if len(rows) == 0 {
		return nil
	}
	there, unreadable := make(map[string][]value.Value, len(rows)), map[string]bool{}
	keys := make([][]byte, len(t.key))
	for k, col := range t.key {
		keys[k] = t.columns[col].encode(len(rows), func(i int) value.Value { return rows[i].Key[k] })
	}
	p.steps = append(p.steps, step{
		sql: t.sqlLoad(r.cfg.Schema), params: keys, explain: t.explain(nil),
		row: func(values [][]byte) error {
			row, err := t.decodeRow(values)
			if err == nil {
				there[t.keyOf(row)] = row
				return nil
			}
			// It holds what no projector writes.
			if row, err = t.decodeKey(values); err == nil {
				there[t.keyOf(row)], unreadable[t.keyOf(row)] = row, true
			}
			return err
		},
	})
	if err := p.flush(); err != nil {
		return err
	}
	var out changes
	for i := range rows {
		key := appendKey(nil, rows[i].Key)
		was, row := there[string(key)], rows[i].Values
		switch {
		case was == nil && row == nil, was != nil && row != nil && !unreadable[string(key)] && slices.CompareFunc(was, row, value.Compare) == 0:
			n.Equal++
		case row == nil:
			n.Deleted++
			out.deleted = append(out.deleted, was)
		case was == nil:
			n.Written++
			out.created = append(out.created, row)
		default:
			n.Written++
			out.changed = append(out.changed, row)
		}
	}
	t.queueChanges(p, r.cfg.Schema, &out)
	return nil
}

// decodeKey gives a row of read with nothing but its key.
func (t *table) decodeKey(values [][]byte) ([]value.Value, error) {
	row := make([]value.Value, len(t.columns))
	if len(values) != len(row) {
		return nil, errWire
	}
	for _, k := range t.key {
		var err error
		if row[k], err = decodeValue(t.columns[k].typ, values[k]); err != nil {
			return nil, err
		}
	}
	return row, nil
}
