// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package change

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/compile"
)

// Class is what a change amounts to.
type Class string

// The classes.
const (
	// NothingToDo leaves all as it is.
	NothingToDo Class = "NothingToDo"
	// InPlace takes effect on the revision that runs.
	InPlace Class = "InPlace"
	// NewRevision needs tables of its own, built beside those that readers see.
	NewRevision Class = "NewRevision"
	// BreaksReaders is a NewRevision whose switch takes something from readers.
	BreaksReaders Class = "BreaksReaders"
	// Refused is a spec that the operator would not accept; Between never gives it.
	Refused Class = "Refused"
)

// Change is the way from one contract to another.
type Change struct {
	Class Class
	// Reasons are what differs. Those that need a new revision come first.
	Reasons []compile.Change
	// Views are what readers see of it, one for each view that either contract has, by name.
	Views []View
}

// View is what becomes of the view of one model.
type View struct {
	Name string `json:"name"`
	// Created and Dropped are views that only one of the contracts has.
	Created bool `json:"created,omitempty"`
	Dropped bool `json:"dropped,omitempty"`
	// Added, Lost and Retyped are columns, in the order of the view.
	Added   []Column  `json:"added,omitempty"`
	Lost    []Column  `json:"lost,omitempty"`
	Retyped []Retyped `json:"retyped,omitempty"`
}

// Column is a column of a view.
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// Retyped is a column whose type is another one afterwards.
type Retyped struct {
	Name string `json:"name"`
	From string `json:"from"`
	To   string `json:"to"`
}

// Breaks tells whether readers of the view may fail afterwards.
func (v *View) Breaks() bool { return v.Dropped || len(v.Lost) > 0 || len(v.Retyped) > 0 }

// Same tells whether readers see no difference but of rows.
func (v *View) Same() bool { return !v.Created && !v.Breaks() && len(v.Added) == 0 }

// Between tells what it takes to go from one contract to another, which Aim has named; from is nil where nothing runs yet.
func Between(from, to *contract.Contract) Change {
	if from == nil {
		return Change{Class: NewRevision, Views: views(nil, to)}
	}
	out := Change{Class: NothingToDo, Reasons: compile.Diff(from, to)}
	slices.SortStableFunc(out.Reasons, func(a, b compile.Change) int { return cmp.Compare(rank(a), rank(b)) })
	if from.Revision != to.Revision && compile.SameData(from, to) {
		out.Reasons = slices.Insert(out.Reasons, 0, again(from, to))
	}
	if len(out.Reasons) == 0 {
		return out
	}
	if !out.Reasons[0].Rebuild {
		out.Class = InPlace
		return out
	}
	out.Class = NewRevision
	out.Views = views(from, to)
	if slices.ContainsFunc(out.Views, func(v View) bool { return v.Breaks() }) {
		out.Class = BreaksReaders
	}
	return out
}

func rank(c compile.Change) int {
	if c.Rebuild {
		return 0
	}
	return 1
}

// again says why two revisions of the same data are two.
func again(from, to *contract.Contract) compile.Change {
	message := "asks for a rebuild: the tables are built anew from the log"
	if to.Attempt == "" {
		message = fmt.Sprintf("goes back to the revision before %q", from.Attempt)
	}
	return compile.Change{Path: "replayToken", Message: message, Rebuild: true}
}

// Revision is one that has tables: what they were made of, and the replayTokens that count as done with it.
type Revision struct {
	Contract *contract.Contract
	Attempts []string
}

// Fits tells whether a revision is what a spec and its replayToken ask for. Its
// contract and the fresh one are hashed anew, so that another release starts no revision.
func (r *Revision) Fits(fresh *contract.Contract, token string) bool {
	return r != nil && r.Contract != nil && compile.SameData(r.Contract, fresh) &&
		(token == "" || token == r.Contract.Attempt || slices.Contains(r.Attempts, token))
}

// Whole tells whether a revision begins with the first events, as that of every spec does. One that does not makes other
// rows of the same data: it is what a spec asks for only where readers see it already.
func (r *Revision) Whole() bool { return r.Contract == nil || r.Contract.From == nil }

// Aim gives a freshly compiled contract the identity of the revision that it will
// have: that of the running one (nil: nothing runs) or of another that is there,
// where it fits, else its own.
func Aim(running *Revision, others []Revision, fresh *contract.Contract, token string) {
	if running.Fits(fresh, token) {
		compile.KeepIdentity(running.Contract, fresh)
		return
	}
	for i := range others {
		if others[i].Whole() && others[i].Fits(fresh, token) {
			compile.KeepIdentity(others[i].Contract, fresh)
			return
		}
	}
	compile.Rename(fresh, token)
}

func views(from, to *contract.Contract) []View {
	columns := func(c *contract.Contract) map[string][]contract.Column {
		out := map[string][]contract.Column{}
		for i := 0; c != nil && i < len(c.Models); i++ {
			out[c.Models[i].Name] = c.ViewColumns(i)
		}
		return out
	}
	before, after := columns(from), columns(to)
	var out []View
	for name, is := range after {
		was, there := before[name]
		out = append(out, view(name, !there, was, is))
	}
	for name := range before {
		if _, stays := after[name]; !stays {
			out = append(out, View{Name: name, Dropped: true})
		}
	}
	slices.SortFunc(out, func(a, b View) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

func view(name string, created bool, was, is []contract.Column) View {
	out := View{Name: name, Created: created}
	if created {
		return out
	}
	find := func(in []contract.Column, name string) *contract.Column {
		if i := slices.IndexFunc(in, func(c contract.Column) bool { return c.Name == name }); i >= 0 {
			return &in[i]
		}
		return nil
	}
	for i := range was {
		c := find(is, was[i].Name)
		switch {
		case c == nil:
			out.Lost = append(out.Lost, Column{was[i].Name, typeOf(&was[i])})
		case typeOf(c) != typeOf(&was[i]):
			out.Retyped = append(out.Retyped, Retyped{c.Name, typeOf(&was[i]), typeOf(c)})
		}
	}
	for i := range is {
		if find(was, is[i].Name) == nil {
			out.Added = append(out.Added, Column{is[i].Name, typeOf(&is[i])})
		}
	}
	return out
}

func typeOf(c *contract.Column) string { return cmp.Or(c.Native, c.Type) }
