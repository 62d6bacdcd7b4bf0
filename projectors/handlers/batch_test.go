// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/fold/naive"
	"github.com/projectionist-dev/projectionist/projectors/stores/rmw"
)

// rows gives the rows of a naive state to rmw.
type rows struct {
	models []fold.Model
	state  *naive.State
}

func (r rows) all(model int) map[string][]value.Value {
	out := map[string][]value.Value{}
	for _, row := range r.state.Rows(model) {
		var key []value.Value
		for _, k := range r.models[model].Key {
			key = append(key, row[k])
		}
		out[rmw.KeyText(key)] = row
	}
	return out
}

func (r rows) Rows(model int, keys [][]value.Value) ([][]value.Value, error) {
	all := r.all(model)
	out := make([][]value.Value, len(keys))
	for i, k := range keys {
		out[i] = all[rmw.KeyText(k)]
	}
	return out, nil
}

func (r rows) Matching(model int, where []fold.Match, _ int) ([][]value.Value, error) {
	var out [][]value.Value
	for _, row := range r.state.Rows(model) {
		if !slices.ContainsFunc(where, func(w fold.Match) bool { return row[w.Column] == nil || value.Compare(row[w.Column], w.Value) != 0 }) {
			out = append(out, row)
		}
	}
	return out, nil
}

// commit applies a batch and gives the rows after it.
func (r rows) commit(t *rapid.T, b *fold.Batch) {
	changes, err := rmw.Apply(b, r.models, r)
	if err != nil {
		t.Fatal(err)
	}
	next := naive.New(r.models)
	for m := range r.models {
		all := r.all(m)
		for _, c := range changes[m] {
			delete(all, c.Text)
			if c.Now != nil {
				all[c.Text] = c.Now
			}
		}
		for _, row := range all {
			next.Put(m, row)
		}
	}
	*r.state = *next
}

// lively is a projection whose handlers of every kind meet in few rows.
func lively() *contract.Contract {
	stored := versioned()
	stored.Columns = append(stored.Columns, contract.Column{Name: "twice", Type: "decimal(10,2)", Generated: "row.price * 2"})
	stored.Checks = []contract.Check{{Name: "c", Rule: "row.price != 4.0"}}
	c := one(items(
		contract.Handler{Events: []string{"Add", "Set"}, Set: exprs("status", "event.n > 2 ? 'sold' : 'new'"), Add: exprs("n", "event.n"), Append: exprs("tags", "string(event.n)"), SetOnce: exprs("note", "event.type")},
		contract.Handler{Events: []string{"Add"}, OnAbsent: "Ignore", When: "row.n > event.n", Set: exprs("price", "row.n * event.n"), Merge: exprs("doc", "{event.type: row.status, string(event.n): null}")},
		contract.Handler{Events: []string{"All"}, Where: exprs("status", "'sold'"), OnAbsent: "Ignore", Set: exprs("note", "row.note + event.id"), Unset: []string{"price"}},
		contract.Handler{Events: []string{"Drop"}, When: "row.n < 5", Delete: true},
		contract.Handler{Events: []string{"Purge"}, ForEach: "event.ids", Key: exprs("id", "item"), Delete: true},
		contract.Handler{Default: true, ForEach: "event.ids", Key: exprs("id", "item"), Max: exprs("n", "index * 3"), Set: exprs("note", "'d'")},
	))
	c.Models = append(c.Models, stored)
	return c
}

// Whatever the log, and wherever batches are cut, the rows are those of one event after the other (CORRECTNESS 2).
func TestBatchesAreEventsOneByOne(t *testing.T) {
	p := compile(t, lively())
	applied, refused := 0, 0
	rapid.Check(t, func(r *rapid.T) {
		ev := p.NewEvaluator()
		want, got := naive.New(p.models), rows{p.models, naive.New(p.models)}
		batch := fold.NewBatch(p.models)
		for range rapid.IntRange(1, 30).Draw(r, "events") {
			id := rapid.SampledFrom([]string{"a", "b"}).Draw(r, "id")
			body := fmt.Sprintf(`{"type":"%s","id":"%s","n":%d,"v":%d,"price":%d,"ids":["%s","c"]}`,
				rapid.SampledFrom([]string{"Add", "Add", "Set", "Set", "All", "Drop", "Drop", "Purge", "Touch", "Plain", "Other"}).Draw(r, "type"), id,
				rapid.IntRange(-1, 8).Draw(r, "n"), rapid.IntRange(0, 4).Draw(r, "v"), rapid.IntRange(0, 5).Draw(r, "price"), id)
			effects, _, err := handle(ev, body)
			if err != nil {
				r.Fatalf("%s: %v", body, err)
			}
			if want.Apply(effects...) != nil {
				refused++
				continue
			}
			applied++
			if err := batch.Apply(effects...); err != nil {
				r.Fatalf("%s: %v", body, err)
			}
			if rapid.IntRange(0, 4).Draw(r, "cut") == 0 {
				got.commit(r, batch)
				batch = fold.NewBatch(p.models)
			}
		}
		got.commit(r, batch)
		for m := range p.models {
			if diff := cmp.Diff(shownRows(&p.models[m], want.Rows(m)), shownRows(&p.models[m], got.state.Rows(m))); diff != "" {
				r.Fatal(diff)
			}
		}
	})
	t.Logf("%d events applied, %d refused by the rows", applied, refused)
	if applied == 0 || refused == 0 {
		t.Error("one of the two never happens")
	}
}

func shownRows(m *fold.Model, rows [][]value.Value) []string {
	var out []string
	for _, row := range rows {
		s := ""
		for i := range row {
			s += " " + m.Columns[i].Name + "=" + text(&m.Columns[i], row[i])
		}
		out = append(out, s)
	}
	return out
}
