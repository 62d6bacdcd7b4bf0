// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"regexp"
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
)

// Limits of names, in bytes. PostgreSQL cuts names at 63, and a table's name is
// the model's, two underscores and ten hex digits.
const (
	maxName      = 63
	maxModelName = maxName - len("__0123456789")
)

var (
	identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	// physicalName is the form that tables of other models have.
	physicalName = regexp.MustCompile(`__[0-9a-f]{10}$`)
	// systemColumns are the names that every table of PostgreSQL has already.
	systemColumns = []string{"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"}
)

// model is a model of the contract with what the checks need to know of it.
type model struct {
	reporter
	path     string
	out      contract.Model
	types    map[string]value.Type // columns whose type is known
	columns  map[string]bool
	handlers []*handler
}

func (c *compiler) models(out *contract.Contract) {
	specs := c.in.Projection.Spec.Models
	if len(specs) == 0 {
		c.invalid("models", "there is no model; declare at least one table")
	}
	seen := map[string]bool{}
	for i := range specs {
		spec := &specs[i]
		m := &model{
			reporter: c.reporter, path: "models[" + spec.Name + "]",
			out:   contract.Model{Name: spec.Name, Key: slices.Clone(spec.Key)},
			types: map[string]value.Type{}, columns: map[string]bool{},
		}
		if seen[spec.Name] {
			m.invalid(m.path, "there are two models of this name; rename one")
			continue
		}
		seen[spec.Name] = true
		m.checkName(spec.Name)
		m.checkColumns(spec.Columns)
		m.checkKey(spec)
		m.checkIndexes(spec.Indexes)
		c.handlers(m, spec.Handlers)
		m.adviseUnused()
		c.checkOrder(m)
		out.Models = append(out.Models, m.out)
	}
}

func (m *model) checkName(name string) {
	switch {
	case !identifier.MatchString(name):
		m.invalid(m.path, "the name must be letters, digits and _, and begin with no digit")
	case len(name) > maxModelName:
		m.invalid(m.path, "the name has %d bytes; shorten it to %d, since tables add __ and ten digits to it and PostgreSQL cuts names at %d",
			len(name), maxModelName, maxName)
	case physicalName.MatchString(name):
		m.invalid(m.path, "names that end with __ and ten hex digits are those of the tables behind the views; rename it")
	}
}

func (m *model) checkColumns(columns []v1alpha1.Column) {
	if len(columns) == 0 {
		m.invalid(m.path+".columns", "there is no column; declare at least those of the key")
	}
	for _, col := range columns {
		path := m.path + ".columns[" + col.Name + "]"
		switch {
		case m.columns[col.Name]:
			m.invalid(path, "there are two columns of this name; remove one")
			continue
		case !identifier.MatchString(col.Name):
			m.invalid(path, "the name must be letters, digits and _, and begin with no digit")
		case len(col.Name) > maxName:
			m.invalid(path, "the name has %d bytes; shorten it to %d, where PostgreSQL cuts names", len(col.Name), maxName)
		case slices.Contains(systemColumns, col.Name):
			m.invalid(path, "PostgreSQL has a column %s of its own in every table; rename it", col.Name)
		}
		m.columns[col.Name] = true
		out := contract.Column{Name: col.Name, Type: col.Type}
		t, err := value.Parse(col.Type)
		if err != nil {
			m.invalid(path+".type", "%s", err)
		} else {
			m.types[col.Name] = t
			out.Type = t.String()
			out.Default = m.parseDefault(path, t, col.Default)
		}
		m.out.Columns = append(m.out.Columns, out)
	}
}

func (m *model) parseDefault(path string, t value.Type, text *string) *string {
	if text == nil {
		return nil
	}
	v, err := t.ParseText(*text)
	if err != nil {
		m.invalid(path+".default", "the default is %s; the column is %s", err, t)
		return nil
	}
	s := t.Format(v)
	return &s
}

func (m *model) checkKey(spec *v1alpha1.Model) {
	path := m.path + ".key"
	if len(spec.Key) == 0 {
		m.invalid(path, "there is no key column; name the columns that identify a row")
	}
	for i, name := range spec.Key {
		t, known := m.types[name]
		switch {
		case slices.Contains(spec.Key[:i], name):
			m.invalid(path, "column %s is in the key twice; remove one", name)
		case !m.columns[name]:
			m.invalid(path, "there is no column %s; declare it in columns", name)
		case known && !t.CanKey():
			m.invalid(path, "column %s is %s, which cannot be part of a key; use text, bool, int32, int64, uuid, date or timestamp", name, t)
		}
	}
	for _, col := range spec.Columns {
		if col.Default != nil && slices.Contains(spec.Key, col.Name) {
			m.invalid(m.path+".columns["+col.Name+"].default", "a key column always has a value; remove the default")
		}
	}
}

func (m *model) checkIndexes(indexes []v1alpha1.Index) {
	for i, index := range indexes {
		path := m.path + ".indexes[" + strings.Join(index.Columns, ",") + "]"
		if len(index.Columns) == 0 {
			m.invalid(path, "the index has no column; name at least one")
		}
		for j, name := range index.Columns {
			t, known := m.types[name]
			switch {
			case slices.Contains(index.Columns[:j], name):
				m.invalid(path, "column %s is in the index twice; remove one", name)
			case !m.columns[name]:
				m.invalid(path, "there is no column %s; declare it in columns, or correct the name", name)
			case known && (t.Array || t.Kind == value.JSONKind || t.Kind == value.Bytes):
				m.add(Error, ReasonUnsupported, path, "column %s is %s, which this release cannot index; remove it from the index", name, t)
			}
		}
		for _, other := range indexes[:i] {
			if slices.Equal(other.Columns, index.Columns) {
				m.invalid(path, "the same index is declared twice; remove one")
			}
		}
		m.out.Indexes = append(m.out.Indexes, contract.Index{Columns: slices.Clone(index.Columns)})
	}
}

// adviseUnused names columns that no handler writes.
func (m *model) adviseUnused() {
	for _, col := range m.out.Columns {
		if slices.Contains(m.out.Key, col.Name) || slices.ContainsFunc(m.handlers, func(h *handler) bool { return h.writes(col.Name) }) {
			continue
		}
		m.add(Advice, ReasonInvalidSpec, m.path+".columns["+col.Name+"]", "no handler writes this column: every row will have its default")
	}
}
