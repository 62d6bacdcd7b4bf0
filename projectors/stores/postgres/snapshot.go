// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

var _ stores.Snapshotter = (*Admin)(nil)

// Active implements stores.Snapshotter.
func (a *Admin) Active(ctx context.Context, owner contract.Identity) (*contract.Contract, error) {
	unknown := &stores.UnknownProjectionError{Owner: owner}
	var text []byte
	err := a.cfg.inTx(ctx, a.pool, pgx.ReadOnly, func(tx pgx.Tx) error {
		text, unknown.Others = nil, nil
		version, err := bookkeeping(ctx, tx, a.cfg.BookkeepingSchema)
		if err != nil || version == 0 {
			return err
		}
		projections := quote(a.cfg.BookkeepingSchema, "projections")
		err = tx.QueryRow(ctx, "SELECT r.contract FROM "+projections+" p JOIN "+quote(a.cfg.BookkeepingSchema, "revisions")+
			" r ON r.projection = p.id AND r.revision = p.active_revision WHERE p.cluster = $1 AND p.namespace = $2 AND p.name = $3",
			owner.Cluster, owner.Namespace, owner.Name).Scan(&text)
		if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		rows, err := tx.Query(ctx, "SELECT cluster, namespace, name, uid FROM "+projections+" WHERE name = $1 AND active_revision IS NOT NULL ORDER BY 1, 2", owner.Name)
		if err != nil {
			return err
		}
		unknown.Others, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (o contract.Identity, err error) {
			return o, row.Scan(&o.Cluster, &o.Namespace, &o.Name, &o.UID)
		})
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case text == nil:
		return nil, unknown
	}
	c := &contract.Contract{}
	if err := json.Unmarshal(text, c); err != nil {
		return nil, damaged("a contract of its active revision", err)
	}
	return c, nil
}

// Snapshot implements stores.Snapshotter. Rows come one after the other from one scan per table: what is computed of
// them is computed by one piece of code, whatever the store.
func (a *Admin) Snapshot(ctx context.Context, c *contract.Contract, v stores.Visit) error {
	tables, err := newTables(c)
	if err != nil {
		return err
	}
	var refused error // by the visit: it is no fault of the surroundings
	err = pgx.BeginTxFunc(ctx, a.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, a.cfg.prologue()); err != nil {
			return err
		}
		// A whole table is read in the order in which it lies, and ctx bounds how long that takes.
		if _, err := tx.Exec(ctx, "SELECT pg_catalog.set_config('enable_seqscan', 'on', true), pg_catalog.set_config('statement_timeout', '0', true)"); err != nil {
			return err
		}
		var id int64
		var stored []byte
		err := tx.QueryRow(ctx, "SELECT p.id, r.contract FROM "+quote(a.cfg.BookkeepingSchema, "projections")+" p JOIN "+quote(a.cfg.BookkeepingSchema, "revisions")+
			" r ON r.projection = p.id AND r.revision = $4 WHERE p.cluster = $1 AND p.namespace = $2 AND p.name = $3",
			c.Projection.Cluster, c.Projection.Namespace, c.Projection.Name, c.Revision).Scan(&id, &stored)
		if errors.Is(err, pgx.ErrNoRows) {
			return &stores.EnvironmentError{Reason: stores.ReasonNotPrepared, Message: "revision " + c.Revision + " has no tables: it was not prepared, or was dropped"}
		}
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, "SELECT "+claimColumns+" FROM "+quote(a.cfg.BookkeepingSchema, "positions")+
			" p WHERE p.projection = $1 AND p.revision = $2 ORDER BY p.topic, p.partition", id, c.Revision)
		if err != nil {
			return err
		}
		claims, err := pgx.CollectRows(rows, scanClaim)
		if err != nil {
			return err
		}
		stores.SetBegins(claims, stored)
		barriers, err := a.cfg.barriers(ctx, tx, id, c.Revision)
		if err != nil {
			return err
		}
		if refused = v.Begin(claims, barriers); refused != nil {
			return refused
		}
		for _, t := range tables {
			if refused, err = a.visit(ctx, tx, t, v); refused != nil || err != nil {
				return errors.Join(refused, err)
			}
		}
		return nil
	})
	if refused != nil {
		return refused
	}
	return environment(ctx, err)
}

// visit reads a table; refused is an error of the visit, or of a row that cannot be read.
func (a *Admin) visit(ctx context.Context, tx pgx.Tx, t *table, v stores.Visit) (refused, err error) {
	rows, err := tx.Query(ctx, "SELECT "+t.read()+" FROM "+quote(a.cfg.Schema, t.name)+" t", pgx.QueryResultFormats(binaryFormat))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	key := make([]value.Value, len(t.key))
	for rows.Next() {
		raw := rows.RawValues()
		for i, k := range t.key {
			if key[i], err = decodeValue(t.columns[k].typ, raw[k]); err != nil {
				return t.unreadable(k, err), nil
			}
		}
		if !v.Want(t.index, key) {
			continue
		}
		row := make([]value.Value, len(t.columns))
		for i, b := range raw {
			if row[i], err = decodeValue(t.columns[i].typ, b); err != nil {
				return t.unreadable(i, err), nil
			}
		}
		if err := v.Row(t.index, row); err != nil {
			return err, nil
		}
	}
	return nil, rows.Err()
}

// unreadable says that a row holds what no projector writes, such as NaN.
func (t *table) unreadable(col int, err error) error {
	return &stores.UnreadableRowError{Table: t.name, Column: t.columns[col].name, Err: err}
}
