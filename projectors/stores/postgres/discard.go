// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// Discard is one transaction with the locks of a promotion. It never cascades: a
// foreign object that depends on a table stops it.
func (a *Admin) Discard(ctx context.Context, owner contract.Identity, s contract.Switch) (contract.RevisionFacts, error) {
	err := a.cfg.inTx(ctx, a.pool, pgx.ReadWrite, func(tx pgx.Tx) error {
		if err := lockDDL(ctx, tx); err != nil {
			return err
		}
		return a.discard(ctx, tx, owner, s)
	})
	return a.factsAfter(ctx, owner, err)
}

func (a *Admin) discard(ctx context.Context, tx pgx.Tx, owner contract.Identity, s contract.Switch) error {
	facts, err := revisionFacts(ctx, tx, a.cfg.BookkeepingSchema, owner)
	if err != nil || facts.Find(s.Revision) == nil {
		return err
	}
	if facts.Active == s.Revision {
		return &stores.SwitchError{Code: stores.ReasonRevisionActive, Message: fmt.Sprintf(
			"readers see revision %s: promote another one first, or delete the Projection", s.Revision)}
	}
	if err = expected(s, facts.Active, facts.Sequence); err != nil {
		return err
	}
	book := func(name string) string { return quote(a.cfg.BookkeepingSchema, name) }
	var id int64
	if err = tx.QueryRow(ctx, "SELECT id FROM "+book("projections")+" WHERE cluster = $1 AND namespace = $2 AND name = $3 FOR NO KEY UPDATE",
		owner.Cluster, owner.Namespace, owner.Name).Scan(&id); err != nil {
		return err
	}
	// Writers first wait here, and then find no row: none of them is in the middle of a table that goes.
	for _, lock := range []string{
		"SELECT FROM " + book("revisions") + " WHERE projection = $1 AND revision = $2 FOR UPDATE",
		"SELECT FROM " + book("positions") + " WHERE projection = $1 AND revision = $2 ORDER BY topic, partition FOR UPDATE",
	} {
		if _, err = tx.Exec(ctx, lock, id, s.Revision); err != nil {
			return err
		}
	}
	rows, err := tx.Query(ctx, `SELECT r.schema, r.name FROM `+book("relations")+` r
JOIN pg_namespace n ON n.nspname = r.schema JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = r.name AND c.relkind = 'r'
WHERE r.projection = $1 AND r.revision = $2 AND r.kind = 'table' ORDER BY r.schema, r.name`, id, s.Revision)
	if err != nil {
		return err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Schema, Name string }])
	if err != nil {
		return err
	}
	for _, t := range tables {
		if _, err := tx.Exec(ctx, "DROP TABLE "+quote(t.Schema, t.Name)); err != nil {
			return err
		}
	}
	for _, of := range []string{"positions", "relations", "revisions"} {
		if _, err := tx.Exec(ctx, "DELETE FROM "+book(of)+" WHERE projection = $1 AND revision = $2", id, s.Revision); err != nil {
			return err
		}
	}
	return nil
}
