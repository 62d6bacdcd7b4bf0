// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package model

import (
	"strings"
	"testing"
)

// counter counts to five by ones and twos, and may fall into a trap from three.
func counter(trap bool) System[int] {
	return System[int]{
		Name: "counter",
		Next: func(s int, steps *Steps[int]) {
			for by := 1; by <= 2 && s >= 0; by++ {
				if s+by <= 5 {
					steps.To(s+by, "add %d", by)
				}
			}
			if trap && s == 3 {
				steps.To(-1, "fall")
			}
		},
		Invariants: []Invariant[int]{
			{"below four", func(_, s int) bool { return s >= 4 }},
			{"never from three to four", func(from, to int) bool { return from == 3 && to == 4 }},
			{"below nine", func(_, s int) bool { return s >= 9 }},
		},
		Done: func(s int) bool { return s == 5 },
		Show: func(s int) string { return strings.Repeat("x", max(s, 0)) },
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		trap   bool
		only   []string
		broken string
		steps  []string
	}{
		{name: "holds", only: []string{"below nine", Stuck}},
		{name: "shortest way", only: []string{"below four"}, broken: "below four", steps: []string{"at first", "add 2", "add 2"}},
		// Four is reached by another step before: this one counts all the same.
		{name: "of a step", only: []string{"never from three to four"}, broken: "never from three to four", steps: []string{"at first", "add 1", "add 2", "add 1"}},
		{name: "stuck", trap: true, only: []string{Stuck}, broken: Stuck, steps: []string{"at first", "add 1", "add 2", "fall"}},
		{name: "a trap that nobody asks for", trap: true, only: []string{"below nine"}},
		{name: "all", broken: "below four", steps: []string{"at first", "add 2", "add 2"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, err := Check(counter(test.trap), 100, test.only...)
			if err != nil {
				t.Fatal(err)
			}
			var steps []string
			for _, l := range r.Trace {
				steps = append(steps, l.Step)
			}
			if r.Broken != test.broken || strings.Join(steps, ", ") != strings.Join(test.steps, ", ") {
				t.Errorf("broken %q after %q, want %q after %q", r.Broken, steps, test.broken, test.steps)
			}
		})
	}
	if r, err := Check(counter(false), 100, "below nine"); err != nil || r.States != 6 || r.Steps != 9 || r.Depth != 3 {
		t.Errorf("%+v, %v: want 6 states, 9 steps, depth 3", r, err)
	}
	if _, err := Check(counter(false), 100, "no such"); err == nil {
		t.Error("an invariant that does not exist is accepted")
	}
	if _, err := Check(counter(false), 4, "below nine"); err == nil {
		t.Error("more states than the limit are accepted")
	}
}

func TestTrail(t *testing.T) {
	t.Parallel()
	for n, want := range []string{"-", "e0", "e0e1", "e0e1e2"} {
		if got := inOrder(uint8(n)).String(); got != want {
			t.Errorf("trail of %d events %q, want %q", n, got, want)
		}
	}
	if inOrder(1).add(0) == inOrder(2) {
		t.Error("an event twice looks like two events")
	}
}
