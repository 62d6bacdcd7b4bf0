// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package naive

import (
	"iter"
	"maps"
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

// Len is the number of a model's rows.
func (s *State) Len(model int) int { return len(s.rows[model]) }

// All gives a model's rows by Key, in no order. They must not be modified, and
// the state must not change while it is ranged over.
func (s *State) All(model int) iter.Seq2[string, []value.Value] { return maps.All(s.rows[model]) }

// Apply applies the effects of one event in order, all or none. It fails with
// *fold.OverflowError or *fold.RowError.
func (s *State) Apply(effects ...fold.Effect) error {
	e := &event{State: s, before: make([]map[string][]value.Value, len(s.models)), open: make([]map[string]bool, len(s.models))}
	if err := e.apply(effects); err != nil {
		for model, rows := range e.before {
			for k, row := range rows {
				s.set(model, k, row)
			}
		}
		return err
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

// event is an event under way.
type event struct {
	*State
	before []map[string][]value.Value // by model and key, the rows that were written; nil was absent
	open   []map[string]bool          // rows that are to be finished
}

func (e *event) apply(effects []fold.Effect) error {
	for i := range effects {
		f := &effects[i]
		if f.Where == nil {
			k := Key(f.Key)
			if err := e.one(f, k, f.Key); err != nil {
				return err
			}
			continue
		}
		if slices.ContainsFunc(f.Where, func(m fold.Match) bool { return m.Value == nil }) {
			continue
		}
		if err := e.finish(f.Model); err != nil {
			return err
		}
		for _, k := range e.matching(f) {
			if err := e.one(f, k, e.keyOf(f.Model, e.rows[f.Model][k])); err != nil {
				return err
			}
		}
		if err := e.finish(f.Model); err != nil {
			return err
		}
	}
	for model := range e.models {
		if err := e.finish(model); err != nil {
			return err
		}
	}
	return nil
}

func (s *State) keyOf(model int, row []value.Value) []value.Value {
	var key []value.Value
	for _, c := range s.models[model].Key {
		key = append(key, row[c])
	}
	return key
}

// matching gives the keys of the rows that a fan-out touches, in order.
func (s *State) matching(f *fold.Effect) []string {
	var out []string
	for k, row := range s.rows[f.Model] {
		if matches(f, row) {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

func matches(f *fold.Effect, row []value.Value) bool {
	for _, m := range f.Where {
		if row[m.Column] == nil || value.Compare(row[m.Column], m.Value) != 0 {
			return false
		}
	}
	return true
}

func (e *event) one(f *fold.Effect, k string, key []value.Value) error {
	row, err := e.effect(f, key, e.rows[f.Model][k])
	if err != nil {
		return err
	}
	e.write(f.Model, k, row)
	if e.open[f.Model] == nil {
		e.open[f.Model] = map[string]bool{}
	}
	e.open[f.Model][k] = true
	return nil
}

func (e *event) write(model int, k string, row []value.Value) {
	if e.before[model] == nil {
		e.before[model] = map[string][]value.Value{}
	}
	if _, saved := e.before[model][k]; !saved {
		e.before[model][k] = e.rows[model][k]
	}
	e.set(model, k, row)
}

// finish calls the model's Finisher on the rows touched since it was last called.
func (e *event) finish(model int) error {
	m := &e.models[model]
	for k := range e.open[model] {
		row := e.rows[model][k]
		if m.Finish == nil || row == nil {
			continue
		}
		row, err := m.Finish.Finish(slices.Clone(row))
		if err != nil {
			return err
		}
		e.write(model, k, row)
	}
	clear(e.open[model])
	return nil
}

// effect gives the new row; nil is no row.
func (s *State) effect(e *fold.Effect, key, old []value.Value) ([]value.Value, error) {
	m := &s.models[e.Model]
	if e.Delete {
		return nil, nil
	}
	if old == nil && e.IgnoreAbsent {
		return nil, nil
	}
	changes := e.Changes
	if e.Load != nil {
		step, err := e.Load.Load(slices.Clone(old))
		switch {
		case err != nil:
			return nil, err
		case step.Skip:
			return old, nil
		case step.Delete:
			return nil, nil
		}
		changes = step.Changes
	}
	if old == nil {
		for i := range m.Columns {
			old = append(old, m.Columns[i].Default)
		}
		for i, c := range m.Key {
			old[c] = key[i]
		}
	}
	row := slices.Clone(old)
	for _, ch := range changes {
		v, ok := change(&m.Columns[ch.Column], ch, row[ch.Column])
		if !ok {
			return nil, &fold.OverflowError{Model: m.Name, Column: m.Columns[ch.Column].Name}
		}
		row[ch.Column] = v
	}
	return row, nil
}

// change gives the column's new value; false when it leaves its range.
func change(c *fold.Column, ch fold.Change, x value.Value) (value.Value, bool) {
	if ch.Op == fold.OpSet {
		return c.Normal(ch.Operand), true
	}
	if ch.Operand == nil {
		return x, true
	}
	switch ch.Op {
	case fold.OpAdd:
		v, err := c.Type.Add(x, ch.Operand)
		return v, err == nil && c.Obeys(v) == nil
	case fold.OpMax:
		if x == nil || value.Compare(x, ch.Operand) < 0 {
			return ch.Operand, true
		}
	case fold.OpMin:
		if x == nil || value.Compare(x, ch.Operand) > 0 {
			return ch.Operand, true
		}
	case fold.OpSetOnce:
		if x == nil {
			return c.Normal(ch.Operand), true
		}
	case fold.OpMerge:
		o := value.NewObject(x)
		err := o.Merge(ch.Operand)
		return o.JSON(), err == nil
	case fold.OpAppend:
		return appended(c, x, ch.Operand)
	}
	return x, true
}

func appended(c *fold.Column, x, item value.Value) (value.Value, bool) {
	list, _ := x.([]value.Value)
	if c.Rules.Distinct && slices.ContainsFunc(list, func(e value.Value) bool { return value.Compare(e, item) == 0 }) {
		return x, true
	}
	list = append(slices.Clone(list), item)
	if n := c.Rules.MaxItems; n > 0 && len(list) > n {
		list = list[len(list)-n:]
	}
	return list, len(list) <= value.MaxArrayElements
}
