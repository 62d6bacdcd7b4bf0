// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package model

import (
	"fmt"
	"slices"
	"strings"
)

// System is a protocol in small. S holds everything that a step may depend on;
// it must be comparable by value, and is copied freely.
type System[S comparable] struct {
	Name string
	Init S
	// Next offers every step that somebody can take in a state.
	Next func(s S, steps *Steps[S])
	// Invariants are what no step may break.
	Invariants []Invariant[S]
	// Done tells whether nothing is left to do. From each state that can be
	// reached one that is done must be within reach, or the system is Stuck.
	Done func(s S) bool
	// Show renders what of a state a reader of a trace wants to see.
	Show func(s S) string
}

// Invariant is a property of a step. One of states looks at to alone; the
// initial state is looked at as a step from itself to itself.
type Invariant[S comparable] struct {
	Name   string
	Broken func(from, to S) bool
}

// Stuck is the name of the invariant that Done stands for.
const Stuck = "the work can always be completed"

// Steps collects the steps out of one state.
type Steps[S comparable] struct {
	visit func(S)
	// When a trace is written: the state whose step is looked for, and its label.
	sought S
	label  string
}

// To offers a step. The arguments are those of fmt.Sprintf; the text is made
// only for a trace.
func (st *Steps[S]) To(to S, format string, args ...int) {
	if st.visit != nil {
		st.visit(to)
		return
	}
	if st.label == "" && to == st.sought {
		list := make([]any, len(args))
		for i, a := range args {
			list[i] = a
		}
		st.label = fmt.Sprintf(format, list...)
	}
}

// Result is what a search has found.
type Result struct {
	// States that were reached, Steps between them, and Depth, the largest number of steps from the initial one.
	States, Steps, Depth int
	// Broken is the invariant that does not hold, "" where all do; Trace leads there on a shortest way.
	Broken string
	Trace  []Line
}

// Line is one step of a trace: what was done, and how things are then.
type Line struct{ Step, State string }

// String renders a trace, one step a line.
func (r Result) String() string {
	width := 0
	for _, l := range r.Trace {
		width = max(width, len(l.Step))
	}
	var b strings.Builder
	for i, l := range r.Trace {
		fmt.Fprintf(&b, "%2d. %-*s  | %s\n", i, width, l.Step, l.State)
	}
	return b.String()
}

// Check searches all states that can be reached, breadth first, until an
// invariant is broken. only names the invariants that count; without any, all
// do. It fails on an unknown name and when there are more than limit states.
func Check[S comparable](sys System[S], limit int, only ...string) (Result, error) {
	c := &search[S]{sys: sys, index: map[S]int32{}}
	stuck := len(only) == 0
	for _, name := range only {
		at := slices.IndexFunc(sys.Invariants, func(i Invariant[S]) bool { return i.Name == name })
		switch {
		case name == Stuck:
			stuck = true
		case at < 0:
			return Result{}, fmt.Errorf("the model %s has no invariant %q", sys.Name, name)
		default:
			c.invariants = append(c.invariants, sys.Invariants[at])
		}
	}
	if len(only) == 0 {
		c.invariants = sys.Invariants
	}
	c.add(sys.Init, -1)
	c.judge(sys.Init, sys.Init, -1)
	steps := &Steps[S]{visit: c.visit}
	for c.at = 0; c.at < len(c.states) && c.broken == ""; c.at++ {
		if len(c.states) > limit {
			return Result{}, fmt.Errorf("the model %s has more than %d states", sys.Name, limit)
		}
		c.begins = append(c.begins, len(c.edges))
		sys.Next(c.states[c.at], steps)
	}
	c.begins = append(c.begins, len(c.edges))
	if c.broken == "" && stuck {
		c.findStuck()
	}
	r := Result{States: len(c.states), Steps: len(c.edges), Broken: c.broken}
	for i := len(c.states) - 1; i > 0; i = int(c.parents[i]) {
		r.Depth++
	}
	if r.Broken != "" {
		r.Trace = c.trace()
	}
	return r, nil
}

type search[S comparable] struct {
	sys        System[S]
	invariants []Invariant[S]

	states  []S
	index   map[S]int32
	parents []int32
	edges   []int32 // those out of state i begin at begins[i]
	begins  []int
	at      int

	broken string
	from   int32 // the last step of the trace leads from this state, -1 where there is none,
	last   S     // to this one
}

func (c *search[S]) add(s S, parent int32) int32 {
	i := int32(len(c.states))
	c.states, c.parents = append(c.states, s), append(c.parents, parent)
	c.index[s] = i
	return i
}

func (c *search[S]) visit(to S) {
	i, known := c.index[to]
	if !known {
		i = c.add(to, int32(c.at))
	}
	c.edges = append(c.edges, i)
	if c.broken == "" {
		c.judge(c.states[c.at], to, int32(c.at))
	}
}

func (c *search[S]) judge(from, to S, at int32) {
	for _, inv := range c.invariants {
		if inv.Broken(from, to) {
			c.broken, c.from, c.last = inv.Name, at, to
			return
		}
	}
}

// findStuck finds the first state from which none that is done can be reached.
func (c *search[S]) findStuck() {
	reaches := make([]bool, len(c.states))
	for i, s := range c.states {
		reaches[i] = c.sys.Done(s)
	}
	for changed := true; changed; {
		changed = false
		for i := len(c.states) - 1; i >= 0; i-- {
			if !reaches[i] && slices.ContainsFunc(c.edges[c.begins[i]:c.begins[i+1]], func(to int32) bool { return reaches[to] }) {
				reaches[i], changed = true, true
			}
		}
	}
	if i := slices.Index(reaches, false); i >= 0 {
		c.broken, c.from, c.last = Stuck, c.parents[i], c.states[i]
	}
}

// trace walks back from the last step, and asks each state again how its step to the next is called.
func (c *search[S]) trace() []Line {
	path := []S{c.last}
	for i := c.from; i >= 0; i = c.parents[i] {
		path = append(path, c.states[i])
	}
	slices.Reverse(path)
	lines := []Line{{Step: "at first", State: c.sys.Show(path[0])}}
	for i, s := range path[1:] {
		steps := &Steps[S]{sought: s}
		c.sys.Next(path[i], steps)
		lines = append(lines, Line{Step: steps.label, State: c.sys.Show(s)})
	}
	return lines
}
