// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/projectionist-dev/projectionist/contract"
)

// Count implements stores.Reader.
func (a *Admin) Count(ctx context.Context, c *contract.Contract, model int) (n int64, err error) {
	tables, err := newTables(c)
	if err != nil {
		return 0, err
	}
	v := newView(a.cfg.Schema, c, tables, model)
	err = a.cfg.inTx(ctx, a.pool, pgx.ReadOnly, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, "SELECT count(*) FROM ("+v.query()+") v").Scan(&n)
	})
	return n, err
}
