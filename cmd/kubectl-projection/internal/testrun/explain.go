// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package testrun

import (
	"fmt"
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/replay"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/rows"
	"github.com/projectionist-dev/projectionist/projectors/handlers"
)

// explain adds to the failures of rows which events reached the row and which
// were not applied at all.
func explain(vs []rows.View, failures []Failure, trace []replay.Traced) {
	for i := range failures {
		f := &failures[i]
		m := slices.IndexFunc(vs, func(v rows.View) bool { return v.Model.Name == f.Model })
		if m < 0 {
			continue
		}
		for _, t := range trace {
			switch {
			case t.Stop != nil || t.Behind:
			case t.Outcome.Result == handlers.IgnoredType:
				f.Unhandled = append(f.Unhandled, name(t))
			case t.Outcome.Result == handlers.IgnoredWhen:
				f.Skipped = append(f.Skipped, name(t))
			default:
				if touch, ok := touched(&vs[m], f.Key, t); ok {
					f.Touched = append(f.Touched, touch)
				}
			}
		}
	}
}

// name is an event as people read it: #2 Received.
func name(t replay.Traced) string {
	return strings.TrimSpace(fmt.Sprintf("#%d %s", t.Event+1, t.Type))
}

// touched tells what an event did to the row of a key.
func touched(v *rows.View, key string, t replay.Traced) (Touch, bool) {
	touch := Touch{Event: name(t)}
	var names []string
	var reached bool
	for _, e := range t.Effects {
		if e.Model != v.Index {
			continue
		}
		if e.Key != nil && v.KeyText(e.Key) != key {
			continue
		}
		reached = reached || e.Key != nil
		if h := e.HandlerName(); !slices.Contains(names, h) {
			names = append(names, h)
		}
	}
	i := slices.IndexFunc(t.Changes, func(c replay.Change) bool {
		return c.Model == v.Index && v.Key(c.Row()) == key
	})
	switch {
	case i >= 0:
		touch.Effect = v.Change(t.Changes[i].Before, t.Changes[i].After)
	case reached:
		touch.Effect = "no change"
	default:
		return touch, false
	}
	if len(names) == 0 {
		names = append(names, "by a join")
	}
	touch.Handler = strings.Join(names, ", ")
	return touch, true
}
