// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// transaction is what a commit changes in a revision, before it does.
type transaction struct {
	r    *revision
	rows []map[string][]value.Value // by model and key; nil was removed
}

func (r *revision) begin() *transaction {
	tx := &transaction{r: r, rows: make([]map[string][]value.Value, len(r.rows))}
	for m := range tx.rows {
		tx.rows[m] = map[string][]value.Value{}
	}
	return tx
}

func (tx *transaction) row(model int, key string) []value.Value {
	if row, changed := tx.rows[model][key]; changed {
		return row
	}
	return tx.r.rows[model][key]
}

// apply computes what a batch makes of the rows.
func (tx *transaction) apply(b *fold.Batch) error {
	if b == nil {
		return nil
	}
	for _, s := range b.Segments() {
		for m := range tx.rows {
			for _, u := range s.Rows(m) {
				key := keyText(u.Key())
				row, err := u.Apply(tx.row(m, key))
				if err != nil {
					return stores.Applied(err)
				}
				tx.rows[m][key] = row
			}
		}
		for _, f := range s.FanOuts() {
			if err := tx.fanOut(f); err != nil {
				return err
			}
		}
	}
	return nil
}

func (tx *transaction) fanOut(f fold.FanOut) error {
	m := f.Model()
	keys := map[string]bool{}
	for _, rows := range []map[string][]value.Value{tx.r.rows[m], tx.rows[m]} {
		for key := range rows {
			if row := tx.row(m, key); row != nil && f.Matches(row) {
				keys[key] = true
			}
		}
	}
	if len(keys) > stores.MaxFanOutRows {
		return stores.FanOutTooLarge(tx.r.models[m].Name)
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		row, err := f.Apply(tx.row(m, key))
		if err != nil {
			return stores.Applied(err)
		}
		tx.rows[m][key] = row
	}
	return nil
}

func (tx *transaction) commit() {
	for m, rows := range tx.rows {
		for key, row := range rows {
			if row == nil {
				delete(tx.r.rows[m], key)
			} else {
				tx.r.rows[m][key] = row
			}
		}
	}
}

// keyText sorts as the key does.
func keyText(key []value.Value) string {
	var b []byte
	for _, k := range key {
		b = value.AppendKey(b, k)
	}
	return string(b)
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
				at := slices.IndexFunc(models[m].Columns, func(c fold.Column) bool { return c.Name == name })
				if at < 0 {
					return nil, invalid("%s: there is no column %s", u.path, name)
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
	return keyText(values), true
}

// unique checks the unique indexes against the rows as they are to be, and moves
// the indexes along: all of them or none.
func (tx *transaction) unique() error {
	for i := range tx.r.uniques {
		u := &tx.r.uniques[i]
		taken := map[string]string{}
		for key, row := range tx.rows[u.model] {
			tuple, ok := u.tuple(row)
			if !ok {
				continue
			}
			other, there := u.rows[tuple]
			if _, changed := tx.rows[u.model][other]; there && changed {
				there = false // that row is looked at as it is to be
			}
			if _, twice := taken[tuple]; twice || there && other != key {
				return &stores.DataError{
					Model: tx.r.models[u.model].Name, Path: u.path, Reason: "ConstraintViolation",
					Message: "two rows would have the same " + strings.Join(u.names(tx.r), ", ") + ", which are unique: correct the events, or make the index an ordinary one",
				}
			}
			taken[tuple] = key
		}
	}
	for i := range tx.r.uniques {
		u := &tx.r.uniques[i]
		for key := range tx.rows[u.model] {
			if tuple, ok := u.tuple(tx.r.rows[u.model][key]); ok {
				delete(u.rows, tuple)
			}
		}
		for key, row := range tx.rows[u.model] {
			if tuple, ok := u.tuple(row); ok {
				u.rows[tuple] = key
			}
		}
	}
	return nil
}

func (u *unique) names(r *revision) []string {
	var out []string
	for _, c := range u.columns {
		out = append(out, r.models[u.model].Columns[c].Name)
	}
	return out
}
