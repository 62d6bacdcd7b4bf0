// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package rmw

import (
	"maps"
	"slices"

	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// Source reads the rows of a revision as they were before the commit, within
// its transaction. Rows that it gives are not modified; it must not modify them either.
type Source interface {
	// Rows gives for each key, in the order of the model's key columns, its row,
	// or nil where there is none. Keys are distinct and in order.
	Rows(model int, keys [][]value.Value) ([][]value.Value, error)
	// Matching gives the rows that meet all conditions, in any order, at most limit of them.
	Matching(model int, where []fold.Match, limit int) ([][]value.Value, error)
}

// Change is a row that a commit touches. Was and Now are nil where there is no row.
type Change struct {
	// Text is the key as stores order it; see KeyText.
	Text     string
	Key      []value.Value
	Was, Now []value.Value
}

// KeyText gives a key as a string that sorts as the key does.
func KeyText(key []value.Value) string {
	var b []byte
	for _, k := range key {
		b = value.AppendKey(b, k)
	}
	return string(b)
}

// Apply gives what a batch changes, per model and in key order; nil changes
// nothing. It fails with *stores.DataError or with an error of the Source.
func Apply(b *fold.Batch, models []fold.Model, src Source) ([][]Change, error) {
	out := make([][]Change, len(models))
	if b == nil {
		return out, nil
	}
	w := &work{models: models, src: src, rows: make([]map[string]*Change, len(models))}
	for m := range models {
		w.rows[m] = map[string]*Change{}
	}
	for _, s := range b.Segments() {
		for m := range models {
			if err := w.mutate(m, s.Rows(m)); err != nil {
				return nil, err
			}
		}
		for _, f := range s.FanOuts() {
			if err := w.fanOut(f); err != nil {
				return nil, err
			}
		}
	}
	for m := range models {
		for _, text := range slices.Sorted(maps.Keys(w.rows[m])) {
			out[m] = append(out[m], *w.rows[m][text])
		}
	}
	return out, nil
}

// work is a commit under way.
type work struct {
	models []fold.Model
	src    Source
	rows   []map[string]*Change // by model and key
}

func (w *work) mutate(model int, rows []fold.Mutation) error {
	known := w.rows[model]
	changes := make([]*Change, len(rows))
	var unread [][]value.Value
	var missing []*Change
	for i, u := range rows {
		text := KeyText(u.Key())
		c := known[text]
		if c == nil {
			c = &Change{Text: text, Key: u.Key()}
			known[text] = c
			unread, missing = append(unread, c.Key), append(missing, c)
		}
		changes[i] = c
	}
	if len(unread) > 0 {
		read, err := w.src.Rows(model, unread)
		if err != nil {
			return err
		}
		for i, row := range read {
			missing[i].Was, missing[i].Now = row, row
		}
	}
	for i, u := range rows {
		row, err := u.Apply(changes[i].Now)
		if err != nil {
			return stores.Applied(err)
		}
		changes[i].Now = row
	}
	return nil
}

// fanOut asks the source for rows that match, and looks itself at those that
// the commit has touched already.
func (w *work) fanOut(f fold.FanOut) error {
	model := f.Model()
	known := w.rows[model]
	limit := stores.MaxFanOutRows + len(known) + 1
	read, err := w.src.Matching(model, f.Where(), limit)
	if err != nil {
		return err
	}
	for _, row := range read {
		key := make([]value.Value, len(w.models[model].Key))
		for i, c := range w.models[model].Key {
			key[i] = row[c]
		}
		text := KeyText(key)
		if known[text] == nil {
			known[text] = &Change{Text: text, Key: key, Was: row, Now: row}
		}
	}
	var matching []*Change
	for _, c := range known {
		if c.Now != nil && f.Matches(c.Now) {
			matching = append(matching, c)
		}
	}
	if len(matching) > stores.MaxFanOutRows {
		return stores.FanOutTooLarge(w.models[model].Name)
	}
	slices.SortFunc(matching, func(a, b *Change) int {
		if a.Text < b.Text {
			return -1
		}
		return 1
	})
	for _, c := range matching {
		row, err := f.Apply(c.Now)
		if err != nil {
			return stores.Applied(err)
		}
		c.Now = row
	}
	return nil
}
