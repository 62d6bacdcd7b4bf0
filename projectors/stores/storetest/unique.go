// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"testing"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/fold/naive"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// users has a unique column, and two that are unique together.
func users() []contract.Model {
	return []contract.Model{{
		Name: "user", Key: []string{"id"},
		Columns: []contract.Column{
			{Name: "id", Type: "text"}, {Name: "email", Type: "text"}, {Name: "team", Type: "text"}, {Name: "seat", Type: "int32"},
		},
		Indexes: []contract.Index{{Columns: []string{"email"}, Unique: true}, {Columns: []string{"team", "seat"}, Unique: true}, {Columns: []string{"team"}}},
	}}
}

func sitting(id string, email, team, seat value.Value) fold.Effect {
	return on(id, set(1, email), set(2, team), set(3, seat))
}

// uniqueMoves: a value goes from one row to another within a batch, whichever of
// them comes first, and NULLs are equal to nothing.
func uniqueMoves(t *testing.T, h Harness) {
	f := h.open(t, users())
	n := naive.New(f.models)
	for _, step := range [][]fold.Effect{
		{sitting("a", "x", "t", int64(1)), sitting("b", "y", "t", int64(2)), on("c"), sitting("d", nil, "t", nil), sitting("e", nil, "t", nil)},
		{on("a", set(1, "y")), on("b", set(1, "x")), on("a", set(3, int64(2))), on("b", set(3, int64(1)))}, // swap
		{on("n", set(1, "y")), on("a", set(1, nil))}, // taken before it is free
		{sitting("a", "y", "t", int64(1)), on("b", set(2, "u")), remove("n")},
		{remove("b"), sitting("o", "x", "u", int64(1))},
		{loading("o", fold.Step{Changes: []fold.Change{set(1, "y")}}), loading("a", fold.Step{Changes: []fold.Change{set(1, "x")}})},
		{{Where: []fold.Match{{Column: 1, Value: "y"}}, Delete: true}, on("c", set(1, "y"))},
		{remove("c"), sitting("c", "y", "u", int64(1))},
	} {
		f.both(n, step...)
		h.did("unique", 1)
	}
}

// uniqueViolation: an event that would make two rows the same is told which columns, and nothing of the commit stays.
func uniqueViolation(t *testing.T, h Harness) {
	f := h.open(t, users())
	f.commit(sitting("a", "x", "t", int64(1)), sitting("b", "y", "t", int64(2)))
	before := f.state()
	for name, c := range map[string]struct {
		path    string
		effects []fold.Effect
	}{
		"new row":        {"email", []fold.Effect{on("c", set(1, "x"))}},
		"row that is":    {"email", []fold.Effect{on("b", set(1, "x"))}},
		"update":         {"email", []fold.Effect{ignore(on("b", set(1, "x")))}},
		"within a batch": {"email", []fold.Effect{on("c", set(1, "z")), on("d", set(1, "z"))}},
		"after a swap":   {"email", []fold.Effect{on("a", set(1, "y")), on("b", set(1, "x")), on("c", set(1, "y"))}},
		"two columns":    {"team,seat", []fold.Effect{on("b", set(3, int64(1)))}},
		"loading":        {"team,seat", []fold.Effect{loading("b", fold.Step{Changes: []fold.Change{set(3, int64(1))}})}},
		"fan-out":        {"team,seat", []fold.Effect{{Where: []fold.Match{{Column: 2, Value: "t"}}, Changes: []fold.Change{set(3, int64(1))}}}},
	} {
		t.Run(name, func(t *testing.T) {
			f.TB = t
			f.refused(f.batch(append([]fold.Effect{on("z")}, c.effects...)...), stores.DataError{
				Model: "user", Reason: "ConstraintViolation", Path: "models[user].indexes[" + c.path + "]"})
			f.unchanged(before)
			h.did("unique", 1)
		})
	}
	f.TB = t
	// Another process, too.
	w := f.worker(tp("orders", 1))
	f.commit(sitting("c", "z", nil, nil))
	if err := w.commit(on("d", set(1, "z"))); err == nil {
		t.Fatal("a value that another process has stored")
	}
}

// indexesChange: preparing a revision again with other indexes makes those that it lacks, and no longer holds to be
// unique what need not be.
func indexesChange(t *testing.T, h Harness) {
	f := h.open(t, []contract.Model{{Name: "user", Key: []string{"id"}, Columns: users()[0].Columns}})
	prepare := func(indexes ...contract.Index) error {
		f.c.Models[0].Indexes = indexes
		if _, err := f.db.Admin().Prepare(f.ctx, f.c, nil); err != nil {
			return err
		}
		f.w.Close()
		f.w = f.db.Writer(t, f.c)
		t.Cleanup(f.w.Close)
		f.claimAll()
		return nil
	}
	f.commit(on("a", set(1, "x")), on("b", set(1, "x")))
	if err := prepare(contract.Index{Columns: []string{"email"}}); err != nil {
		t.Fatal(err)
	}
	if err := prepare(contract.Index{Columns: []string{"email"}}, contract.Index{Columns: []string{"email"}, Unique: true}); err == nil {
		t.Fatal("there are rows that a unique index does not allow")
	}
	if err := prepare(); err != nil {
		t.Fatal(err)
	}
	f.commit(on("b", set(1, "y")))
	for range 2 {
		if err := prepare(contract.Index{Columns: []string{"email"}, Unique: true}, contract.Index{Columns: []string{"team"}}); err != nil {
			t.Fatal(err)
		}
		f.refused(f.batch(on("b", set(1, "x"))), stores.DataError{Model: "user", Reason: "ConstraintViolation", Path: "models[user].indexes[email]"})
	}
	f.commit(on("a", set(1, "y")), on("b", set(1, "x")))
	if err := prepare(contract.Index{Columns: []string{"email"}, Method: "Hash"}); err != nil {
		t.Fatal(err)
	}
	f.commit(on("b", set(1, "y")))
	f.wants(0, []value.Value{"a", "y", nil, nil}, []value.Value{"b", "y", nil, nil})
}
