// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"context"
	"maps"
	"slices"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

var _ stores.Reader = admin{}

// Read implements stores.Reader.
func (a admin) Read(ctx context.Context, c *contract.Contract, model int) ([][]value.Value, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	r := a.s.revision(c)
	if r == nil {
		return nil, &stores.EnvironmentError{Reason: stores.ReasonNotPrepared, Message: "the tables of this revision were not prepared, or somebody dropped them"}
	}
	m := &c.Models[model]
	var out [][]value.Value
	for _, key := range slices.Sorted(maps.Keys(r.rows[model])) {
		row := visible(m, r.rows[model][key])
		if row == nil {
			continue
		}
		for _, j := range m.Joins {
			row = append(row, r.joined(c, m, j, row)...)
		}
		out = append(out, row)
	}
	return out, nil
}

// visible is a copy of a row with the model's own columns; nil for one that stays as a tombstone.
func visible(m *contract.Model, row []value.Value) []value.Value {
	if m.KeepsDeleted() && row[len(m.Columns)] == true {
		return nil
	}
	return slices.Clone(row[:len(m.Columns)])
}

// joined gives the columns that a join adds to a row, by name; NULL without a match.
func (r *revision) joined(c *contract.Contract, m *contract.Model, j contract.Join, row []value.Value) []value.Value {
	other := slices.IndexFunc(c.Models, func(o contract.Model) bool { return o.Name == j.Model })
	if other < 0 {
		return nil
	}
	o := &c.Models[other]
	var key []byte
	for _, k := range o.Key {
		v := row[columnOf(m, j.Match[k])]
		if v == nil {
			key = nil
			break
		}
		key = value.AppendKey(key, v)
	}
	var match []value.Value
	if full := r.rows[other][string(key)]; key != nil && full != nil {
		match = visible(o, full)
	}
	out := make([]value.Value, 0, len(j.Set))
	for _, name := range slices.Sorted(maps.Keys(j.Set)) {
		var v value.Value
		if match != nil {
			v = match[columnOf(o, j.Set[name])]
		}
		out = append(out, v)
	}
	return out
}

func columnOf(m *contract.Model, name string) int {
	return slices.IndexFunc(m.Columns, func(c contract.Column) bool { return c.Name == name })
}
