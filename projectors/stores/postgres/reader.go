// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

var _ stores.Reader = (*Admin)(nil)

// Read runs the query of the revision's view, whatever revision the view shows now. All rows are
// held in memory.
func (a *Admin) Read(ctx context.Context, c *contract.Contract, model int) ([][]value.Value, error) {
	tables, err := newTables(c)
	if err != nil {
		return nil, err
	}
	v := newView(a.cfg.Schema, c, tables, model)
	selected, order := make([]string, len(v.columns)), make([]string, len(tables[model].key))
	for i, col := range v.columns {
		seen := col.column
		seen.name = col.name
		selected[i] = seen.read("v")
	}
	for i, k := range tables[model].key {
		order[i] = "v." + quote(tables[model].columns[k].name)
	}
	sql := "SELECT " + strings.Join(selected, ", ") + " FROM (" + v.query() + ") v ORDER BY " + strings.Join(order, ", ")
	var out [][]value.Value
	err = a.cfg.inTx(ctx, a.pool, pgx.ReadOnly, func(tx pgx.Tx) error {
		out = nil
		rows, err := tx.Query(ctx, sql, pgx.QueryResultFormats(binaryFormat))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			row := make([]value.Value, len(v.columns))
			for i, b := range rows.RawValues() {
				if row[i], err = decodeValue(v.columns[i].typ, b); err != nil {
					return err
				}
			}
			out = append(out, row)
		}
		return rows.Err()
	})
	return out, err
}
