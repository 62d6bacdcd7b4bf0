// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"database/sql"
	"slices"
	"strconv"
	"strings"

	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/stores"
	"github.com/projectionist-dev/projectionist/projectors/stores/rmw"
)

// chunks are how many rows one statement is for: few sizes, so that each
// statement is prepared once.
var chunks = []int{64, 8, 1}

// inChunks calls fn for parts of n items.
func inChunks(n int, fn func(from, to int) error) error {
	for from := 0; from < n; {
		size := chunks[slices.IndexFunc(chunks, func(c int) bool { return c <= n-from })]
		if err := fn(from, from+size); err != nil {
			return err
		}
		from += size
	}
	return nil
}

// Commit reads the rows that the batch touches, folds in memory and writes whole
// rows, in one transaction with the positions.
func (w *writer) Commit(ctx context.Context, c stores.Commit) error {
	return w.d.write(ctx, func(s *session) error {
		id, err := s.projection(w.c)
		if err != nil {
			return err
		}
		if err := w.fence(s, id, c.Advances); err != nil {
			return err
		}
		changes, err := rmw.Apply(c.Rows, w.models, source{w, s})
		if err != nil {
			return err
		}
		for m, t := range w.tables {
			if err := t.write(s, changes[m]); err != nil {
				return t.violation(err)
			}
		}
		return w.advance(s, id, c.Advances)
	})
}

// source reads within a commit.
type source struct {
	w *writer
	s *session
}

func (src source) Rows(model int, keys [][]value.Value) ([][]value.Value, error) {
	t := src.w.tables[model]
	out := make([][]value.Value, len(keys))
	types := append([]value.Type{{Kind: value.Int64}}, t.types()...)
	err := inChunks(len(keys), func(from, to int) error {
		var args []any
		for _, key := range keys[from:to] {
			args = t.appendKey(args, key)
		}
		return src.s.query(t.selectKeys(to-from), args, func(rows *sql.Rows) error {
			row, err := scan(rows, types)
			if err == nil {
				out[from+int(row[0].(int64))] = row[1:]
			}
			return err
		})
	})
	return out, err
}

func (src source) Matching(model int, where []fold.Match, limit int) ([][]value.Value, error) {
	t := src.w.tables[model]
	var conditions []string
	var args []any
	for _, m := range where {
		conditions = append(conditions, quote(t.model.Columns[m.Column].Name)+" = ?")
		args = append(args, encode(t.model.Columns[m.Column].Type, m.Value))
	}
	var out [][]value.Value
	types := t.types()
	err := src.s.query("SELECT "+t.readColumns+" FROM "+quote(t.name)+" AS t WHERE "+strings.Join(conditions, " AND ")+" LIMIT ?", append(args, limit), func(rows *sql.Rows) error {
		row, err := scan(rows, types)
		out = append(out, row)
		return err
	})
	return out, err
}

func (t *table) types() []value.Type {
	out := make([]value.Type, len(t.model.Columns))
	for i := range out {
		out[i] = t.model.Columns[i].Type
	}
	return out
}

func (t *table) appendKey(args []any, key []value.Value) []any {
	for i, k := range t.model.Key {
		args = append(args, encode(t.model.Columns[k].Type, key[i]))
	}
	return args
}

// selectKeys reads n rows by key, each after its number in the list of keys. CROSS
// JOIN keeps SQLite from scanning the table.
func (t *table) selectKeys(n int) string {
	var b strings.Builder
	b.WriteString("SELECT k.column1, " + t.readColumns + " FROM (VALUES ")
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("(" + strconv.Itoa(i) + strings.Repeat(", ?", len(t.model.Key)) + ")")
	}
	b.WriteString(") AS k CROSS JOIN " + quote(t.name) + " AS t ON ")
	for i, k := range t.model.Key {
		if i > 0 {
			b.WriteString(" AND ")
		}
		b.WriteString("t." + quote(t.model.Columns[k].Name) + " = k.column" + strconv.Itoa(i+2))
	}
	return b.String()
}

// write makes the changes of a table. Rows that go, and those whose values in a
// unique index change, are deleted first: so a value may move from one row to another.
func (t *table) write(s *session, changes []rmw.Change) error {
	var gone, rows, unindexed [][]value.Value
	for i := range changes {
		c := &changes[i]
		if c.Was != nil && (c.Now == nil || t.moves(c)) {
			gone = append(gone, c.Key)
		}
		switch {
		case c.Now == nil || c.Was != nil && &c.Was[0] == &c.Now[0]:
		case c.Was != nil && len(t.indexed) > 0 && !differ(c, t.indexed):
			unindexed = append(unindexed, c.Now)
		default:
			rows = append(rows, c.Now)
		}
	}
	if err := inChunks(len(gone), func(from, to int) error { return t.delete(s, gone[from:to]) }); err != nil {
		return err
	}
	if err := inChunks(len(unindexed), func(from, to int) error { return t.insert(s, unindexed[from:to], t.upsertUnindexed) }); err != nil {
		return err
	}
	return inChunks(len(rows), func(from, to int) error { return t.insert(s, rows[from:to], t.upsert) })
}

func (t *table) moves(c *rmw.Change) bool {
	return slices.ContainsFunc(t.uniques, func(u []int) bool { return differ(c, u) })
}

// differ tells whether one of the columns changes.
func differ(c *rmw.Change, columns []int) bool {
	return slices.ContainsFunc(columns, func(col int) bool { return value.Compare(c.Was[col], c.Now[col]) != 0 })
}

func (t *table) deleteKeys(n int) string {
	tuple := "(?" + strings.Repeat(", ?", len(t.model.Key)-1) + ")"
	return "DELETE FROM " + quote(t.name) + " WHERE (" + t.keyColumns + ") IN (VALUES " + tuple + strings.Repeat(","+tuple, n-1) + ")"
}

func (t *table) delete(s *session, keys [][]value.Value) error {
	var args []any
	for _, key := range keys {
		args = t.appendKey(args, key)
	}
	return s.run(t.deleteKeys(len(keys)), args...)
}

func (t *table) insert(s *session, rows [][]value.Value, onConflict string) error {
	tuple := "(?" + strings.Repeat(",?", len(t.model.Columns)-1) + ")"
	args := make([]any, 0, len(rows)*len(t.model.Columns))
	for _, row := range rows {
		for i, v := range row {
			args = append(args, encode(t.model.Columns[i].Type, v))
		}
	}
	return s.run("INSERT INTO "+quote(t.name)+" ("+t.columns+") VALUES "+tuple+strings.Repeat(","+tuple, len(rows)-1)+onConflict, args...)
}
