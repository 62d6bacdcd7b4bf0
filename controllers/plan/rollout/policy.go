// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"fmt"
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/compile"
)

// The policies: each says whether a change from one contract to another is of its kind, and why.

// Unchanged is a spec that is in effect already.
func Unchanged(from, to *contract.Contract) (reason, message string, needed bool) {
	if len(compile.Diff(from, to)) > 0 {
		return "", "", false
	}
	return v1alpha1.ReasonAccepted, "nothing changes", true
}

// Edited is a change that takes effect in the tables that exist.
func Edited(from, to *contract.Contract) (reason, message string, needed bool) {
	diff := compile.Diff(from, to)
	if len(diff) == 0 || !compile.SameData(from, to) {
		return "", "", false
	}
	return v1alpha1.ReasonAccepted, lines(diff, false), true
}

// Rebuilt is a change that needs a new revision: rows would differ, or a token asks for it.
func Rebuilt(from, to *contract.Contract, token string, done []string) (reason, message string, needed bool) {
	switch {
	case !compile.SameData(from, to):
		return v1alpha1.ReasonBuilding, lines(compile.Diff(from, to), true), true
	case token != "" && from.Attempt != token && !slices.Contains(done, token):
		return v1alpha1.ReasonBuilding, "spec.replayToken asks for a rebuild", true
	}
	return "", "", false
}

// BreaksReaders is a switch that takes a view or one of its columns from readers, or gives a column another type.
func BreaksReaders(from, to *contract.Contract) (reason, message string, needed bool) {
	var lost []string
	for i := range from.Models {
		before := &from.Models[i]
		j := slices.IndexFunc(to.Models, func(m contract.Model) bool { return m.Name == before.Name })
		if j < 0 {
			lost = append(lost, "view "+before.Name)
			continue
		}
		after := seen(&to.Models[j])
		for name, typ := range seen(before) {
			switch now, there := after[name]; {
			case !there:
				lost = append(lost, "column "+before.Name+"."+name)
			case now != typ && now != "" && typ != "":
				lost = append(lost, fmt.Sprintf("%s.%s as %s", before.Name, name, typ))
			}
		}
	}
	if len(lost) == 0 {
		return "", "", false
	}
	slices.Sort(lost)
	return v1alpha1.ReasonReadersWouldBreak, "the switch takes from readers: " + limited(lost, ", "), true
}

// seen are the columns of a model's view with their types; those of joins have none of their own.
func seen(m *contract.Model) map[string]string {
	out := map[string]string{}
	for _, c := range m.Columns {
		out[c.Name] = c.Type
	}
	for _, j := range m.Joins {
		for name := range j.Set {
			out[name] = ""
		}
	}
	return out
}

// Refused is a new revision that cannot be built for lack of events.
func Refused(incomplete string) (reason, message string, needed bool) {
	if incomplete == "" {
		return "", "", false
	}
	return v1alpha1.ReasonReplayNotPossible, incomplete, true
}

func lines(changes []compile.Change, rebuilds bool) string {
	var out []string
	for _, c := range changes {
		if c.Rebuild == rebuilds {
			out = append(out, c.String())
		}
	}
	return limited(out, "; ")
}

// limited says the first few of many.
func limited(all []string, between string) string {
	const limit = 3
	if more := len(all) - limit; more > 0 {
		all = append(slices.Clone(all[:limit]), fmt.Sprintf("and %d more", more))
	}
	return strings.Join(all, between)
}
