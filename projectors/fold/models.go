// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package fold

import (
	"fmt"
	"slices"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
)

// ModelsOf gives the models of a contract in their order, which is that of
// Effect.Model. It fails on an unknown type, a default that is not of its
// column's type, and a key column that does not exist.
func ModelsOf(c *contract.Contract) ([]Model, error) {
	out := make([]Model, len(c.Models))
	for i := range c.Models {
		m := &c.Models[i]
		columns := m.StoredColumns()
		out[i] = Model{Name: m.Name, Columns: make([]Column, len(columns)), Key: make([]int, len(m.Key))}
		for j, col := range columns {
			t, err := value.Parse(col.Type)
			if err != nil {
				return nil, fmt.Errorf("models[%s].columns[%s].type: %w", m.Name, col.Name, err)
			}
			out[i].Columns[j] = Column{Name: col.Name, Type: t}
			if col.Default != nil {
				if out[i].Columns[j].Default, err = t.ParseText(*col.Default); err != nil {
					return nil, fmt.Errorf("models[%s].columns[%s].default is %w", m.Name, col.Name, err)
				}
			}
		}
		for j, key := range m.Key {
			out[i].Key[j] = slices.IndexFunc(m.Columns, func(c contract.Column) bool { return c.Name == key })
			if out[i].Key[j] < 0 {
				return nil, fmt.Errorf("models[%s].key: there is no column %s", m.Name, key)
			}
		}
	}
	return out, nil
}
