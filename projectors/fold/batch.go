// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package fold

import (
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/contract/value"
)

// Batch folds effects: one mutation per row that they touch, for all models of
// a projection. It is not safe for concurrent use. The zero Batch is not
// usable; see NewBatch.
//
// It keeps the values of effects, never their slices. Values must not be
// modified afterwards, nor alias a buffer that is.
type Batch struct {
	tables  []table
	scratch []byte
	bytes   int
	journal []undo
}

// table holds the mutations of one model.
type table struct {
	model   *Model
	numeric []*numeric // by column; nil where add does not work
	index   map[string]int32
	muts    []mutation
	keys    []value.Value // len(model.Key) for each mutation
	slab    []cell        // where new cells are cut from
	shapes  map[string]string
}

// undo is what a mutation was before an effect of an event of several effects.
type undo struct {
	table int
	index int32
	was   mutation
	isNew bool
}

// NewBatch makes an empty batch for a projection's models, whose order gives
// Effect.Model. The models must not be modified afterwards.
func NewBatch(models []Model) *Batch {
	b := &Batch{tables: make([]table, len(models))}
	for i := range models {
		t := &b.tables[i]
		t.model = &models[i]
		t.index = make(map[string]int32)
		t.numeric = make([]*numeric, len(models[i].Columns))
		for c := range t.numeric {
			t.numeric[c] = newNumeric(models[i].Columns[c].Type)
		}
	}
	return b
}

// Sizes for the estimate of Bytes.
const (
	mutationBytes = 120
	cellBytes     = 80
	slabCells     = 512
	// keepMutations bounds what Reset keeps for reuse in one model.
	keepMutations = 1 << 16
)

// Apply folds in the effects of one event, in order, after what is there: all
// of them or none. It fails with *OverflowError when an effect's add leaves the
// range of its column whatever the row holds (after a set, for example); the
// batch is then as it was before, and usable. Overflows that depend on the row
// come out of Mutation.Apply, thus out of the store's commit.
//
// An event that fails here may hide an earlier one that fails at the store:
// commit what the batch holds before the event is blamed.
func (b *Batch) Apply(effects ...Effect) error {
	b.journal = b.journal[:0]
	before, last := b.bytes, lastFallible(effects)
	for i := range effects {
		var journal *[]undo
		if i < last {
			journal = &b.journal
		}
		if err := b.apply(&effects[i], journal); err != nil {
			b.undo()
			b.bytes = before
			return err
		}
	}
	return nil
}

// lastFallible is the index of the last effect that can fail: only adds can.
func lastFallible(effects []Effect) int {
	for i := len(effects) - 1; i > 0; i-- {
		for j := range effects[i].Changes {
			if effects[i].Changes[j].Op == OpAdd {
				return i
			}
		}
	}
	return 0
}

func (b *Batch) undo() {
	for _, u := range slices.Backward(b.journal) {
		t := &b.tables[u.table]
		t.muts[u.index] = u.was
		if u.isNew {
			t.removeLast()
		}
	}
}

func (t *table) removeLast() {
	last := len(t.muts) - 1
	delete(t.index, t.muts[last].key)
	t.muts[last] = mutation{}
	t.muts = t.muts[:last]
	t.keys = t.keys[:last*len(t.model.Key)]
}

// apply folds in one effect; when it fails the batch is unchanged.
func (b *Batch) apply(e *Effect, journal *[]undo) error {
	t := &b.tables[e.Model]
	b.scratch = b.scratch[:0]
	for _, k := range e.Key {
		b.scratch = value.AppendKey(b.scratch, k)
	}
	i, known := t.index[string(b.scratch)]
	if !known {
		i = t.add(string(b.scratch), e.Key)
		b.bytes += mutationBytes + 2*len(b.scratch)
	}
	m := &t.muts[i]
	if journal != nil {
		*journal = append(*journal, undo{table: e.Model, index: i, was: m.copied(), isNew: !known})
	}
	if grown, ok := t.applyFast(m, e); ok {
		b.bytes += grown
		return nil
	}
	next := m.copied()
	single := t.mutationOf(e)
	t.then(&next, &single)
	if col, bad := next.bothFail(); bad {
		if _, before := m.bothFail(); !before {
			return t.overflow(col) // not a new row: from the identity no effect fails for certain
		}
	}
	b.bytes += next.bytes() - m.bytes()
	*m = next
	return nil
}

// add makes an identity mutation. The key's string is copied by the caller.
func (t *table) add(key string, values []value.Value) int32 {
	i := int32(len(t.muts))
	t.muts = append(t.muts, mutation{key: key})
	t.keys = append(t.keys, values...)
	t.index[key] = i
	return i
}

// mutationOf is the normal form of one effect.
func (t *table) mutationOf(e *Effect) mutation {
	if e.Delete {
		return mutation{base: gone, absent: same}
	}
	m := mutation{base: own, absent: same}
	if e.IgnoreAbsent {
		m.absent = stays
	}
	for i := range e.Changes {
		if c, ok := changeCell(t.numeric[e.Changes[i].Column], &e.Changes[i]); ok {
			m.cells = append(m.cells, c)
		}
	}
	return m
}

// Merge composes another batch of the same models after this one and leaves it
// as it is. It never fails: what overflows for certain comes out of Mutation.Apply.
func (b *Batch) Merge(o *Batch) {
	for ti := range o.tables {
		from, to := &o.tables[ti], &b.tables[ti]
		width := len(to.model.Key)
		for i := range from.muts {
			src := &from.muts[i]
			j, known := to.index[src.key]
			if !known {
				j = to.add(src.key, from.keys[i*width:(i+1)*width])
				b.bytes += mutationBytes + 2*len(src.key)
			}
			m := &to.muts[j]
			before := m.bytes()
			to.then(m, src)
			b.bytes += m.bytes() - before
		}
	}
}

// Len is the number of rows that the batch touches, over all models.
func (b *Batch) Len() int {
	n := 0
	for i := range b.tables {
		n += len(b.tables[i].muts)
	}
	return n
}

// Bytes estimates the memory that the batch holds.
func (b *Batch) Bytes() int { return b.bytes }

// Models are the models that the batch was made for.
func (b *Batch) Models() []Model {
	out := make([]Model, len(b.tables))
	for i := range b.tables {
		out[i] = *b.tables[i].model
	}
	return out
}

// Reset empties the batch and keeps its memory for reuse. Mutations got from
// it are invalid afterwards.
func (b *Batch) Reset() {
	for i := range b.tables {
		t := &b.tables[i]
		t.slab = nil
		if len(t.muts) > keepMutations {
			t.index, t.muts, t.keys = make(map[string]int32), nil, nil
			continue
		}
		clear(t.index)
		clear(t.muts)
		clear(t.keys)
		t.muts, t.keys = t.muts[:0], t.keys[:0]
	}
	clear(b.journal[:cap(b.journal)])
	b.journal = b.journal[:0]
	b.bytes = 0
}

// Rows gives the mutations of a model that do something, in the order of their
// keys (value.Compare column by column). They are valid until the batch changes.
func (b *Batch) Rows(model int) []Mutation {
	t := &b.tables[model]
	out := make([]Mutation, 0, len(t.muts))
	for i := range t.muts {
		if !t.muts[i].identity() {
			out = append(out, Mutation{t: t, m: &t.muts[i], key: t.keyOf(i)})
		}
	}
	// AppendKey keeps the order of Compare.
	slices.SortFunc(out, func(x, y Mutation) int { return strings.Compare(x.m.key, y.m.key) })
	return out
}

func (t *table) keyOf(i int) []value.Value {
	w := len(t.model.Key)
	return t.keys[i*w : (i+1)*w : (i+1)*w]
}

func (m *mutation) bytes() int {
	n := 0
	for i := range m.cells {
		n += cellBytes + sizeOf(m.cells[i].val) + sizeOf(m.cells[i].items)
	}
	if m.rare != nil {
		n += cellBytes * (2 + len(m.rare.guards) + len(m.rare.absent.cells))
	}
	return n
}

func sizeOf(v value.Value) int {
	switch x := v.(type) {
	case string:
		return len(x)
	case value.JSON:
		return len(x)
	case []byte:
		return len(x)
	case []value.Value:
		n := 0
		for _, e := range x {
			n += 24 + sizeOf(e)
		}
		return n
	default:
		return 8
	}
}
