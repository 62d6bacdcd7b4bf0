// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// fanOutChunk is how many rows of a fan-out are in memory at a time.
const fanOutChunk = 1_000

// fanOut reads the rows that match, locked and in the order of their keys, folds
// them in memory and queues what comes out. A row is read once, whatever becomes of the
// columns that it was found by: each chunk begins after the last key of the one before.
func (w *Writer) fanOut(p *pipeline, t *table, f fold.FanOut) error {
	var cols []int
	var where [][]byte
	for _, m := range f.Where() {
		cols = append(cols, m.Column)
		where = append(where, t.columns[m.Column].scalarParam(m.Value))
	}
	var last []value.Value
	for touched := 0; ; {
		params := append([][]byte{}, where...)
		if last != nil {
			for _, k := range t.key {
				params = append(params, t.columns[k].scalarParam(last[k]))
			}
		}
		var rows [][]value.Value
		p.steps = append(p.steps, step{
			sql: t.sqlMatch(w.cfg.Schema, cols, last != nil), params: append(params, int64Param(fanOutChunk)), explain: t.explain(nil),
			row: func(values [][]byte) error {
				row, err := t.decodeRow(values)
				rows = append(rows, row)
				return err
			},
		})
		if err := p.flush(); err != nil {
			return err
		}
		if touched += len(rows); touched > stores.MaxFanOutRows {
			return stores.FanOutTooLarge(t.model)
		}
		var out changes
		for _, was := range rows {
			row, err := f.Apply(was)
			if err != nil {
				return stores.Applied(err)
			}
			out.add(was, row)
		}
		w.queueChanges(p, t, &out)
		if len(rows) < fanOutChunk {
			return nil
		}
		last = rows[len(rows)-1]
	}
}

// scalarParam is one value of the column in the form that scalar names.
func (c column) scalarParam(v value.Value) []byte {
	if v == nil {
		return nil
	}
	return appendValue([]byte{}, c.typ, v)
}
