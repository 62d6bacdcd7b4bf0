// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"github.com/projectionist-dev/projectionist/contract/jsondoc"
)

// spot is where a path of the event is in Activation.Members. A nil spot is nowhere.
type spot struct {
	paths *jsondoc.Paths
	// chain leads from the root to end.
	chain []jsondoc.Member
	end   jsondoc.Member
}

// spot names a path among Options.Members; nil where there are none, or the path is not of the event.
func (v *vocabulary) spot(p path) *spot {
	if v.members == nil || p.from != fromEvent {
		return nil
	}
	chain := v.members.Add(p.names...)
	return &spot{v.members, chain, chain[len(chain)-1]}
}

// in gives the members of the event at hand; nil where the tree has to be looked at.
func (s *spot) in(a *Activation) *jsondoc.Doc {
	if s == nil || a.Members == nil || !a.Members.Knows(s.paths) {
		return nil
	}
	return a.Members
}

// scalar gives the value of a member; ok is false for objects, lists and what is not there.
func scalar(d *jsondoc.Doc, m jsondoc.Member, label string) (v fval, ok bool, f *Failure) {
	switch d.Kind(m) {
	case jsondoc.String:
		return textVal(d.String(m)), true, nil
	case jsondoc.Number:
		v, f = numberVal(d.Number(m), label)
		return v, true, f
	case jsondoc.Null:
		return fval{}, true, nil
	case jsondoc.True:
		return boolVal(true), true, nil
	case jsondoc.False:
		return boolVal(false), true, nil
	}
	return fval{}, false, nil
}

// has tells whether the path's end is there; ok is false where what holds it is no object.
func (s *spot) has(d *jsondoc.Doc, label string) (v fval, ok bool, f *Failure) {
	if d.Kind(s.chain[len(s.chain)-2]) != jsondoc.Object {
		return fval{}, false, nil
	}
	kind := d.Kind(s.end)
	if kind == jsondoc.Number {
		// CEL looks at the value, too, and fails on a number beyond the limits.
		_, f = numberVal(d.Number(s.end), label)
	}
	return boolVal(kind != jsondoc.Missing), true, f
}

// absent tells that the path's end is not there, and that none of its names but
// those from fixed are missing; it is false, too, where CEL has to look.
func (s *spot) absent(d *jsondoc.Doc, fixed int) bool {
	for i := len(s.chain) - 1; i >= fixed; i-- {
		switch d.Kind(s.chain[i]) {
		case jsondoc.Missing:
		case jsondoc.List, jsondoc.Number:
			return false
		default:
			return i < len(s.chain)-1
		}
	}
	return false
}
