// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"database/sql"
	"strings"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
)

// Exec runs a statement, as somebody with another tool would.
func (d *Database) Exec(ctx context.Context, query string, args ...any) error {
	return d.write(ctx, func(s *session) error { return s.exec(query, args...) })
}

// Strings gives the first column of a query.
func (d *Database) Strings(ctx context.Context, query string, args ...any) ([]string, error) {
	var out []string
	err := d.with(ctx, func(s *session) error {
		rows, err := s.d.conn.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var text string
			if err := rows.Scan(&text); err != nil {
				return err
			}
			out = append(out, text)
		}
		return rows.Err()
	})
	return out, err
}

// Rows reads a model's table, tombstones among them.
func (d *Database) Rows(ctx context.Context, c *contract.Contract, model int) ([][]value.Value, error) {
	tables, err := tablesOf(c)
	if err != nil {
		return nil, err
	}
	t := tables[model]
	var out [][]value.Value
	err = d.with(ctx, func(s *session) error {
		return s.query("SELECT "+t.readColumns+" FROM "+quote(t.name)+" AS t ORDER BY "+t.keyColumns, nil, func(rows *sql.Rows) error {
			row, err := scan(rows, t.types())
			out = append(out, row)
			return err
		})
	})
	return out, err
}

// ViewRows reads the columns of the contract's view from the view that is there.
func (d *Database) ViewRows(ctx context.Context, c *contract.Contract, model int) ([][]value.Value, error) {
	var columns []string
	var types []value.Type
	for _, col := range c.ViewColumns(model) {
		t := value.MustParse(col.Type)
		types, columns = append(types, t), append(columns, read(quote(col.Name), t))
	}
	tables, err := tablesOf(c)
	if err != nil {
		return nil, err
	}
	var out [][]value.Value
	err = d.with(ctx, func(s *session) error {
		return s.query("SELECT "+strings.Join(columns, ", ")+" FROM "+quote(c.Models[model].Name)+" ORDER BY "+tables[model].keyColumns, nil, func(rows *sql.Rows) error {
			row, err := scan(rows, types)
			out = append(out, row)
			return err
		})
	})
	return out, err
}

// Forms of values in the tables.
var (
	Declared = declared
	Encode   = encode
)

// Hold calls fn while a transaction excludes all other writers.
func (d *Database) Hold(ctx context.Context, fn func()) error {
	return d.write(ctx, func(*session) error {
		fn()
		return nil
	})
}

// KeyedStatements are what reads and deletes rows by key, for one row and for many.
func KeyedStatements(c *contract.Contract) []string {
	tables, err := tablesOf(c)
	if err != nil {
		panic(err)
	}
	var out []string
	for _, t := range tables {
		for _, n := range chunks {
			out = append(out, t.selectKeys(n), t.deleteKeys(n))
		}
	}
	return out
}

// Plan gives the steps by which SQLite would run a query.
func (d *Database) Plan(ctx context.Context, query string) ([]string, error) {
	var out []string
	err := d.with(ctx, func(s *session) error {
		args := make([]any, strings.Count(query, "?"))
		rows, err := s.d.conn.QueryContext(ctx, "EXPLAIN QUERY PLAN "+query, args...)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				return err
			}
			out = append(out, detail)
		}
		return rows.Err()
	})
	return out, err
}
