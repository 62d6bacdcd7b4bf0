// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package naive

import (
	"slices"

	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
)

// State is the rows of all models of a projection.
type State struct {
	models []fold.Model
	rows   []map[string][]value.Value
}

// New makes a state without rows.
func New(models []fold.Model) *State {
	s := &State{models: models, rows: make([]map[string][]value.Value, len(models))}
	for i := range s.rows {
		s.rows[i] = map[string][]value.Value{}
	}
	return s
}

// Clone gives a copy that changes on its own.
func (s *State) Clone() *State {
	out := New(s.models)
	for i := range s.rows {
		for k, row := range s.rows[i] {
			out.rows[i][k] = slices.Clone(row)
		}
	}
	return out
}

// Put sets a row, which holds a value for each column of the model.
func (s *State) Put(model int, row []value.Value) {
	key := make([]value.Value, 0, len(s.models[model].Key))
	for _, c := range s.models[model].Key {
		key = append(key, row[c])
	}
	s.rows[model][Key(key)] = slices.Clone(row)
}

// Key is the map key of a row.
func Key(key []value.Value) string {
	var b []byte
	for _, k := range key {
		b = value.AppendKey(b, k)
	}
	return string(b)
}

// Rows gives a model's rows in key order.
func (s *State) Rows(model int) [][]value.Value {
	keys := make([]string, 0, len(s.rows[model]))
	for k := range s.rows[model] {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	out := make([][]value.Value, 0, len(keys))
	for _, k := range keys {
		out = append(out, slices.Clone(s.rows[model][k]))
	}
	return out
}

// Apply applies the effects of one event in order, all or none. It fails with
// *fold.OverflowError.
func (s *State) Apply(effects ...fold.Effect) error {
	before := map[int]map[string][]value.Value{}
	for i := range effects {
		e := &effects[i]
		k := Key(e.Key)
		if before[e.Model] == nil {
			before[e.Model] = map[string][]value.Value{}
		}
		if _, saved := before[e.Model][k]; !saved {
			before[e.Model][k] = s.rows[e.Model][k]
		}
		row, err := s.effect(e, s.rows[e.Model][k])
		if err != nil {
			for model, rows := range before {
				for k, row := range rows {
					s.set(model, k, row)
				}
			}
			return err
		}
		s.set(e.Model, k, row)
	}
	return nil
}

func (s *State) set(model int, k string, row []value.Value) {
	if row == nil {
		delete(s.rows[model], k)
		return
	}
	s.rows[model][k] = row
}

// effect gives the new row; nil is no row.
func (s *State) effect(e *fold.Effect, old []value.Value) ([]value.Value, error) {
	m := &s.models[e.Model]
	if e.Delete {
		return nil, nil
	}
	if old == nil {
		if e.IgnoreAbsent {
			return nil, nil
		}
		for i := range m.Columns {
			old = append(old, m.Columns[i].Default)
		}
		for i, c := range m.Key {
			old[c] = e.Key[i]
		}
	}
	row := slices.Clone(old)
	for _, ch := range e.Changes {
		x := row[ch.Column]
		switch {
		case ch.Op == fold.OpSet:
			row[ch.Column] = ch.Operand
		case ch.Operand == nil:
		case ch.Op == fold.OpAdd:
			v, err := m.Columns[ch.Column].Type.Add(x, ch.Operand)
			if err != nil {
				return nil, &fold.OverflowError{Model: m.Name, Column: m.Columns[ch.Column].Name}
			}
			row[ch.Column] = v
		case ch.Op == fold.OpMax:
			if x == nil || value.Compare(x, ch.Operand) < 0 {
				row[ch.Column] = ch.Operand
			}
		case ch.Op == fold.OpAppend:
			list, _ := x.([]value.Value)
			row[ch.Column] = append(slices.Clone(list), ch.Operand)
		}
	}
	return row, nil
}
