// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"context"
	"errors"
	"slices"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/events"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/rows"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/connect"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// Change is what an event did to one row that readers see.
type Change struct {
	// Model is the index of the model.
	Model int
	// Before and After are the row, nil where there is none.
	Before, After []value.Value
}

// Row is the row after the event, or before one that deleted it.
func (c Change) Row() []value.Value {
	if c.After != nil {
		return c.After
	}
	return c.Before
}

// Traced is a step with the rows that it has changed.
type Traced struct {
	Step
	Changes []Change
}

// Trace applies the events one by one in the memory of this process and tells what each did.
func Trace(ctx context.Context, p *Projection, given []events.Event, goOn bool) ([]Traced, *Result, error) {
	db, err := connect.OpenURL("memory:", owner)
	if err != nil {
		return nil, nil, err
	}
	admin, err := db.Admin()
	if err != nil {
		return nil, nil, err
	}
	reader, ok := admin.(stores.Reader)
	if !ok {
		return nil, nil, errors.New("rows cannot be read back from this store")
	}
	views, err := rows.Views(p.Contract)
	if err != nil {
		return nil, nil, err
	}
	now := make([]table, len(p.Contract.Models))
	for m := range now {
		now[m] = newTable(&views[m], nil)
	}
	var out []Traced
	watch := func(s Step) error {
		t := Traced{Step: s}
		for m := range now {
			if len(s.Effects) == 0 || s.Stop != nil {
				break
			}
			read, err := reader.Read(ctx, p.Contract, m)
			if err != nil {
				return err
			}
			after := newTable(&views[m], read)
			t.Changes = append(t.Changes, now[m].changes(m, after)...)
			now[m] = after
		}
		out = append(out, t)
		return nil
	}
	result, err := Run(ctx, p, db, given, Options{Cut: OneByOne, GoOn: goOn, Watch: watch})
	return out, result, err
}

// table is the rows of a model, by key and in the order of their keys.
type table struct {
	rows map[string][]value.Value
	keys []string
}

func newTable(v *rows.View, read [][]value.Value) table {
	t := table{rows: make(map[string][]value.Value, len(read))}
	for _, r := range read {
		k := v.ID(r)
		t.rows[k] = r
		t.keys = append(t.keys, k)
	}
	return t
}

// changes are the rows that differ after, those that are there first.
func (t table) changes(model int, after table) []Change {
	var out []Change
	for _, k := range after.keys {
		if before := t.rows[k]; !slices.EqualFunc(before, after.rows[k], rows.Same) {
			out = append(out, Change{Model: model, Before: before, After: after.rows[k]})
		}
	}
	for _, k := range t.keys {
		if _, there := after.rows[k]; !there {
			out = append(out, Change{Model: model, Before: t.rows[k]})
		}
	}
	return out
}
