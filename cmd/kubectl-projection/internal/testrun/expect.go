// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package testrun

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/ptest"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/rows"
	"github.com/projectionist-dev/projectionist/contract/value"
)

// wanted is a row that is expected: its key, and the columns that are compared.
type wanted struct {
	id      string
	row     []value.Value // of the view; only listed columns count
	listed  []int
	keyText string
}

// want reads an expected row. Its errors name the column and what is wrong with the value.
func want(v *rows.View, r ptest.Row) (wanted, error) {
	w := wanted{row: make([]value.Value, len(v.Columns))}
	for _, name := range slices.Sorted(maps.Keys(r)) {
		i := v.Column(name)
		if i < 0 {
			return w, fmt.Errorf("%s: model %s has no such column; it has %s", name, v.Model.Name, names(v))
		}
		x, err := valueOf(v.Types[i], r[name])
		if err != nil {
			return w, fmt.Errorf("%s: the value is %w", name, err)
		}
		w.row[i] = x
		w.listed = append(w.listed, i)
	}
	slices.Sort(w.listed)
	for _, k := range v.Model.Key {
		if w.row[v.Column(k)] == nil {
			return w, fmt.Errorf("%s: a row is found by its whole key; give a value", k)
		}
	}
	w.id, w.keyText = v.ID(w.row), v.Key(w.row)
	return w, nil
}

func names(v *rows.View) string {
	out := make([]string, len(v.Columns))
	for i, c := range v.Columns {
		out[i] = c.Name
	}
	return strings.Join(out, ", ")
}

func valueOf(t value.Type, x ptest.Value) (value.Value, error) {
	switch {
	case x.Null:
		return nil, nil
	case t.Array || t.Kind == value.JSONKind:
		return t.ParseText(x.JSON)
	default:
		return t.ParseText(x.Text)
	}
}

// table is what is expected of a model's table.
type table struct {
	view *rows.View
	rows []wanted
	// whole says that there are no other rows.
	whole  bool
	absent []wanted
}

// tables reads what is expected of the tables, in the order of the models. Files
// are row files that were read, by model.
func tables(vs []rows.View, t *ptest.Then, files map[string][]ptest.Row) ([]table, error) {
	byModel := map[string]*table{}
	get := func(model string) (*table, error) {
		if tb := byModel[model]; tb != nil {
			return tb, nil
		}
		i := slices.IndexFunc(vs, func(v rows.View) bool { return v.Model.Name == model })
		if i < 0 {
			names := make([]string, len(vs))
			for i := range vs {
				names[i] = vs[i].Model.Name
			}
			return nil, fmt.Errorf("the projection has no model %q; it has %s", model, strings.Join(names, ", "))
		}
		byModel[model] = &table{view: &vs[i]}
		return byModel[model], nil
	}
	for _, part := range []struct {
		name  string
		rows  map[string][]ptest.Row
		whole bool
	}{{"rows", t.Rows, true}, {"rowFiles", files, true}, {"contains", t.Contains, false}, {"absent", t.Absent, false}} {
		for _, model := range slices.Sorted(maps.Keys(part.rows)) {
			tb, err := get(model)
			if err != nil {
				return nil, fmt.Errorf("then.%s.%s: %w", part.name, model, err)
			}
			if part.whole && tb.whole {
				return nil, fmt.Errorf("then.%s.%s: the whole table is given in rows and in rowFiles; remove one", part.name, model)
			}
			tb.whole = tb.whole || part.whole
			for i, r := range part.rows[model] {
				w, err := want(tb.view, r)
				if err != nil {
					return nil, fmt.Errorf("then.%s.%s[%d].%w", part.name, model, i, err)
				}
				into := &tb.rows
				if part.name == "absent" {
					into = &tb.absent
				}
				if slices.ContainsFunc(*into, func(o wanted) bool { return o.id == w.id }) {
					return nil, fmt.Errorf("then.%s.%s[%d]: the row %s is there twice; remove one", part.name, model, i, w.keyText)
				}
				*into = append(*into, w)
			}
		}
	}
	var out []table
	for i := range vs {
		if tb := byModel[vs[i].Model.Name]; tb != nil {
			out = append(out, *tb)
		}
	}
	return out, nil
}

// compare gives what differs between the expected table and the rows that came out.
func (t *table) compare(got [][]value.Value) []Failure {
	v := t.view
	var out []Failure
	found := make(map[string][]value.Value, len(got))
	for _, r := range got {
		found[v.ID(r)] = r
	}
	expected := map[string]bool{}
	for _, w := range t.rows {
		expected[w.id] = true
		r, ok := found[w.id]
		if !ok {
			out = append(out, Failure{Model: v.Model.Name, Key: w.keyText, Message: "want a row   got none"})
			continue
		}
		f := Failure{Model: v.Model.Name, Key: w.keyText}
		for _, i := range w.listed {
			if !rows.Same(w.row[i], r[i]) {
				f.Columns = append(f.Columns, ColumnDiff{v.Columns[i].Name, v.Text(i, w.row[i]), v.Text(i, r[i])})
			}
		}
		if len(f.Columns) > 0 {
			out = append(out, f)
		}
	}
	for _, r := range got {
		id := v.ID(r)
		unwanted := t.whole && !expected[id] ||
			slices.ContainsFunc(t.absent, func(w wanted) bool { return w.id == id })
		if unwanted {
			out = append(out, Failure{Model: v.Model.Name, Key: v.Key(r), Message: strings.TrimSuffix("want no row   got one: "+v.Rest(r), ": ")})
		}
	}
	return out
}
