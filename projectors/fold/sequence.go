// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package fold

import (
	"slices"

	"github.com/projectionist-dev/projectionist/contract/value"
)

// sequence is what happens to a row before the rest of its mutation, where it
// cannot be composed: effects that read the row, and ends of events at which the
// model's Finisher runs. Steps are only ever appended, so that copies of a
// sequence may share them.
type sequence struct {
	steps []step
	event uint64 // the last event that touched the row, in models with a Finisher
}

// step is one of three: blind effects composed, a loading effect, the end of an event.
type step struct {
	blind        *mutation
	load         Loader
	ignoreAbsent bool
}

func (s *sequence) copied() *sequence {
	if s == nil {
		return nil
	}
	return &sequence{steps: slices.Clip(s.steps), event: s.event}
}

func (s *sequence) followedBy(o *sequence) *sequence {
	return &sequence{steps: append(s.steps, o.steps...), event: o.event}
}

// closed gives the steps of m with all that it does after them as another one.
// m is not to be used afterwards, but for its key.
func (m *mutation) closed() *sequence {
	seq := m.seq
	if seq == nil {
		seq = &sequence{}
	}
	if !m.idle() {
		seq.steps = append(seq.steps, step{blind: &mutation{cells: m.cells, rare: m.rare, base: m.base, absent: m.absent}})
	}
	return seq
}

// push adds a step after all that m does.
func (m *mutation) push(s step) {
	seq := m.closed()
	seq.steps = append(seq.steps, s)
	*m = mutation{key: m.key, seq: seq}
}

const stepBytes = 160

func (s *step) bytes() int {
	n := stepBytes
	if s.load != nil {
		n += s.load.Bytes()
	}
	return n
}

// rowState is a row on its way through a mutation; nil is none.
type rowState struct {
	t     *table
	key   []value.Value
	row   []value.Value
	owned bool // whether row may be modified
}

// own makes the row one that may be modified, of defaults where there is none.
func (r *rowState) own() {
	if r.owned && r.row != nil {
		return
	}
	if r.row != nil {
		r.row = slices.Clone(r.row)
	} else {
		r.row = make([]value.Value, len(r.t.columns))
		for i := range r.row {
			r.row[i] = r.t.columns[i].Default
		}
		for i, c := range r.t.model.Key {
			r.row[c] = r.key[i]
		}
	}
	r.owned = true
}

func (r *rowState) mutate(m *mutation) error {
	if m.seq != nil {
		for i := range m.seq.steps {
			if err := r.step(&m.seq.steps[i]); err != nil {
				return err
			}
		}
	}
	return r.blind(m)
}

func (r *rowState) step(s *step) error {
	switch {
	case s.blind != nil:
		return r.blind(s.blind)
	case s.load != nil:
		return r.load(s.load, s.ignoreAbsent)
	default:
		return r.finish()
	}
}

// blind applies what a mutation does after its steps.
func (r *rowState) blind(m *mutation) error {
	a := m.arm()
	if r.row == nil {
		a = r.t.absentArm(m)
	} else if m.rare != nil {
		for i := range m.rare.guards {
			g := &m.rare.guards[i]
			if _, ok := g.on(&r.t.columns[g.col], r.row[g.col]); !ok {
				return r.t.overflow(int(g.col))
			}
		}
	}
	switch a.base {
	case failed:
		return r.t.overflow(a.col)
	case gone:
		r.row = nil
		return nil
	case fresh:
		r.row = nil
	}
	if r.row == nil && a.base == own {
		return nil
	}
	r.own()
	for i := range a.cells {
		c := &a.cells[i]
		v, ok := c.on(&r.t.columns[c.col], r.row[c.col])
		if !ok {
			return r.t.overflow(int(c.col))
		}
		r.row[c.col] = v
	}
	return nil
}

func (r *rowState) load(l Loader, ignoreAbsent bool) error {
	if r.row == nil && ignoreAbsent {
		return nil
	}
	s, err := l.Load(r.row)
	switch {
	case err != nil:
		return err
	case s.Skip:
		return nil
	case s.Delete:
		r.row = nil
		return nil
	}
	r.own()
	for i := range s.Changes {
		ch := &s.Changes[i]
		k := &r.t.columns[ch.Column]
		c, does := changeCell(k, ch)
		if !does {
			continue
		}
		v, ok := c.on(k, r.row[ch.Column])
		if !ok {
			return r.t.overflow(ch.Column)
		}
		r.row[ch.Column] = v
	}
	return nil
}

func (r *rowState) finish() error {
	if r.row == nil {
		return nil
	}
	r.own()
	row, err := r.t.model.Finish.Finish(r.row)
	if err != nil {
		return err
	}
	r.row = row
	return nil
}

// Apply gives the row that the mutation makes of row, which it does not
// modify. Rows hold a value for each column of the model; nil is an absent row.
// It fails with *OverflowError when a value has left its column's range on the
// way, and with the *RowError of a Loader or Finisher.
func (u Mutation) Apply(row []value.Value) ([]value.Value, error) {
	r := rowState{t: u.t, key: u.key, row: row}
	if err := r.mutate(u.m); err != nil {
		return nil, err
	}
	return r.row, nil
}
