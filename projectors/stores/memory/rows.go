// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"fmt"
	"strings"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/stores"
	"github.com/projectionist-dev/projectionist/projectors/stores/rmw"
)

// revision is a rmw.Source.
var _ rmw.Source = (*revision)(nil)

// Rows implements rmw.Source.
func (r *revision) Rows(model int, keys [][]value.Value) ([][]value.Value, error) {
	out := make([][]value.Value, len(keys))
	for i, key := range keys {
		out[i] = r.rows[model][rmw.KeyText(key)]
	}
	return out, nil
}

// Matching implements rmw.Source.
func (r *revision) Matching(model int, where []fold.Match, limit int) ([][]value.Value, error) {
	var out [][]value.Value
	for _, row := range r.rows[model] {
		if fold.MatchesAll(where, row) && len(out) < limit {
			out = append(out, row)
		}
	}
	return out, nil
}

// write makes changes, all of them or none.
func (r *revision) write(changes [][]rmw.Change) error {
	for i := range r.uniques {
		if err := r.uniques[i].check(r, changes[r.uniques[i].model]); err != nil {
			return err
		}
	}
	for i := range r.uniques {
		r.uniques[i].move(changes[r.uniques[i].model])
	}
	for m := range changes {
		for _, c := range changes[m] {
			if c.Now == nil {
				delete(r.rows[m], c.Text)
			} else {
				r.rows[m][c.Text] = c.Now
			}
		}
	}
	return nil
}

// unique is a unique index: which row has a tuple of values. Rows with a NULL
// among them are left out.
type unique struct {
	model   int
	columns []int
	path    string
	rows    map[string]string
}

func uniquesOf(c *contract.Contract, models []fold.Model) ([]unique, error) {
	var out []unique
	for m := range c.Models {
		for _, index := range c.Models[m].Indexes {
			if !index.Unique {
				continue
			}
			path := fmt.Sprintf("models[%s].indexes[%s]", c.Models[m].Name, strings.Join(index.Columns, ","))
			u := unique{model: m, path: path, rows: map[string]string{}}
			for _, name := range index.Columns {
				at := columnAt(&models[m], name)
				if at < 0 {
					return nil, invalid("models[%s].indexes: there is no column %s", c.Models[m].Name, name)
				}
				u.columns = append(u.columns, at)
			}
			out = append(out, u)
		}
	}
	return out, nil
}

// reindex replaces the unique indexes by those of a contract, if the rows obey them.
func (r *revision) reindex(c *contract.Contract) error {
	uniques, err := uniquesOf(c, r.models)
	if err != nil {
		return err
	}
	for i := range uniques {
		u := &uniques[i]
		for key, row := range r.rows[u.model] {
			tuple, ok := u.tuple(row)
			if !ok {
				continue
			}
			if _, twice := u.rows[tuple]; twice {
				return invalid("%s: rows have the same %s already", u.path, strings.Join(u.names(r), ", "))
			}
			u.rows[tuple] = key
		}
	}
	r.uniques = uniques
	return nil
}

func (u *unique) tuple(row []value.Value) (string, bool) {
	if row == nil {
		return "", false
	}
	values := make([]value.Value, len(u.columns))
	for i, c := range u.columns {
		if values[i] = row[c]; values[i] == nil {
			return "", false
		}
	}
	return rmw.KeyText(values), true
}

// check looks at the rows as they are to be.
func (u *unique) check(r *revision, changes []rmw.Change) error {
	changed, taken := map[string]bool{}, map[string]bool{}
	for _, c := range changes {
		changed[c.Text] = true
	}
	for _, c := range changes {
		tuple, ok := u.tuple(c.Now)
		if !ok {
			continue
		}
		other, there := u.rows[tuple]
		if taken[tuple] || there && !changed[other] {
			return &stores.DataError{
				Model: r.models[u.model].Name, Path: u.path, Reason: "ConstraintViolation",
				Message: "two rows would have the same " + strings.Join(u.names(r), ", ") + ", which are unique: correct the events, or make the index an ordinary one",
			}
		}
		taken[tuple] = true
	}
	return nil
}

// move brings the index to the rows as they are to be.
func (u *unique) move(changes []rmw.Change) {
	for _, c := range changes {
		if tuple, ok := u.tuple(c.Was); ok {
			delete(u.rows, tuple)
		}
	}
	for _, c := range changes {
		if tuple, ok := u.tuple(c.Now); ok {
			u.rows[tuple] = c.Text
		}
	}
}

func (u *unique) names(r *revision) []string {
	var out []string
	for _, c := range u.columns {
		out = append(out, r.models[u.model].Columns[c].Name)
	}
	return out
}
