// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/projectionist-dev/projectionist/projectors/stores"
)

var _ stores.Watcher = (*Writer)(nil)

// Size implements stores.Watcher: the files of tables, indexes and long values (TOAST). It needs no right on them.
func (w *Writer) Size(ctx context.Context) (bytes int64, err error) {
	names := make([]string, len(w.tables))
	for i, t := range w.tables {
		names[i] = t.name
	}
	err = w.cfg.inTx(ctx, w.pool, pgx.ReadOnly, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, "SELECT coalesce(sum(pg_catalog.pg_total_relation_size(c.oid)), 0)::bigint FROM pg_catalog.pg_class c"+
			" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = ANY($2) AND c.relkind = 'r'",
			w.cfg.Schema, names).Scan(&bytes)
	})
	return bytes, err
}

// Shown implements stores.Watcher.
func (w *Writer) Shown(ctx context.Context) (revision string, sequence int64, err error) {
	err = w.cfg.inTx(ctx, w.pool, pgx.ReadOnly, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, "SELECT coalesce(active_revision, ''), sequence FROM "+quote(w.cfg.BookkeepingSchema, "projections")+
			" WHERE cluster = $1 AND namespace = $2 AND name = $3", w.who.Cluster, w.who.Namespace, w.who.Name).Scan(&revision, &sequence)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return "", 0, nil
	}
	return revision, sequence, err
}
