// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"maps"
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/expr"
)

// notJSON are the types whose values no JSON document can hold.
var notJSON = []expr.Type{expr.TypeBytes, expr.TypeDuration, expr.TypeOptional, expr.TypeOther}

// upcasts checks what turns old versions of events into the current one.
func (r reporter) upcasts(t *topic) {
	for i := range t.Upcasts {
		u := &t.Upcasts[i]
		path := "upcasts[" + u.Name + "]"
		if slices.ContainsFunc(t.Upcasts[:i], func(o contract.Upcast) bool { return o.Name == u.Name }) {
			r.invalid(path, "there are two upcasts of this name; rename one")
			continue
		}
		r.upcastEvents(path, t, u)
		if p := r.topicExpression(path+".when", u.When); p != nil && p.Type() != expr.TypeBool && p.Type() != expr.TypeDyn {
			r.invalid(path+".when", "the expression is of type %s, and a condition must be a bool; write a comparison", p.Type())
		}
		if len(u.Set) == 0 && len(u.Unset) == 0 && u.Type == "" {
			r.invalid(path, "the upcast does nothing; give it set, unset or type")
		}
		if f := formats[v1alpha1.EventFormat(t.Format)]; f.event != "" && len(u.Set)+len(u.Unset) > 0 {
			r.invalid(path, "events of format %s have no members to set; remove set and unset, or change the topic's format", t.Format)
		}
		for _, name := range slices.Sorted(maps.Keys(u.Set)) {
			at := path + ".set." + name
			r.memberName(at, name)
			if slices.Contains(u.Unset, name) {
				r.invalid(at, "member %s is in unset, too; remove one", name)
			}
			if p := r.topicExpression(at, u.Set[name]); p != nil && slices.Contains(notJSON, p.Type()) {
				r.invalid(at, "the expression is of type %s, which a payload cannot hold; write string(...)", p.Type())
			}
		}
		for _, name := range u.Unset {
			r.memberName(path+".unset", name)
		}
	}
}

func (r reporter) upcastEvents(path string, t *topic, u *contract.Upcast) {
	if len(u.Events) > 0 && !t.hasType() {
		r.invalid(path+".events", "the topic does not say where an event's type is found, so that none can be selected; set event.type, or use when")
	}
	for i, e := range u.Events {
		if slices.Contains(u.Events[:i], e) {
			r.invalid(path+".events", "an event type is named twice; remove one")
		}
	}
}

// memberName checks the name of a member, or of a member of a member: customer.id.
func (r reporter) memberName(path, name string) {
	if trap := yamlTrap(name); trap != "" {
		r.advise(path, "the member is named %q%s", name, trap)
	}
	if slices.Contains(strings.Split(name, "."), "") {
		r.invalid(path, "%q is no member; write its name, or names with a point between them for a member of a member, such as customer.id", name)
	}
}
