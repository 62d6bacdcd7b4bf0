// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"slices"
	"strings"
)

// Limits of the types that an Evaluator remembers per topic (Law 10).
const (
	maxTypes     = 1024
	maxTypeBytes = 256
)

// pattern is an event type as handlers and upcasts name it: * stands for any text.
type pattern string

func (p pattern) literal() bool { return strings.IndexByte(string(p), '*') < 0 }

// matches takes at most len(p) * len(s) steps.
func (p pattern) matches(s string) bool {
	// after and from are where to go on when the last * has to take one byte more.
	after, from, i := -1, 0, 0
	for j := 0; j < len(s); {
		switch {
		case i < len(p) && p[i] == '*':
			i++
			after, from = i, j
		case i < len(p) && p[i] == s[j]:
			i, j = i+1, j+1
		case after >= 0:
			from++
			i, j = after, from
		default:
			return false
		}
	}
	return strings.Trim(string(p[i:]), "*") == ""
}

// patterns match a type if one of them does.
type patterns []pattern

func patternsOf(events []string) patterns {
	out := make(patterns, len(events))
	for i, e := range events {
		out[i] = pattern(e)
	}
	return out
}

func (ps patterns) match(s string) bool {
	return slices.ContainsFunc(ps, func(p pattern) bool { return p.matches(s) })
}

// taker is a handler with the types that it takes.
type taker struct {
	h        *handler
	events   patterns
	fallback bool
}

// takers are the handlers of one topic's events, in the contract's order.
type takers []taker

// of gives the handlers of an event type.
func (ts takers) of(typ string) []*handler {
	return ts.whose(func(ps patterns) bool { return ps.match(typ) })
}

// whose gives the handlers of a type that the patterns match which match does.
func (ts takers) whose(match func(patterns) bool) []*handler {
	var out []*handler
	for i := range ts {
		t := &ts[i]
		switch {
		case t.fallback:
			if slices.ContainsFunc(ts, func(o taker) bool { return o.h.model == t.h.model && match(o.events) }) {
				continue
			}
		case len(t.events) > 0 && !match(t.events):
			continue
		}
		out = append(out, t.h)
	}
	return out
}

// dispatch answers which handlers take a type. What is named without a * is
// looked up, as is every other type where there is no *; a type that a * may
// match is looked up in the lane's memory.
type dispatch struct {
	takers takers
	named  map[string][]*handler
	// others take a type that nothing matches.
	others  []*handler
	pattern bool
}

func newDispatch(ts takers) *dispatch {
	d := &dispatch{takers: ts, named: map[string][]*handler{}}
	for _, t := range ts {
		for _, p := range t.events {
			if p.literal() {
				d.named[string(p)] = ts.of(string(p))
			} else {
				d.pattern = true
			}
		}
	}
	d.others = ts.whose(func(patterns) bool { return false })
	return d
}

// handlersOf gives the handlers of a type, which may alias the event. However
// many types there are, an Evaluator remembers maxTypes of them.
func (l *lane) handlersOf(typ string) []*handler {
	d := l.topic.dispatch
	if hs, ok := d.named[typ]; ok || !d.pattern {
		if !ok {
			hs = d.others
		}
		return hs
	}
	if hs, ok := l.types[typ]; ok {
		return hs
	}
	hs := d.takers.of(typ)
	if len(typ) > maxTypeBytes {
		return hs
	}
	if len(l.types) >= maxTypes {
		clear(l.types)
	}
	l.types[strings.Clone(typ)] = hs
	return hs
}
