// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
)

func indexPath(model string, columns []string) string {
	return model + ".indexes[" + strings.Join(columns, ",") + "]"
}

func (m *model) checkIndexes(indexes []v1alpha1.Index) {
	for i := range indexes {
		spec := &indexes[i]
		path := indexPath(m.path, spec.Columns)
		out := contract.Index{Columns: slices.Clone(spec.Columns), Unique: isTrue(spec.Unique)}
		if spec.Method != v1alpha1.IndexMethodBTree {
			out.Method = string(spec.Method)
		}
		if len(spec.Columns) == 0 {
			m.invalid(path, "the index has no column; name at least one")
		}
		for j, name := range spec.Columns {
			switch {
			case slices.Contains(spec.Columns[:j], name):
				m.invalid(path, "column %s is in the index twice; remove one", name)
			case !m.has(name):
				m.invalid(path, "there is no column %s; declare it in columns, or correct the name%s", name, yamlTrap(name))
			default:
				m.checkIndexed(path, name, out.Method)
			}
		}
		if out.Method == string(v1alpha1.IndexMethodHash) && len(spec.Columns) > 1 {
			m.invalid(path, "a Hash index has one column; make an index for each, or use BTree")
		}
		if out.Unique {
			m.checkUnique(path, &out)
		}
		for _, other := range m.out.Indexes {
			if slices.Equal(other.Columns, out.Columns) && other.Method == out.Method {
				m.invalid(path, "the same index is declared twice; remove one")
			}
		}
		m.out.Indexes = append(m.out.Indexes, out)
	}
}

// checkIndexed holds a method to columns that it works on. A native type is the database's affair.
func (m *model) checkIndexed(path, name, method string) {
	t, known := m.types[name]
	if !known || m.column(name).Native != "" {
		return
	}
	composed := t.Array || t.Kind == value.JSONKind
	switch method {
	case string(v1alpha1.IndexMethodGIN):
		if !composed {
			m.invalid(path, "column %s is %s, and GIN finds elements of lists and members of json; use BTree", name, t)
		}
		return
	case string(v1alpha1.IndexMethodGiST):
		m.invalid(path, "column %s is %s, and GiST works on types of the database's own; give the column a native type, such as tsvector, or use BTree", name, t)
		return
	case string(v1alpha1.IndexMethodBRIN):
		if t.Kind == value.Bool && !t.Array {
			m.invalid(path, "column %s is bool, which BRIN cannot summarise; use BTree", name)
		}
	}
	switch {
	case composed:
		m.invalid(path, "column %s is %s, which has no place in an ordered index; use method: GIN, or remove it from the index", name, t)
	case t.Kind == value.Bytes:
		m.add(Error, ReasonUnsupported, path, "column %s is bytes, which cannot be indexed; remove it from the index", name)
	}
}

// checkUnique checks what can be known of a unique index before the handlers are; see checkOrder for the rest.
func (m *model) checkUnique(path string, index *contract.Index) {
	if index.Method != "" {
		m.invalid(path, "only a BTree index can be unique; remove method, or unique")
	}
	for _, name := range index.Columns {
		if m.has(name) && m.column(name).Native != "" {
			m.invalid(path, "column %s has a type of the database's own, whose values may be equal where their texts are not; remove unique, or native", name)
		}
	}
	if len(index.Columns) == len(m.out.Key) && !slices.ContainsFunc(index.Columns, func(c string) bool { return !m.isKey(c) }) {
		m.invalid(path, "these columns are the key, of which there is one row each already; remove the index")
	}
}
