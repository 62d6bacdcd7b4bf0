// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"maps"
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
)

// checkJoins holds joins to finding one row at most, which is so when they match
// the whole key of the other model, and to names that the view does not have yet.
func (m *model) checkJoins(joins []v1alpha1.Join, models []*model) {
	names := map[string]bool{}
	for _, spec := range joins {
		path := m.path + ".joins[" + spec.Model + "]"
		i := slices.IndexFunc(models, func(o *model) bool { return o.out.Name == spec.Model })
		if i < 0 {
			m.invalid(path+".model", "there is no model %s in this projection; models of one projection are switched together, so join those", spec.Model)
			continue
		}
		other := models[i]
		m.checkMatch(path+".match", spec.Match, other)
		if len(spec.Set) == 0 {
			m.invalid(path+".set", "the join adds no column; name at least one")
		}
		for _, name := range slices.Sorted(maps.Keys(spec.Set)) {
			at, from := path+".set."+name, string(spec.Set[name])
			switch {
			case m.has(name):
				m.invalid(at, "the model has a column %s of its own; give the joined one another name", name)
			case names[name]:
				m.invalid(at, "another join gives a column %s; rename one", name)
			default:
				m.checkColumnName(at, name)
			}
			names[name] = true
			if !other.has(from) {
				m.invalid(at, "model %s has no column %s; correct the name%s", other.out.Name, from, yamlTrap(from))
			}
		}
		m.out.Joins = append(m.out.Joins, contract.Join{Model: spec.Model, Match: columnNames(spec.Match), Set: columnNames(spec.Set)})
	}
}

func (m *model) checkMatch(path string, match map[string]v1alpha1.ColumnName, other *model) {
	var missing []string
	for _, name := range other.out.Key {
		if _, ok := match[name]; !ok {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		m.invalid(path, "a join finds a row by its whole key; say which column of this model %s of model %s is", strings.Join(missing, ", "), other.out.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(match)) {
		at, mine := path+"."+name, string(match[name])
		theirs, known := other.types[name]
		own, ownKnown := m.types[mine]
		switch {
		case !other.isKey(name):
			m.invalid(at, "%s is no key column of model %s; match the key: %s", name, other.out.Name, strings.Join(other.out.Key, ", "))
		case !m.has(mine):
			m.invalid(at, "there is no column %s in model %s; declare it in columns, or correct the name%s", mine, m.out.Name, yamlTrap(mine))
		case m.column(mine).Native != "":
			m.invalid(at, "column %s has a type of the database's own, whose values may not compare with those of %s; remove its native", mine, name)
		case known && ownKnown && theirs != own:
			m.invalid(at, "column %s is %s, and %s of model %s is %s; give them the same type", mine, own, name, other.out.Name, theirs)
		}
	}
}

func columnNames(in map[string]v1alpha1.ColumnName) map[string]string {
	out := make(map[string]string, len(in))
	for k, v := range in {
		out[k] = string(v)
	}
	return out
}
