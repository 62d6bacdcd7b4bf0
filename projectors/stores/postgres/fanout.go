// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// fanOutChunk is how many rows of a fan-out are in memory at a time.
const fanOutChunk = 5_000

// The locks of fan-outs: rows of a later segment may come before those of an
// earlier one in the order of keys, in which all other commits lock them. So a commit with
// fan-outs excludes the others of its revision, where a handler has any; without this they
// would end each other's transactions as deadlocks, a second for each.
const (
	sqlAlone    = "SELECT pg_catalog.pg_advisory_xact_lock($1::bigint)"
	sqlTogether = "SELECT pg_catalog.pg_advisory_xact_lock_shared($1::bigint)"
)

// fanOutKey names the lock of a revision; nil where no handler fans out. Two
// revisions with one key would only wait for each other.
func fanOutKey(schema string, c *contract.Contract, tables []*table) *int64 {
	if !slices.ContainsFunc(c.Models, func(m contract.Model) bool {
		return slices.ContainsFunc(m.Handlers, func(h contract.Handler) bool { return len(h.Where) > 0 })
	}) {
		return nil
	}
	sum := sha256.Sum256([]byte(quote(schema, tables[0].name)))
	key := int64(binary.BigEndian.Uint64(sum[:8]))
	return &key
}

// queueOrder takes the lock of fan-outs, after those of positions and before those of rows.
func (w *Writer) queueOrder(p *pipeline, segments []fold.Segment) {
	if w.fanOutKey == nil {
		return
	}
	sql := sqlTogether
	if slices.ContainsFunc(segments, func(s fold.Segment) bool { return len(s.FanOuts()) > 0 }) {
		sql = sqlAlone
	}
	p.queue(sql, [][]byte{int64Param(*w.fanOutKey)}, nil)
}

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
		t.queueChanges(p, w.cfg.Schema, &out)
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
