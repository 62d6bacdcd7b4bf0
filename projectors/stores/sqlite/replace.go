// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/stores"
	"github.com/projectionist-dev/projectionist/projectors/stores/rmw"
)

var _ stores.Replacer = admin{}

// Positions implements stores.Replacer.
func (a admin) Positions(ctx context.Context, c *contract.Contract) (claims []stores.Claim, barriers []stores.Barrier, err error) {
	err = a.d.read(ctx, func(s *session) error {
		id, err := s.projection(c)
		if err != nil {
			return err
		}
		claims, barriers, err = s.places(id, c.Revision)
		return err
	})
	return claims, barriers, err
}

func (s *session) places(id int64, revision string) ([]stores.Claim, []stores.Barrier, error) {
	claims, err := s.claims(id, revision)
	if err != nil {
		return nil, nil, err
	}
	barriers, err := s.barriersOf(id, revision)
	return claims, barriers, err
}

// Replace implements stores.Replacer. The transaction excludes all other writers of the file from its beginning.
func (a admin) Replace(ctx context.Context, c *contract.Contract, r stores.Replacement) (stores.Replaced, error) {
	tables, err := tablesOf(c)
	if err != nil {
		return stores.Replaced{}, err
	}
	var out stores.Replaced
	err = a.d.write(ctx, func(s *session) error {
		id, err := s.projection(c)
		if err != nil {
			return err
		}
		claims, barriers, err := s.places(id, c.Revision)
		if err != nil {
			return err
		}
		held, cancel := context.WithDeadlineCause(ctx, time.Now().Add(r.HoldOrDefault()), stores.ErrHeldTooLong)
		defer cancel()
		rows, err := r.Fold(held, slices.Clone(claims), barriers)
		if err == nil && held.Err() != nil {
			err = context.Cause(held)
		}
		if err != nil {
			return err
		}
		out = stores.Replaced{Claims: claims, Models: make([]stores.ReplacedRows, len(tables))}
		for m, t := range tables {
			if err := t.replace(s, m, rows, &out.Models[m]); err != nil {
				return t.violation(err)
			}
		}
		return s.run("UPDATE projectionist_positions SET epoch = epoch + 1, token = ? || '/' || topic || '/' || partition, owner = ? WHERE projection = ? AND revision = ?",
			stores.FreeToken(), r.Owner, id, c.Revision)
	})
	if err != nil {
		return stores.Replaced{}, err
	}
	return out, nil
}

// replace makes the table's rows among those given what they are to be.
func (t *table) replace(s *session, model int, rows []stores.Row, n *stores.ReplacedRows) error {
	var changes []rmw.Change
	for _, row := range rows {
		if row.Model == model {
			changes = append(changes, rmw.Change{Key: row.Key, Now: row.Values})
		}
	}
	unreadable, err := t.readWas(s, changes)
	if err != nil {
		return err
	}
	for i := range unreadable {
		// Which of its columns are other ones nobody can say: it is made anew.
		if err := t.delete(s, [][]value.Value{changes[i].Key}); err != nil {
			return err
		}
		if changes[i].Now == nil {
			n.Deleted++
			n.Equal-- // as it is counted below
		}
	}
	changes = slices.DeleteFunc(changes, func(c rmw.Change) bool {
		switch {
		case c.Was == nil && c.Now == nil, c.Was != nil && c.Now != nil && slices.CompareFunc(c.Was, c.Now, value.Compare) == 0:
			n.Equal++
			return true
		case c.Now == nil:
			n.Deleted++
		default:
			n.Written++
		}
		return false
	})
	return t.write(s, changes)
}

// readWas reads the rows that are there, and says which of them hold what no projector writes.
func (t *table) readWas(s *session, changes []rmw.Change) (unreadable map[int]bool, err error) {
	types := t.types()
	unreadable = map[int]bool{}
	err = inChunks(len(changes), func(from, to int) error {
		var args []any
		for i := range changes[from:to] {
			args = t.appendKey(args, changes[from+i].Key)
		}
		return s.query(t.selectKeys(to-from), args, func(rows *sql.Rows) error {
			raw, into := make([]any, 1+len(types)), make([]any, 1+len(types))
			for i := range raw {
				into[i] = &raw[i]
			}
			if err := rows.Scan(into...); err != nil {
				return err
			}
			at := from + int(raw[0].(int64))
			was := make([]value.Value, len(types))
			for i, typ := range types {
				v, err := decode(typ, raw[1+i])
				if err != nil {
					unreadable[at] = true
					return nil //nolint:nilerr // it is to be replaced
				}
				was[i] = v
			}
			changes[at].Was = was
			return nil
		})
	})
	return unreadable, err
}
