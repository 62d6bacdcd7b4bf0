// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"errors"
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// queueRows queues a batch's statements, model by model. It flushes where rows
// have to be read first.
func (w *Writer) queueRows(p *pipeline, b *fold.Batch) error {
	for i, t := range w.tables {
		rows := b.Rows(i)
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
			params = append(params, encodeArray(t.columns[c].typ, len(g.Rows), func(i int) value.Value { return g.Rows[i].Operand(c) }))
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
		out[k] = encodeArray(t.columns[col].typ, len(rows), func(i int) value.Value { return rows[i].Key()[k] })
	}
	return out
}

func (t *table) insertedParams(cols []int, rows []fold.Mutation) [][]byte {
	out := make([][]byte, len(cols))
	for k, col := range cols {
		out[k] = encodeArray(t.columns[col].typ, len(rows), func(i int) value.Value { return rows[i].Inserted(col) })
	}
	return out
}

// load reads rows locked, folds in memory, and queues what comes out.
func (w *Writer) load(p *pipeline, t *table, rows []fold.Mutation) error {
	present := make(map[string][]value.Value, len(rows))
	p.steps = append(p.steps, step{
		sql: t.sqlLoad(w.cfg.Schema), params: t.keyParams(rows), explain: t.explain(nil),
		row: func(values [][]byte) error {
			row := make([]value.Value, len(t.columns))
			if len(values) != len(row) {
				return errWire
			}
			for i, b := range values {
				var err error
				if row[i], err = decodeValue(t.columns[i].typ, b); err != nil {
					return err
				}
			}
			present[t.keyOf(row)] = row
			return nil
		},
	})
	if err := p.flush(); err != nil {
		return err
	}
	var created, changed, deleted [][]value.Value
	for _, m := range rows {
		was := present[string(appendKey(nil, m.Key()))]
		row, err := m.Apply(was)
		var overflow *fold.OverflowError
		if errors.As(err, &overflow) {
			return &stores.DataError{Model: t.model, Column: overflow.Column, Reason: reasonOutOfRange, Message: "an add leaves the range of the column's type"}
		}
		switch {
		case err != nil:
			return err
		case row == nil && was != nil:
			deleted = append(deleted, was)
		case row != nil && was == nil:
			created = append(created, row)
		case row != nil:
			changed = append(changed, row)
		}
	}
	all := t.allColumns()
	if len(deleted) > 0 {
		p.queue(t.sqlDelete(w.cfg.Schema), t.rowParams(t.key, deleted), t.explain(nil))
	}
	if len(changed) > 0 && len(t.key) < len(t.columns) {
		p.queue(t.sqlWriteBack(w.cfg.Schema), t.rowParams(all, changed), t.explain(nil))
	}
	if len(created) > 0 {
		p.queue(t.sqlCreate(w.cfg.Schema), append(t.rowParams(all, created), int64Param(int64(len(created)))), func(err error) error {
			if _, code := sqlState(err); code == stateDivisionByZero {
				return errAppeared
			}
			return t.explain(nil)(err)
		})
	}
	return nil
}

func (t *table) rowParams(cols []int, rows [][]value.Value) [][]byte {
	out := make([][]byte, len(cols))
	for k, col := range cols {
		out[k] = encodeArray(t.columns[col].typ, len(rows), func(i int) value.Value { return rows[i][col] })
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

// Reasons of a *stores.DataError.
const (
	reasonOutOfRange = "OutOfRange"
	reasonConstraint = "ConstraintViolation"
)

// addColumns are the columns in which a statement of the shape can overflow:
// every other operand was checked against its type before it came here.
func addColumns(t *table, s fold.Shape) []string {
	var out []string
	for i, c := range t.columns {
		if s.Touch(i) == fold.Add {
			out = append(out, c.name)
		}
	}
	return out
}

// explain turns an error of one of the table's statements into a *stores.DataError
// where the rows are to blame. Of the server's message nothing is kept: it may show a value.
func (t *table) explain(adds []string) func(error) error {
	return func(err error) error {
		pe, code := sqlState(err)
		if pe == nil || !isData(err) {
			return err
		}
		out := &stores.DataError{Model: t.model, Column: pe.ColumnName, Reason: reasonConstraint}
		switch {
		case strings.HasPrefix(code, "22"):
			out.Reason, out.Message = reasonOutOfRange, "the server refuses a value (SQLSTATE "+code+")"
			if code == "22003" {
				out.Message = "a number leaves the range of the column's type"
				if out.Column == "" && len(adds) == 1 {
					out.Column = adds[0]
				}
			}
		case code == stateLimitExceeded:
			out.Reason = reasonOutOfRange
			out.Message = "a value is too large for the database: an indexed text takes some 2,700 bytes, an array 1 GB"
		case code == stateNotNullViolation:
			out.Message = "a value is missing in a column that must not be NULL"
		case pe.ConstraintName != "":
			out.Message = "constraint " + quote(pe.ConstraintName) + " does not hold (SQLSTATE " + code + ")"
		default:
			out.Message = "a constraint does not hold (SQLSTATE " + code + ")"
		}
		return out
	}
}
