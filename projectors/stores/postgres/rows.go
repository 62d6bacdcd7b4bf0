// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"slices"

	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// queueRows queues a batch's statements, segment by segment: first the rows,
// model by model, then the fan-outs. It flushes where rows have to be read first.
func (w *Writer) queueRows(p *pipeline, b *fold.Batch) error {
	segments := b.Segments()
	w.queueOrder(p, segments)
	for _, s := range segments {
		if err := w.queueSegment(p, s); err != nil {
			return err
		}
		for _, f := range s.FanOuts() {
			if err := w.fanOut(p, w.tables[f.Model()], f); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *Writer) queueSegment(p *pipeline, s fold.Segment) error {
	for i, t := range w.tables {
		rows := s.Rows(i)
		if len(rows) == 0 {
			continue
		}
		groups := fold.GroupByShape(rows)
		if needsLock(groups) {
			p.queue(t.sqlLock(w.cfg.Schema), t.keyParams(rows), t.explain(nil))
		}
		loads := false
		for _, g := range groups {
			if t.mustLoad(g.Shape) {
				loads = true
				continue
			}
			sql, params := t.statement(w.cfg.Schema, g)
			p.queue(sql, params, t.explain(addColumns(t, g.Shape)))
		}
		if loads {
			// In key order over all shapes, as rows are.
			rows = slices.DeleteFunc(rows, func(m fold.Mutation) bool { return !t.mustLoad(m.Shape()) })
			if err := w.load(p, t, rows); err != nil {
				return err
			}
		}
	}
	return nil
}

// mustLoad: beside the shapes that no statement can say, those whose adds went
// further than their sum. A statement would have to compare each row's way with
// the column's range; reading the rows costs little more.
func (t *table) mustLoad(s fold.Shape) bool {
	if s.Arms == fold.Load {
		return true
	}
	for i := range t.columns {
		if s.Touch(i) == fold.AddChecked {
			return true
		}
	}
	return false
}

// needsLock is false where one statement takes all locks itself, in key order.
func needsLock(groups []fold.Group) bool {
	if len(groups) > 1 {
		return true
	}
	switch groups[0].Shape.Arms {
	case fold.Delete, fold.Update:
		return true
	default:
		return false
	}
}

func (t *table) statement(schema string, g fold.Group) (sql string, params [][]byte) {
	switch g.Shape.Arms {
	case fold.Delete:
		return t.sqlDelete(schema), t.keyParams(g.Rows)
	case fold.Update:
		cols := t.touched(g.Shape)
		params := t.keyParams(g.Rows)
		for _, c := range cols {
			params = append(params, t.columns[c].encode(len(g.Rows), func(i int) value.Value { return g.Rows[i].Operand(c) }))
		}
		return t.sqlUpdate(schema, g.Shape), params
	case fold.Replace:
		return t.sqlReplace(schema), t.insertedParams(t.allColumns(), g.Rows)
	default:
		return t.sqlUpsert(schema, g.Shape), t.insertedParams(t.upsertColumns(g.Shape), g.Rows)
	}
}

func (t *table) keyParams(rows []fold.Mutation) [][]byte {
	out := make([][]byte, len(t.key))
	for k, col := range t.key {
		out[k] = t.columns[col].encode(len(rows), func(i int) value.Value { return rows[i].Key()[k] })
	}
	return out
}

func (t *table) insertedParams(cols []int, rows []fold.Mutation) [][]byte {
	out := make([][]byte, len(cols))
	for k, col := range cols {
		out[k] = t.columns[col].encode(len(rows), func(i int) value.Value { return rows[i].Inserted(col) })
	}
	return out
}

// load reads rows locked, folds in memory, and queues what comes out.
func (w *Writer) load(p *pipeline, t *table, rows []fold.Mutation) error {
	present := make(map[string][]value.Value, len(rows))
	p.steps = append(p.steps, step{
		sql: t.sqlLoad(w.cfg.Schema), params: t.keyParams(rows), explain: t.explain(nil),
		row: func(values [][]byte) error {
			row, err := t.decodeRow(values)
			if err == nil {
				present[t.keyOf(row)] = row
			}
			return err
		},
	})
	if err := p.flush(); err != nil {
		return err
	}
	var out changes
	for _, m := range rows {
		was := present[string(appendKey(nil, m.Key()))]
		row, err := m.Apply(was)
		if err != nil {
			return stores.Applied(err)
		}
		out.add(was, row)
	}
	t.queueChanges(p, w.cfg.Schema, &out)
	return nil
}

// decodeRow gives a row of read.
func (t *table) decodeRow(values [][]byte) ([]value.Value, error) {
	row := make([]value.Value, len(t.columns))
	if len(values) != len(row) {
		return nil, errWire
	}
	for i, b := range values {
		var err error
		if row[i], err = decodeValue(t.columns[i].typ, b); err != nil {
			return nil, err
		}
	}
	return row, nil
}

// changes are whole rows to write, each list in key order.
type changes struct{ created, changed, deleted [][]value.Value }

// add takes a row as it was and as it is to be; nil is no row. What stays as it is, is not written.
func (c *changes) add(was, row []value.Value) {
	switch {
	case row == nil && was != nil:
		c.deleted = append(c.deleted, was)
	case row != nil && was == nil:
		c.created = append(c.created, row)
	case row != nil && slices.CompareFunc(was, row, value.Compare) != 0:
		c.changed = append(c.changed, row)
	}
}

func (t *table) queueChanges(p *pipeline, schema string, c *changes) {
	all := t.allColumns()
	if len(c.deleted) > 0 {
		p.queue(t.sqlDelete(schema), t.rowParams(t.key, c.deleted), t.explain(nil))
	}
	if len(c.changed) > 0 {
		p.queue(t.sqlWriteBack(schema), t.rowParams(all, c.changed), t.explain(nil))
	}
	if len(c.created) > 0 {
		p.queue(t.sqlCreate(schema), append(t.rowParams(all, c.created), int64Param(int64(len(c.created)))), func(err error) error {
			if _, code := sqlState(err); code == stateDivisionByZero {
				return errAppeared
			}
			return t.explain(nil)(err)
		})
	}
}

func (t *table) rowParams(cols []int, rows [][]value.Value) [][]byte {
	out := make([][]byte, len(cols))
	for k, col := range cols {
		out[k] = t.columns[col].encode(len(rows), func(i int) value.Value { return rows[i][col] })
	}
	return out
}

func (t *table) keyOf(row []value.Value) string {
	var b []byte
	for _, k := range t.key {
		b = value.AppendKey(b, row[k])
	}
	return string(b)
}

func appendKey(b []byte, key []value.Value) []byte {
	for _, v := range key {
		b = value.AppendKey(b, v)
	}
	return b
}
