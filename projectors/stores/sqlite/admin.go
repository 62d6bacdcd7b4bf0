// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"database/sql"
	"strings"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// admin is the DDL side of a Database.
type admin struct{ d *Database }

var (
	_ stores.Admin  = admin{}
	_ stores.Reader = admin{}
)

// Admin gives the DDL side, which is also a stores.Reader.
func (d *Database) Admin() stores.Admin { return admin{d} }

// Close leaves the Database open.
func (admin) Close() {}

// Probe reaches the database and tells SQLite's version.
func (a admin) Probe(ctx context.Context) (contract.StoreFacts, error) {
	facts := contract.StoreFacts{Database: a.d.path}
	err := a.d.write(ctx, func(s *session) error { return s.row("SELECT sqlite_version()").Scan(&facts.ServerVersion) })
	return facts, err
}

// Read runs the query of the revision's view, whatever revision the view shows now.
func (a admin) Read(ctx context.Context, c *contract.Contract, model int) ([][]value.Value, error) {
	tables, err := tablesOf(c)
	if err != nil {
		return nil, err
	}
	query, err := selection(c, tables, model)
	if err != nil {
		return nil, err
	}
	var types []value.Type
	var columns []string
	for _, col := range c.ViewColumns(model) {
		t, err := value.Parse(col.Type)
		if err != nil {
			return nil, invalid("models[%s].columns[%s].type: %v", c.Models[model].Name, col.Name, err)
		}
		types, columns = append(types, t), append(columns, read(quote(col.Name), t))
	}
	var out [][]value.Value
	err = a.d.with(ctx, func(s *session) error {
		if _, err := s.projection(c); err != nil {
			return err
		}
		return s.query("SELECT "+strings.Join(columns, ", ")+" FROM ("+query+") ORDER BY "+tables[model].keyColumns, nil, func(rows *sql.Rows) error {
			row, err := scan(rows, types)
			out = append(out, row)
			return err
		})
	})
	return out, err
}

// scan reads a row whose columns have these types.
func scan(rows *sql.Rows, types []value.Type) ([]value.Value, error) {
	row, into := make([]value.Value, len(types)), make([]any, len(types))
	for i := range row {
		into[i] = &row[i]
	}
	if err := rows.Scan(into...); err != nil {
		return nil, err
	}
	for i, t := range types {
		v, err := decode(t, row[i])
		if err != nil {
			return nil, err
		}
		row[i] = v
	}
	return row, nil
}

// Retire drops what the bookkeeping gives to the owner, views first, and then the bookkeeping's own rows.
func (a admin) Retire(ctx context.Context, owner contract.Identity) ([]string, error) {
	var dropped []string
	err := a.d.write(ctx, func(s *session) error {
		version, err := s.bookVersion()
		if err != nil || version == 0 {
			return err
		}
		var drops []string
		if err := s.query(`SELECT r.kind, r.name FROM projectionist_relations r
JOIN projectionist_projections p ON p.id = r.projection JOIN sqlite_master m ON m.name = r.name AND m.type = r.kind
WHERE p.cluster = ? AND p.namespace = ? AND p.name = ? AND p.uid = ? ORDER BY r.kind DESC, r.name`, []any{owner.Cluster, owner.Namespace, owner.Name, owner.UID}, func(rows *sql.Rows) error {
			var kind, name string
			err := rows.Scan(&kind, &name)
			drops, dropped = append(drops, "DROP "+kind+" "+quote(name)), append(dropped, kind+" "+quote(name))
			return err
		}); err != nil {
			return err
		}
		for _, drop := range drops {
			if err := s.exec(drop); err != nil {
				return err
			}
		}
		for _, of := range []string{"positions", "partitions", "barriers", "relations", "revisions"} {
			if err := s.exec("DELETE FROM "+bookPrefix+of+` WHERE projection IN
(SELECT id FROM projectionist_projections WHERE cluster = ? AND namespace = ? AND name = ? AND uid = ?)`, owner.Cluster, owner.Namespace, owner.Name, owner.UID); err != nil {
				return err
			}
		}
		return s.exec("DELETE FROM projectionist_projections WHERE cluster = ? AND namespace = ? AND name = ? AND uid = ?", owner.Cluster, owner.Namespace, owner.Name, owner.UID)
	})
	if err != nil {
		return nil, err
	}
	return dropped, nil
}
