// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package fold

import (
	"slices"

	"github.com/projectionist-dev/projectionist/contract/value"
)

// Batch folds effects: one mutation per row that they touch, for all models of
// a projection. It is not safe for concurrent use. The zero Batch is not
// usable; see NewBatch.
//
// It keeps the values, conditions and loaders of effects, never their slices of
// keys and changes. Values must not be modified afterwards, nor alias a buffer that is.
type Batch struct {
	tables  []table
	scratch []byte
	bytes   int
	event   uint64
	touched []touch // by the current event, in models with a Finisher
	journal journal
	// expected is scratch of Expect; read is what keeps its reads from being optimised away.
	expected []expected
	read     int
}

// touch is a row that is to be finished.
type touch struct {
	table int
	index int32
}

// NewBatch makes an empty batch for a projection's models, whose order gives
// Effect.Model. The models must not be modified afterwards.
func NewBatch(models []Model) *Batch {
	b := &Batch{tables: make([]table, len(models))}
	for i := range models {
		b.tables[i].init(&models[i])
	}
	return b
}

// Sizes for the estimate of Bytes.
const (
	mutationBytes = 120
	cellBytes     = 90
	slabCells     = 512
	// keepMutations bounds what Reset keeps for reuse in one model.
	keepMutations = 1 << 16
)

// Apply folds in the effects of one event, in order, after what is there: all
// of them or none. It fails with *OverflowError when a change leaves the range of
// its column whatever the row holds (an add after a set, for example); the batch is
// then as it was before, and usable. What depends on the row comes out of
// Mutation.Apply and FanOut.Apply, thus out of the store's commit.
//
// An event that fails here may hide an earlier one that fails at the store:
// commit what the batch holds before the event is blamed.
func (b *Batch) Apply(effects ...Effect) error {
	b.journal, b.touched = b.journal[:0], b.touched[:0]
	b.event++
	before, last := b.bytes, lastFallible(effects)
	for i := range effects {
		var undoable *journal
		if i < last {
			undoable = &b.journal
		}
		if err := b.apply(&effects[i], undoable); err != nil {
			b.undo()
			b.bytes = before
			return err
		}
	}
	if len(b.touched) > 0 {
		b.finish(allTables)
	}
	return nil
}

// Expect reads what the effects, of any number of events, are going to change. In a large batch most rows are in no cache of
// the processor. Apply waits for each part of each row in turn, while reads that do not depend on each other are waited for
// together. It changes nothing.
func (b *Batch) Expect(effects []Effect) {
	b.expected = b.expected[:0]
	for i := range effects {
		e := &effects[i]
		if x := &b.tables[e.Model].index; e.Where == nil && x.rows > 0 {
			hash := hashOf(b.keyOf(e))
			b.expected = append(b.expected, expected{table: int32(e.Model), hash: hash})
			b.read += int(x.slots[x.home(hash)].row)
		}
	}
	for i := range b.expected {
		x := &b.expected[i]
		t := &b.tables[x.table]
		if row := t.index.likely(x.hash); row >= 0 {
			x.mutation = &t.muts[row]
			b.read += len(x.mutation.cells)
		}
	}
	for i := range b.expected {
		m := b.expected[i].mutation
		if m == nil {
			continue
		}
		for j := range min(len(m.key), 1) {
			b.read += int(m.key[j])
		}
		for j := range m.cells {
			b.read += int(m.cells[j].kind)
		}
	}
	clear(b.expected) // what a mutation was must not be kept by it
}

// expected is a row that is likely to be changed; mutation is nil where there is none yet.
type expected struct {
	mutation *mutation
	hash     uint32
	table    int32
}

// keyOf writes the key that rows are found by into the scratch memory.
func (b *Batch) keyOf(e *Effect) []byte {
	b.scratch = b.scratch[:0]
	for _, k := range e.Key {
		b.scratch = value.AppendKey(b.scratch, k)
	}
	return b.scratch
}

// lastFallible is the index of the last effect that can fail.
func lastFallible(effects []Effect) int {
	for i := len(effects) - 1; i > 0; i-- {
		for j := range effects[i].Changes {
			switch effects[i].Changes[j].Op {
			case OpAdd, OpAppend, OpMerge:
				return i
			}
		}
	}
	return 0
}

// apply folds in one effect; when it fails the batch is unchanged.
func (b *Batch) apply(e *Effect, journal *journal) error {
	t := &b.tables[e.Model]
	if e.Where != nil {
		b.fanOut(e, journal)
		return nil
	}
	if len(t.fanOuts) > 0 {
		t.cutOff()
		journal.add(undo{table: e.Model, what: undoCut})
	}
	key := b.keyOf(e)
	hash := hashOf(key)
	i := t.find(hash, key)
	known := i >= 0
	if !known {
		i = t.add(hash, string(key), e.Key)
		b.bytes += mutationBytes + 2*len(b.scratch)
	}
	m := &t.muts[i]
	if journal != nil {
		journal.add(undo{table: e.Model, what: undoMutation, index: i, was: m.copied(), isNew: !known})
	}
	if err := b.fold(t, m, e); err != nil {
		return err
	}
	if t.model.Finish != nil {
		b.touch(touch{e.Model, i}, m)
	}
	return nil
}

func (b *Batch) fold(t *table, m *mutation, e *Effect) error {
	if e.Load != nil {
		s := step{load: e.Load, ignoreAbsent: e.IgnoreAbsent}
		m.push(s)
		b.bytes += s.bytes()
		return nil
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

// fanOut adds an effect on all rows that match.
func (b *Batch) fanOut(e *Effect, journal *journal) {
	if slices.ContainsFunc(e.Where, func(m Match) bool { return m.Value == nil }) {
		return // no row matches a NULL
	}
	b.finish(e.Model)
	t := &b.tables[e.Model]
	f := fanOut{where: slices.Clone(e.Where), step: step{load: e.Load, ignoreAbsent: true}}
	if e.Load == nil {
		single := t.mutationOf(e)
		f.step.blind = &single
	}
	t.fanOuts = append(t.fanOuts, f)
	b.bytes += f.bytes()
	journal.add(undo{table: e.Model, what: undoFanOut})
}

// touch remembers that the row is to be finished when the event ends.
func (b *Batch) touch(at touch, m *mutation) {
	if m.seq == nil {
		m.seq = &sequence{}
	}
	if m.seq.event != b.event {
		m.seq.event = b.event
		b.touched = append(b.touched, at)
	}
}

const allTables = -1

// finish ends the event for the rows of a model that it has touched so far.
func (b *Batch) finish(table int) {
	rest := b.touched[:0]
	for _, at := range b.touched {
		if table != allTables && at.table != table {
			rest = append(rest, at)
			continue
		}
		m := &b.tables[at.table].muts[at.index]
		event := m.seq.event
		m.push(step{})
		m.seq.event = event
		b.bytes += stepBytes
	}
	b.touched = rest
}

// Merge composes another batch of the same models after this one and leaves it
// as it is. It never fails: what overflows for certain comes out of Mutation.Apply.
func (b *Batch) Merge(o *Batch) {
	for ti := range o.tables {
		from := &o.tables[ti]
		for _, t := range from.cut {
			b.merge(&b.tables[ti], t)
		}
		b.merge(&b.tables[ti], from)
	}
	b.event = max(b.event, o.event) // so that no event to come has the number of a merged one
}

func (b *Batch) merge(to, from *table) {
	if len(from.muts) > 0 && len(to.fanOuts) > 0 {
		to.cutOff()
	}
	width := len(to.model.Key)
	for i := range from.muts {
		src := &from.muts[i]
		b.scratch = append(b.scratch[:0], src.key...)
		hash := hashOf(b.scratch)
		j := to.find(hash, b.scratch)
		if j < 0 {
			j = to.add(hash, src.key, from.keys[i*width:(i+1)*width])
			b.bytes += mutationBytes + 2*len(src.key)
		}
		m := &to.muts[j]
		before := m.bytes()
		to.then(m, src)
		b.bytes += m.bytes() - before
	}
	for i := range from.fanOuts {
		to.fanOuts = append(to.fanOuts, from.fanOuts[i])
		b.bytes += from.fanOuts[i].bytes()
	}
}

// Len is the number of rows that the batch touches by key, over all models, and of its fan-outs.
func (b *Batch) Len() int {
	n := 0
	for i := range b.tables {
		t := &b.tables[i]
		n += len(t.muts) + len(t.fanOuts)
		for _, c := range t.cut {
			n += len(c.muts) + len(c.fanOuts)
		}
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
		b.tables[i].reset()
	}
	clear(b.journal[:cap(b.journal)])
	b.journal, b.touched = b.journal[:0], b.touched[:0]
	b.bytes = 0
}
