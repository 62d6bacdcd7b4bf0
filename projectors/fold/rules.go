// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package fold

import (
	"slices"

	"github.com/projectionist-dev/projectionist/contract/value"
)

// Rules are what every value of a column obeys, beside its type. The operands of
// effects obey them, except that an add's is any difference; the fold holds sums
// to Min and Max, and lists to MaxItems and Distinct.
type Rules struct {
	NotNull bool
	// Enum lists the values of a text column; nil is any.
	Enum []string
	// Min and Max are both included; nil is none.
	Min, Max value.Value
	// MaxItems keeps the newest elements of a list. 0 is all, up to
	// value.MaxArrayElements: an event that would append more is an error.
	MaxItems int
	// Distinct appends nothing that the list holds.
	Distinct bool
}

// Obeys tells whether a value of the column's type, or NULL, may stand in the
// column: nil, or a *value.Error. Lists are brought into form by Normal instead.
func (c *Column) Obeys(v value.Value) error {
	r := &c.Rules
	if v == nil {
		if r.NotNull {
			return &value.Error{Predicate: "null, and the column is notNull"}
		}
		return nil
	}
	if text, ok := v.(string); ok && r.Enum != nil && !slices.Contains(r.Enum, text) {
		return &value.Error{Predicate: "not one of the values in the column's enum"}
	}
	if r.Min != nil && value.Compare(v, r.Min) < 0 {
		return &value.Error{Predicate: "less than the column's range.min"}
	}
	if r.Max != nil && value.Compare(v, r.Max) > 0 {
		return &value.Error{Predicate: "greater than the column's range.max"}
	}
	return nil
}

// Normal gives a value as the column holds it: of a list, what is left when its
// elements are appended to an empty list one after another by the column's rules.
func (c *Column) Normal(v value.Value) value.Value {
	list, ok := v.([]value.Value)
	if !ok || c.Rules.MaxItems == 0 && !c.Rules.Distinct {
		return v
	}
	out, _ := c.grown([]value.Value{}, list) // a list of the type is not too long
	return out
}

// grown gives a new list, with items appended one after another. It is false
// when the list would be longer than any may be.
func (c *Column) grown(list, items []value.Value) ([]value.Value, bool) {
	r := &c.Rules
	if r.Distinct {
		return c.grownDistinct(list, items)
	}
	n := len(list) + len(items)
	if r.MaxItems == 0 && n > value.MaxArrayElements {
		return nil, false
	}
	if r.MaxItems > 0 && n > r.MaxItems {
		list = list[min(n-r.MaxItems, len(list)):]
		items = items[max(len(items)-r.MaxItems, 0):]
	}
	return append(append(make([]value.Value, 0, len(list)+len(items)), list...), items...), true
}

func (c *Column) grownDistinct(list, items []value.Value) ([]value.Value, bool) {
	var buf []byte
	held := make(map[string]struct{}, len(list)+len(items))
	for _, e := range list {
		buf = value.AppendKey(buf[:0], e)
		held[string(buf)] = struct{}{}
	}
	out := slices.Clip(list)
	for _, e := range items {
		buf = value.AppendKey(buf[:0], e)
		if _, there := held[string(buf)]; there {
			continue
		}
		held[string(buf)] = struct{}{}
		out = append(out, e)
		switch {
		case c.Rules.MaxItems == 0 && len(out) > value.MaxArrayElements:
			return nil, false
		case c.Rules.MaxItems > 0 && len(out) > c.Rules.MaxItems:
			buf = value.AppendKey(buf[:0], out[0])
			delete(held, string(buf))
			out = out[1:]
		}
	}
	return out, true
}
