// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package fold

import (
	"errors"
	"fmt"
	"slices"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
)

// ModelsOf gives the models of a contract in their order, which is that of
// Effect.Model, without their Finishers. It fails on an unknown type, a rule or
// default that is not of its column's type, a default that breaks a rule, and a
// key column that does not exist.
func ModelsOf(c *contract.Contract) ([]Model, error) {
	out := make([]Model, len(c.Models))
	for i := range c.Models {
		m := &c.Models[i]
		columns := m.StoredColumns()
		out[i] = Model{Name: m.Name, Columns: make([]Column, len(columns)), Key: make([]int, len(m.Key))}
		for j := range columns {
			var err error
			if out[i].Columns[j], err = columnOf(&columns[j]); err != nil {
				return nil, fmt.Errorf("models[%s].columns[%s].%w", m.Name, columns[j].Name, err)
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

// columnOf reads a column; its error begins with the field.
func columnOf(c *contract.Column) (Column, error) {
	t, err := value.Parse(c.Type)
	if err != nil {
		return Column{}, fmt.Errorf("type: %w", err)
	}
	out := Column{Name: c.Name, Type: t, Rules: Rules{NotNull: c.NotNull, Enum: c.Enum, MaxItems: int(c.MaxItems), Distinct: c.Distinct}}
	for _, f := range []struct {
		field string
		text  *string
		to    *value.Value
	}{{"range.min", c.Min, &out.Rules.Min}, {"range.max", c.Max, &out.Rules.Max}, {"default", c.Default, &out.Default}} {
		if f.text == nil {
			continue
		}
		if *f.to, err = t.ParseText(*f.text); err != nil {
			return Column{}, fmt.Errorf("%s is %w", f.field, err)
		}
	}
	if out.Default == nil {
		return out, nil
	}
	if err := out.Obeys(out.Default); err != nil {
		return Column{}, fmt.Errorf("default is %w", err)
	}
	if value.Compare(out.Normal(out.Default), out.Default) != 0 {
		return Column{}, errors.New("default is a list that list.maxItems or list.distinct would change")
	}
	return out, nil
}
