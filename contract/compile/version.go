// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/expr"
	"github.com/projectionist-dev/projectionist/contract/value"
)

// versionKinds are the types whose values can be versions: exact, and in an order.
var versionKinds = []value.Kind{value.Int32, value.Int64, value.Decimal, value.Text, value.Timestamp, value.Date}

func (m *model) checkVersions(specs []v1alpha1.VersionGroup) {
	before := len(*m.problems)
	defer func() { m.unsure = len(*m.problems) > before }()
	for i := range specs {
		spec := &specs[i]
		path := m.path + ".versions[" + spec.Column + "]"
		if m.groupOf(spec.Column) != nil {
			m.invalid(path, "there are two groups with this version column; make one of them")
			continue
		}
		m.checkVersionColumn(path+".column", spec.Column)
		if len(spec.Columns) == 0 {
			m.invalid(path+".columns", "the version guards no column; name those that the event with the highest version writes")
		}
		for j, name := range spec.Columns {
			at := path + ".columns"
			isVersion := func(g v1alpha1.VersionGroup) bool { return g.Column == name }
			guards := func(g v1alpha1.VersionGroup) bool { return slices.Contains(g.Columns, name) }
			switch {
			case slices.Contains(spec.Columns[:j], name):
				m.invalid(at, "column %s is named twice; remove one", name)
			case !m.has(name):
				m.invalid(at, "there is no column %s; declare it in columns, or correct the name%s", name, yamlTrap(name))
			case m.isKey(name):
				m.invalid(at, "%s is a key column, and the key of a row never changes; remove it", name)
			case slices.ContainsFunc(specs, isVersion):
				m.invalid(at, "%s is a version column, which is written with the version alone; remove it", name)
			case m.column(name).Generated != "":
				m.invalid(at, "%s is generated from other columns; guard those", name)
			case slices.ContainsFunc(specs[:i], guards):
				m.invalid(at, "column %s is in another group already; a column has one version", name)
			}
		}
		m.out.Versions = append(m.out.Versions, contract.VersionGroup{Column: spec.Column, Columns: slices.Clone(spec.Columns)})
	}
}

func (m *model) checkVersionColumn(path, name string) {
	t, known := m.types[name]
	switch {
	case !m.has(name):
		m.invalid(path, "there is no column %s; declare it in columns, for example as int64%s", name, yamlTrap(name))
		return
	case m.isKey(name):
		m.invalid(path, "%s is a key column, and the key of a row never changes; use another column", name)
	case known && (t.Array || !slices.Contains(versionKinds, t.Kind)):
		m.invalid(path, "column %s is %s, which cannot be a version; use int32, int64, decimal, text, timestamp or date", name, t)
	}
	col := m.column(name)
	if col.Default != nil {
		m.invalid(path, "version column %s has a default, so that a new row would have a version that no event gave; remove the default", name)
	}
	if col.Generated != "" || col.Native != "" {
		m.invalid(path, "version column %s is written by versionBy alone, as it is; remove generated and native", name)
	}
}

// groupOf gives the group with this version column, nil for none.
func (m *model) groupOf(versionColumn string) *contract.VersionGroup {
	for i := range m.out.Versions {
		if m.out.Versions[i].Column == versionColumn {
			return &m.out.Versions[i]
		}
	}
	return nil
}

// group gives the handler's version group, nil for none.
func (m *model) group(h *handler) *contract.VersionGroup {
	if h.out.VersionBy == nil {
		return nil
	}
	return m.groupOf(h.out.VersionBy.Column)
}

// checkVersionBy checks a handler's version. That it sets its whole group and
// nothing else is asked of it where order does not come to the rescue: see guardFault.
func (m *model) checkVersionBy(h *handler) {
	if h.out.VersionBy == nil {
		return
	}
	column, source := h.out.VersionBy.Column, h.out.VersionBy.Value
	path := h.path + ".versionBy." + column
	if m.groupOf(column) == nil {
		m.unsure = true
		m.invalid(path, "the model has no version group with column %s; declare it in versions, with the columns that it guards%s", column, yamlTrap(column))
	}
	e := m.expression(h, path, source, sightEvent)
	if t, known := m.types[column]; e != nil && known {
		switch {
		case e.Type() == expr.TypeNull:
			m.invalid(path, "a version is never null; name a value")
		case e.IsConstant():
			m.invalid(path, "the version is a constant, so that every event would have the same; name the event's version")
		default:
			m.checkOperand(path, e, t)
		}
	}
	if h.out.Delete {
		m.checkVersionedDelete(h)
	}
}

// checkVersionedDelete asks for a group that guards the whole row, since the row
// that stays has no column of its own any more.
func (m *model) checkVersionedDelete(h *handler) {
	g := m.group(h)
	if g == nil {
		return
	}
	var rest []string
	for i := range m.out.Columns {
		col := &m.out.Columns[i]
		if !m.isKey(col.Name) && col.Generated == "" && col.Name != g.Column && !slices.Contains(g.Columns, col.Name) {
			rest = append(rest, col.Name)
		}
	}
	if len(rest) > 0 {
		m.unsure = true
		m.invalid(h.path+".delete", "a delete with versionBy needs one version that guards all columns outside the key, and %s does not guard %s; add them to the group, or write a flag instead of deleting",
			g.Column, strings.Join(rest, ", "))
	}
}
