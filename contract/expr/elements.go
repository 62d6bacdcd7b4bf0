// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"cmp"
	"slices"

	"github.com/valyala/fastjson"
)

// MaxElements bounds the elements of a forEach.
const MaxElements = 10_000

// Elements are the elements of a forEach. The zero value is ready to use; it
// belongs to one goroutine.
type Elements struct {
	// Items are in order: of a list its elements, of an object one object
	// {"key": ..., "value": ...} per member, by key bytewise. They are valid until the
	// next call of Program.Elements and as long as the event.
	Items []*fastjson.Value
	// TooMany is true where Program.Elements has failed since there are more than MaxElements.
	TooMany bool

	arena   fastjson.Arena
	members []member
}

type member struct {
	key   string
	value *fastjson.Value
}

// Elements evaluates a forEach into e: a list or an object of at most MaxElements.
// Anything else, null among it, is a *Failure. Each item can be Activation.Item.
func (p *Program) Elements(a *Activation, e *Elements) error {
	e.Items, e.members, e.TooMany = e.Items[:0], e.members[:0], false
	e.arena.Reset()
	v, err := p.EvalJSON(a, &e.arena)
	if err != nil {
		return err
	}
	return orNil(p.elementsOf(v, e))
}

// orNil keeps a nil *Failure from becoming an error that is not nil.
func orNil(f *Failure) error {
	if f == nil {
		return nil
	}
	return f
}

func (p *Program) elementsOf(v *fastjson.Value, e *Elements) *Failure {
	switch {
	case isArray(v):
		e.Items = append(e.Items, v.GetArray()...)
	case v != nil && v.Type() == fastjson.TypeObject:
		o := v.GetObject()
		if o.Len() > MaxElements {
			return p.tooManyElements(e) // before they are sorted
		}
		o.Visit(func(k []byte, v *fastjson.Value) { e.members = append(e.members, member{string(k), v}) })
		// Of two members of one name the first counts.
		slices.SortStableFunc(e.members, func(x, y member) int { return cmp.Compare(x.key, y.key) })
		e.members = slices.CompactFunc(e.members, func(x, y member) bool { return x.key == y.key })
		for _, m := range e.members {
			o := e.arena.NewObject()
			o.Set("key", textJSON(&e.arena, m.key))
			o.Set("value", m.value)
			e.Items = append(e.Items, o)
		}
	default:
		return failf("%s is %s, expected a list or an object", p.subject(), describeJSON(v))
	}
	if len(e.Items) > MaxElements {
		return p.tooManyElements(e)
	}
	return nil
}

func (p *Program) tooManyElements(e *Elements) *Failure {
	e.TooMany = true
	return failf("%s has more than %d elements", p.subject(), MaxElements)
}
