// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package fold

import (
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/contract/value"
)

// Segment is a part of a batch: rows by key first, then fan-outs in order.
// Stores apply the segments of a batch in order, in one transaction. Effects on
// different models do not wait for each other: what one segment does to a model
// is cut only by fan-outs on that model.
type Segment struct {
	tables []*table // by model; nil where the segment has nothing for it
}

// Segments gives the parts of the batch, at least one. They are valid until the
// batch changes.
func (b *Batch) Segments() []Segment {
	n := 1
	for i := range b.tables {
		n = max(n, len(b.tables[i].cut)+1)
	}
	out := make([]Segment, n)
	for s := range out {
		out[s].tables = make([]*table, len(b.tables))
		for i := range b.tables {
			t := &b.tables[i]
			switch {
			case s < len(t.cut):
				out[s].tables[i] = t.cut[s]
			case s == len(t.cut):
				out[s].tables[i] = t
			}
		}
	}
	return out
}

// Rows gives the mutations of a model that do something, in the order of their
// keys (value.Compare column by column).
func (s Segment) Rows(model int) []Mutation {
	t := s.tables[model]
	if t == nil {
		return nil
	}
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

// FanOuts gives the fan-outs that follow the rows: those of the first model in
// their order, then those of the next.
func (s Segment) FanOuts() []FanOut {
	var out []FanOut
	for i, t := range s.tables {
		if t == nil {
			continue
		}
		for j := range t.fanOuts {
			out = append(out, FanOut{t: t, model: i, f: &t.fanOuts[j]})
		}
	}
	return out
}

// fanOut is a step on all rows that match.
type fanOut struct {
	where []Match
	step  step
}

const fanOutBytes = 200

func (f *fanOut) bytes() int {
	n := fanOutBytes + f.step.bytes()
	for i := range f.where {
		n += sizeOf(f.where[i].Value)
	}
	if f.step.blind != nil {
		n += f.step.blind.bytes()
	}
	return n
}

// FanOut is what one event does to all rows that match. It is a small handle,
// valid until the batch changes.
type FanOut struct {
	t     *table
	model int
	f     *fanOut
}

// Model is the index of the model.
func (f FanOut) Model() int { return f.model }

// Where gives the conditions that a row has to meet, all of them; none has a
// NULL. Values are equal as value.Compare says.
func (f FanOut) Where() []Match { return f.f.where }

// Matches tells whether a row meets the conditions.
func (f FanOut) Matches(row []value.Value) bool { return MatchesAll(f.f.where, row) }

// MatchesAll tells whether a row meets all conditions; a NULL meets none.
func MatchesAll(where []Match, row []value.Value) bool {
	for _, m := range where {
		if row[m.Column] == nil || value.Compare(row[m.Column], m.Value) != 0 {
			return false
		}
	}
	return true
}

// Apply gives the row that the fan-out makes of a row that matches, which it does
// not modify; nil where it deletes it. It fails with *OverflowError or *RowError.
func (f FanOut) Apply(row []value.Value) ([]value.Value, error) {
	r := rowState{t: f.t, row: row}
	if err := r.step(&f.f.step); err != nil {
		return nil, err
	}
	if f.t.model.Finish != nil {
		if err := r.finish(); err != nil {
			return nil, err
		}
	}
	return r.row, nil
}
