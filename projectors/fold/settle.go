// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package fold

import (
	"slices"

	"github.com/projectionist-dev/projectionist/contract/value"
)

// Settle takes the tables for empty, and replaces each mutation that keeps
// more than its outcome by the row that it makes where there is none. What the
// batch holds then grows with the rows and no longer with the events. Effects may be
// applied on top; the batch must have no fan-outs.
//
// It fails as Mutation.Apply does, and the batch is not to be used afterwards.
func (b *Batch) Settle() error {
	for i := range b.tables {
		t := &b.tables[i]
		for j := range t.muts {
			m := &t.muts[j]
			if !m.unsettled() {
				continue
			}
			row, err := Mutation{t: t, m: m, key: t.keyOf(j)}.Apply(nil)
			if err != nil {
				return err
			}
			b.bytes -= m.held()
			t.settle(m, row)
			b.bytes += m.held()
		}
	}
	return nil
}

// unsettled tells whether the mutation keeps what each event did.
func (m *mutation) unsettled() bool {
	return m.seq != nil || m.rare != nil || slices.ContainsFunc(m.cells, func(c cell) bool { return len(c.items) > 0 || c.kind == cellRare })
}

// held is bytes with that of the steps, as Batch.Bytes has counted them.
func (m *mutation) held() int {
	n := m.bytes()
	if m.seq == nil {
		return n
	}
	for i := range m.seq.steps {
		if blind := m.seq.steps[i].blind; blind != nil {
			n += blind.bytes()
		} else {
			n += m.seq.steps[i].bytes()
		}
	}
	return n
}

// settle makes m the mutation that leaves row where there was none; nil is no row.
func (t *table) settle(m *mutation, row []value.Value) {
	*m = mutation{key: m.key}
	if row == nil {
		return
	}
	m.base, m.absent = fresh, same
	m.cells = make([]cell, 0, len(t.columns)-len(t.model.Key))
	for i := range t.columns {
		if !slices.Contains(t.model.Key, i) {
			m.cells = append(m.cells, cell{kind: cellSet, col: uint16(i), val: row[i]})
		}
	}
}

// Put folds in a whole row of a model, as a table that was settled has it: no
// rule is tested and nothing is finished. There must be nothing by its key yet.
func (b *Batch) Put(model int, row []value.Value) {
	t := &b.tables[model]
	key := make([]value.Value, len(t.model.Key))
	b.scratch = b.scratch[:0]
	for i, c := range t.model.Key {
		key[i] = row[c]
		b.scratch = value.AppendKey(b.scratch, row[c])
	}
	m := &t.muts[t.add(hashOf(b.scratch), string(b.scratch), key)]
	t.settle(m, row)
	b.bytes += mutationBytes + 2*len(b.scratch) + m.bytes()
}
