// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/projectionist-dev/projectionist/contract"
)

// Retire drops what the bookkeeping gives to owner, views first, and then the bookkeeping's own rows, in one transaction. It
// never cascades: a foreign object that depends on a relation stops it.
// Nothing to drop is no error, and neither is what a Projection made anew has adopted: the request is late, and the tables are not its own.
func (a *Admin) Retire(ctx context.Context, owner contract.Identity) ([]string, error) {
	var dropped []string
	err := a.cfg.inTx(ctx, a.pool, pgx.ReadWrite, func(tx pgx.Tx) error {
		if err := lockDDL(ctx, tx); err != nil {
			return err
		}
		version, err := bookkeeping(ctx, tx, a.cfg.BookkeepingSchema)
		if err != nil || version == 0 {
			return err
		}
		if err = createBookkeeping(ctx, tx, a.cfg.BookkeepingSchema); err != nil { // an older one is brought up to date
			return err
		}
		book := func(name string) string { return quote(a.cfg.BookkeepingSchema, name) }
		var id int64
		err = tx.QueryRow(ctx, "SELECT id FROM "+book("projections")+" WHERE cluster = $1 AND namespace = $2 AND name = $3 AND uid = $4 FOR UPDATE",
			owner.Cluster, owner.Namespace, owner.Name, owner.UID).Scan(&id)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		// Writers first wait here, and then find no row: none of them is in the middle of a table that goes.
		if _, err = tx.Exec(ctx, "SELECT FROM "+book("positions")+" WHERE projection = $1 ORDER BY revision, topic, partition FOR UPDATE", id); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT r.schema, r.name, r.kind FROM `+book("relations")+` r
JOIN pg_namespace n ON n.nspname = r.schema
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = r.name AND c.relkind = CASE r.kind WHEN 'view' THEN 'v'::"char" ELSE 'r' END
WHERE r.projection = $1 ORDER BY r.kind DESC, r.schema, r.name`, id)
		if err != nil {
			return err
		}
		type relation struct{ Schema, Name, Kind string }
		relations, err := pgx.CollectRows(rows, pgx.RowToStructByPos[relation])
		if err != nil {
			return err
		}
		dropped = nil
		for _, r := range relations {
			what := map[string]string{"view": "VIEW", "table": "TABLE"}[r.Kind] + " " + quote(r.Schema, r.Name)
			if _, err := tx.Exec(ctx, "DROP "+what); err != nil {
				return err
			}
			dropped = append(dropped, r.Kind+" "+quote(r.Schema, r.Name))
		}
		for _, stmt := range []string{
			"DELETE FROM " + book("positions") + " WHERE projection = $1",
			"DELETE FROM " + book("barriers") + " WHERE projection = $1",
			"DELETE FROM " + book("switches") + " WHERE projection = $1",
			"DELETE FROM " + book("relations") + " WHERE projection = $1",
			"DELETE FROM " + book("revisions") + " WHERE projection = $1",
			"DELETE FROM " + book("projections") + " WHERE id = $1",
		} {
			if _, err := tx.Exec(ctx, stmt, id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return dropped, nil
}
