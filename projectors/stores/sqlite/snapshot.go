// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

var _ stores.Snapshotter = admin{}

// Active implements stores.Snapshotter.
func (a admin) Active(ctx context.Context, owner contract.Identity) (*contract.Contract, error) {
	unknown := &stores.UnknownProjectionError{Owner: owner}
	c := &contract.Contract{}
	err := a.d.with(ctx, func(s *session) error {
		version, err := s.bookVersion()
		if err != nil {
			return err
		}
		if version == 0 {
			return unknown
		}
		var text string
		err = s.row(`SELECT r.contract FROM projectionist_projections p JOIN projectionist_revisions r ON r.projection = p.id AND r.revision = p.active_revision
WHERE p.cluster = ? AND p.namespace = ? AND p.name = ?`, owner.Cluster, owner.Namespace, owner.Name).Scan(&text)
		if err == nil {
			return json.Unmarshal([]byte(text), c)
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if err := s.query("SELECT cluster, namespace, name, uid FROM projectionist_projections WHERE name = ? AND active_revision IS NOT NULL ORDER BY 1, 2", []any{owner.Name}, func(rows *sql.Rows) error {
			var o contract.Identity
			err := rows.Scan(&o.Cluster, &o.Namespace, &o.Name, &o.UID)
			unknown.Others = append(unknown.Others, o)
			return err
		}); err != nil {
			return err
		}
		return unknown
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Snapshot implements stores.Snapshotter. The database's one connection is taken until it ends: the visit must not use it.
func (a admin) Snapshot(ctx context.Context, c *contract.Contract, v stores.Visit) error {
	tables, err := tablesOf(c)
	if err != nil {
		return err
	}
	return a.d.read(ctx, func(s *session) error {
		id, err := s.projection(c)
		if err != nil {
			return err
		}
		claims, err := s.claims(id, c.Revision)
		if err != nil {
			return err
		}
		barriers, err := s.barriersOf(id, c.Revision)
		if err != nil {
			return err
		}
		if err := v.Begin(claims, barriers); err != nil {
			return err
		}
		for i, t := range tables {
			if err := s.visit(t, i, v); err != nil {
				return err
			}
		}
		return nil
	})
}

// read runs fn in a transaction that sees one state of the database.
func (d *Database) read(ctx context.Context, fn func(*session) error) error {
	return d.with(ctx, func(s *session) error {
		if err := s.exec("BEGIN"); err != nil {
			return err
		}
		err := fn(s)
		if _, failed := d.conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK"); failed != nil {
			d.drop()
		}
		return err
	})
}

func (s *session) visit(t *table, model int, v stores.Visit) error {
	types, key := make([]value.Type, len(t.model.Columns)), make([]value.Value, len(t.model.Key))
	for i := range t.model.Columns {
		types[i] = t.model.Columns[i].Type
	}
	return s.query("SELECT "+t.readColumns+" FROM "+quote(t.name)+" AS t", nil, func(rows *sql.Rows) error {
		row, err := scan(rows, types)
		if err != nil {
			return fmt.Errorf("table %s: %w", t.name, err)
		}
		for i, k := range t.model.Key {
			key[i] = row[k]
		}
		if !v.Want(model, key) {
			return nil
		}
		return v.Row(model, row)
	})
}
