// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package change

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/compile"
)

// made gives the contract of a model with two columns, after an edit.
func made(edit func(*contract.Contract)) *contract.Contract {
	c := &contract.Contract{
		Version: contract.Version, Topics: []contract.Topic{{Name: "t", BrokerTopic: "t", Format: "JSON"}},
		Models: []contract.Model{{
			Name: "m", Key: []string{"k"}, Columns: []contract.Column{{Name: "k", Type: "text"}, {Name: "n", Type: "int32"}},
			Handlers: []contract.Handler{{Name: "h", Topic: "t", OnAbsent: "Create", Key: map[string]string{"k": "event.k"}, Add: map[string]string{"n": "1"}}},
		}},
	}
	if edit != nil {
		edit(c)
	}
	c.DataHash = compile.DataHash(c)
	compile.Rename(c, "")
	return c
}

func TestViews(t *testing.T) {
	from := made(nil)
	to := made(func(c *contract.Contract) {
		c.Models[0].Columns = []contract.Column{{Name: "k", Type: "text", Native: "citext"}, {Name: "x", Type: "bool"}}
		c.Models[0].Handlers[0].Add = nil
		c.Models = append(c.Models, contract.Model{Name: "o", Key: []string{"k"}, Columns: c.Models[0].Columns})
	})
	got := Between(from, to)
	want := []View{
		{Name: "m", Added: []Column{{"x", "bool"}}, Lost: []Column{{"n", "int32"}}, Retyped: []Retyped{{"k", "text", "citext"}}},
		{Name: "o", Created: true},
	}
	if diff := cmp.Diff(want, got.Views); got.Class != BreaksReaders || diff != "" {
		t.Errorf("%s %s", got.Class, diff)
	}
	if back := Between(to, from); back.Class != BreaksReaders || !back.Views[1].Dropped {
		t.Errorf("%+v", back)
	}
}

// TestAim: tokens that count as done ask for nothing, and a spec that is there is gone back to.
func TestAim(t *testing.T) {
	running, kept := made(nil), made(func(c *contract.Contract) { c.Models[0].Handlers[0].Add["n"] = "2" })
	compile.Rename(running, "first")
	others := []Revision{{Contract: kept}}
	for _, c := range []struct {
		name  string
		fresh *contract.Contract
		token string
		want  string
		class Class
	}{
		{"the same", made(nil), "first", running.Revision, NothingToDo},
		{"the token taken away", made(nil), "", running.Revision, NothingToDo},
		{"a token of before", made(nil), "zeroth", running.Revision, NothingToDo},
		{"another token", made(nil), "second", compile.AttemptRevision(running.DataHash, "second"), NewRevision},
		{"what is kept", made(func(c *contract.Contract) { c.Models[0].Handlers[0].Add["n"] = "2" }), "", kept.Revision, NewRevision},
		{"what is kept, with a token", made(func(c *contract.Contract) { c.Models[0].Handlers[0].Add["n"] = "2" }), "first",
			compile.AttemptRevision(kept.DataHash, "first"), NewRevision},
	} {
		Aim(&Revision{Contract: running, Attempts: []string{"zeroth"}}, others, c.fresh, c.token)
		if got := Between(running, c.fresh); c.fresh.Revision != c.want || got.Class != c.class {
			t.Errorf("%s: revision %s, %s, want %s, %s", c.name, c.fresh.Revision, got.Class, c.want, c.class)
		}
	}
}

// A revision with a start is what a spec asks for while it runs, keeps its start through edits in place, and is never taken for another one.
func TestAimKeepsStarts(t *testing.T) {
	started := func() *contract.Contract {
		c := made(nil)
		compile.Rename(c, "since")
		c.From = &contract.From{Positions: []contract.FromPosition{{Topic: "t", Position: "5"}}}
		return c
	}
	fresh := made(nil)
	Aim(&Revision{Contract: started()}, nil, fresh, "")
	if fresh.From == nil || fresh.Attempt != "since" {
		t.Errorf("where it runs: %+v", fresh)
	}
	running := made(func(c *contract.Contract) { c.Models[0].Handlers[0].Add["n"] = "2" })
	fresh = made(nil)
	Aim(&Revision{Contract: running}, []Revision{{Contract: started()}}, fresh, "")
	if fresh.From != nil || fresh.Attempt != "" {
		t.Errorf("where it is kept: %+v", fresh)
	}
	fresh = started()
	Aim(&Revision{Contract: started()}, nil, fresh, "again")
	if fresh.From != nil || fresh.Attempt != "again" {
		t.Errorf("a token: %+v", fresh)
	}
}

// TestSpecVerify: a default that is written out is no change, and anything else is one.
func TestSpecVerify(t *testing.T) {
	all, some := &v1alpha1.Verify{}, &v1alpha1.Verify{Sample: "1%"}
	tested := &v1alpha1.Verify{Sample: "1%", Assertions: []v1alpha1.Assertion{{Name: "a", Model: "m", Row: "row.n > 0"}}}
	for _, c := range []struct {
		from, to *v1alpha1.Verify
		want     string
	}{
		{nil, nil, ""},
		{all, &v1alpha1.Verify{Sample: "100%", DeadlineSeconds: 3600}, ""},
		{nil, all, "added: new revisions are verified before readers see them"},
		{some, nil, "removed: readers see new revisions without verification"},
		{all, some, "changed: new revisions are verified another way before readers see them"},
		{some, tested, "changed: new revisions are verified another way before readers see them"},
	} {
		from, to := v1alpha1.ProjectionSpec{}, v1alpha1.ProjectionSpec{}
		from.Rollout.Verify, to.Rollout.Verify = c.from, c.to
		got := Spec(&from, &to)
		switch {
		case c.want == "" && len(got) > 0, c.want != "" && (len(got) != 1 || got[0].Path != "rollout.verify" || got[0].Message != c.want || got[0].Rebuild):
			t.Errorf("from %+v to %+v: %v, want %q", c.from, c.to, got, c.want)
		}
	}
}
