// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"context"
	"maps"
	"slices"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/stores"
	"github.com/projectionist-dev/projectionist/projectors/stores/rmw"
)

// sorted gives copies of a model's rows, tombstones among them, in key order.
func (r *revision) sorted(model int) [][]value.Value {
	out := make([][]value.Value, 0, len(r.rows[model]))
	for _, key := range slices.Sorted(maps.Keys(r.rows[model])) {
		out = append(out, slices.Clone(r.rows[model][key]))
	}
	return out
}

// visible is sorted without tombstones.
func (r *revision) visible(model int) [][]value.Value {
	rows := r.sorted(model)
	if deleted := columnAt(&r.models[model], contract.DeletedColumn); deleted >= 0 {
		rows = slices.DeleteFunc(rows, func(row []value.Value) bool { return row[deleted] == true })
	}
	return rows
}

func columnAt(m *fold.Model, name string) int {
	return slices.IndexFunc(m.Columns, func(c fold.Column) bool { return c.Name == name })
}

// Read implements stores.Reader.
func (a admin) Read(ctx context.Context, c *contract.Contract, model int) ([][]value.Value, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	r := a.s.revision(c)
	if r == nil {
		return nil, notPrepared()
	}
	rows := r.visible(model)
	for i := range rows {
		rows[i] = rows[i][:len(c.Models[model].Columns)]
	}
	for _, j := range c.Models[model].Joins {
		other := slices.IndexFunc(c.Models, func(m contract.Model) bool { return m.Name == j.Model })
		if other < 0 {
			return nil, invalid("models[%s].joins: there is no model %s", c.Models[model].Name, j.Model)
		}
		found := map[string][]value.Value{}
		for _, row := range r.visible(other) {
			found[rmw.KeyText(valuesAt(row, r.models[other].Key))] = row
		}
		for i, row := range rows {
			rows[i] = append(row, joined(&r.models[model], &r.models[other], &j, row, found)...)
		}
	}
	return rows, nil
}

// ViewRows gives what Read gives, of the revision that the view shows, in the
// columns of the contract's view.
func (s *Store) ViewRows(c *contract.Contract, model int) ([][]value.Value, error) {
	s.mu.Lock()
	p := s.projections[ownerOf(c.Projection)]
	s.mu.Unlock()
	if p == nil {
		return nil, notPrepared()
	}
	active := p.revisions[p.active].contract
	at := slices.IndexFunc(active.Models, func(m contract.Model) bool { return m.Name == c.Models[model].Name })
	if at < 0 {
		return nil, invalid("there is no view %s", c.Models[model].Name)
	}
	rows, err := admin{s}.Read(context.Background(), active, at)
	if err != nil {
		return nil, err
	}
	there := active.ViewColumns(at)
	for i, row := range rows {
		rows[i] = nil
		for _, want := range c.ViewColumns(model) {
			n := slices.IndexFunc(there, func(o contract.Column) bool { return o.Name == want.Name })
			if n < 0 {
				return nil, invalid("view %s has no column %s", c.Models[model].Name, want.Name)
			}
			rows[i] = append(rows[i], row[n])
		}
	}
	return rows, nil
}

// joined gives the columns that a join adds to a row, by name; NULL without a match.
func joined(m, other *fold.Model, j *contract.Join, row []value.Value, found map[string][]value.Value) []value.Value {
	key := make([]value.Value, len(other.Key))
	for i, c := range other.Key {
		key[i] = row[columnAt(m, j.Match[other.Columns[c].Name])]
	}
	match := found[rmw.KeyText(key)] // a key has no NULL
	names := slices.Sorted(maps.Keys(j.Set))
	out := make([]value.Value, len(names))
	for i, name := range names {
		if match != nil {
			out[i] = match[columnAt(other, j.Set[name])]
		}
	}
	return out
}

func valuesAt(row []value.Value, columns []int) []value.Value {
	out := make([]value.Value, len(columns))
	for i, c := range columns {
		out[i] = row[c]
	}
	return out
}

func notPrepared() error {
	return &stores.EnvironmentError{
		Reason: stores.ReasonNotPrepared, Message: "the tables of this revision were not prepared, or somebody dropped them",
	}
}

// Count implements stores.Reader.
func (a admin) Count(ctx context.Context, c *contract.Contract, model int) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	r := a.s.revision(c)
	if r == nil {
		return 0, notPrepared()
	}
	return int64(len(r.visible(model))), nil
}
