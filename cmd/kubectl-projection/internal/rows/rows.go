// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rows shows rows of read models to people, and compares them.
//
// Invariants: rows are what readers of a view see, joined columns among them; the
// text of a value is its type's canonical text, quoted where it could be mistaken
// for something else.
//
// Neighbours: projectors/stores reads rows; replay, testrun, preview and run show them.
package rows

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
)

// View is what readers of a model see.
type View struct {
	// Index is the model's index in the contract.
	Index   int
	Model   *contract.Model
	Columns []contract.Column
	Types   []value.Type
}

// Views gives the view of each model.
func Views(c *contract.Contract) ([]View, error) {
	out := make([]View, len(c.Models))
	for i := range c.Models {
		v := View{Index: i, Model: &c.Models[i], Columns: c.ViewColumns(i)}
		for _, col := range v.Columns {
			t, err := value.Parse(col.Type)
			if err != nil {
				return nil, fmt.Errorf("models[%s].columns[%s].type: %w", v.Model.Name, col.Name, err)
			}
			v.Types = append(v.Types, t)
		}
		out[i] = v
	}
	return out, nil
}

// Column is the index of a column, -1 where there is none of that name.
func (v *View) Column(name string) int {
	return slices.IndexFunc(v.Columns, func(c contract.Column) bool { return c.Name == name })
}

// IsKey tells whether a column is part of the key.
func (v *View) IsKey(column int) bool { return slices.Contains(v.Model.Key, v.Columns[column].Name) }

// Text is a value as people read it.
func (v *View) Text(column int, x value.Value) string {
	if x == nil {
		return "null"
	}
	s := v.Types[column].Format(x)
	if _, isText := x.(string); isText && (s == "" || s == "null" || strings.ContainsAny(s, " \t\r\n\"',=")) {
		return strconv.Quote(s)
	}
	return s
}

// Key is a row's key as people read it: sku=A-7.
func (v *View) Key(row []value.Value) string {
	key := make([]value.Value, len(v.Model.Key))
	for i, k := range v.Model.Key {
		key[i] = row[v.Column(k)]
	}
	return v.KeyText(key)
}

// KeyText is Key for the values of the key columns, in their order.
func (v *View) KeyText(key []value.Value) string {
	parts := make([]string, len(key))
	for i, k := range v.Model.Key {
		parts[i] = k + "=" + v.Text(v.Column(k), key[i])
	}
	return strings.Join(parts, ", ")
}

// ID identifies a row in its table.
func (v *View) ID(row []value.Value) string {
	var b []byte
	for _, k := range v.Model.Key {
		b = value.AppendKey(b, row[v.Column(k)])
	}
	return string(b)
}

// Rest is a row but for its key and its NULLs.
func (v *View) Rest(row []value.Value) string {
	var parts []string
	for i, c := range v.Columns {
		if !v.IsKey(i) && row[i] != nil {
			parts = append(parts, c.Name+" "+v.Text(i, row[i]))
		}
	}
	return strings.Join(parts, ", ")
}

// Change tells what became of a row: on_hand 0 -> 12. Either may be nil, for no row.
func (v *View) Change(before, after []value.Value) string {
	switch {
	case after == nil:
		return "row deleted"
	case before == nil:
		return strings.TrimSuffix("row created: "+v.Rest(after), ": ")
	}
	var parts []string
	for i, c := range v.Columns {
		if !Same(before[i], after[i]) {
			parts = append(parts, fmt.Sprintf("%s %s -> %s", c.Name, v.Text(i, before[i]), v.Text(i, after[i])))
		}
	}
	return strings.Join(parts, ", ")
}

// Same tells whether two values of a column are equal; NULL is equal to NULL.
func Same(a, b value.Value) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return value.Compare(a, b) == 0
}
