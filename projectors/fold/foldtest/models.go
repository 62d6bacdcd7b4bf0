// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package foldtest

import (
	"slices"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
)

// ContractModels has every operation on every type that it works on, with
// defaults, with NULL defaults and under rules; a key of two columns; a model
// with a generated column and a check, and one that keeps deleted rows. Models
// that the fold sees need WithFinishers.
func ContractModels() []contract.Model {
	s := func(s string) *string { return &s }
	return []contract.Model{{
		Name: "account",
		Key:  []string{"id", "region"},
		Columns: []contract.Column{
			{Name: "n32", Type: "int32", Default: s("10")},
			{Name: "id", Type: "text"},
			{Name: "n64", Type: "int64"},
			{Name: "amount", Type: "decimal(6,2)", Default: s("1.50")},
			{Name: "wide", Type: "decimal(38,2)", Default: s("0.00")},
			{Name: "region", Type: "int32"},
			{Name: "label", Type: "text", Default: s("m")},
			{Name: "tags", Type: "text[]"},
			{Name: "seen", Type: "timestamp"},
			{Name: "nums", Type: "int64[]", Default: s("[1]")},
			{Name: "doc", Type: "json"},
			{Name: "settings", Type: "json", Default: s(`{"a":1}`)},
			{Name: "at", Type: "time"},
			{Name: "name", Type: "text"},
		},
	}, {
		Name:    "only_key",
		Key:     []string{"id"},
		Columns: []contract.Column{{Name: "id", Type: "int64"}},
	}, {
		Name: "counter",
		Key:  []string{"day"},
		Columns: []contract.Column{
			{Name: "day", Type: "date"},
			{Name: "count", Type: "int64", Default: s("0")},
			{Name: "worst", Type: "int32"},
		},
	}, {
		Name: "ruled",
		Key:  []string{"id"},
		Columns: []contract.Column{
			{Name: "id", Type: "text"},
			{Name: "score", Type: "int32", Default: s("5"), NotNull: true, Min: s("0"), Max: s("100")},
			{Name: "above", Type: "int64", Min: s("5"), Max: s("20")},
			{Name: "price", Type: "decimal(6,2)", Min: s("-5.00")},
			{Name: "state", Type: "text", Enum: []string{"a", "b", "m"}},
			{Name: "recent", Type: "text[]", MaxItems: 3},
			{Name: "uniq", Type: "text[]", Distinct: true, Default: s(`["b"]`)},
			{Name: "last", Type: "int64[]", MaxItems: 2, Distinct: true},
			{Name: "tail", Type: "text[]", MaxItems: 2, Default: s(`["b"]`)},
		},
		Indexes: []contract.Index{{Columns: []string{"state"}}},
	}, {
		Name: "stock",
		Key:  []string{"sku"},
		Columns: []contract.Column{
			{Name: "sku", Type: "text"},
			{Name: "on_hand", Type: "int32", Default: s("0"), NotNull: true},
			{Name: "reserved", Type: "int32", Default: s("0"), NotNull: true},
			{Name: "free", Type: "int64", Generated: "row.on_hand - row.reserved"},
		},
		Checks: []contract.Check{{Name: "enough", Rule: "row.reserved <= row.on_hand"}},
	}, {
		Name: "price",
		Key:  []string{"sku"},
		Columns: []contract.Column{
			{Name: "sku", Type: "text"},
			{Name: "version", Type: "int64"},
			{Name: "amount", Type: "decimal(6,2)"},
			{Name: "currency", Type: "text"},
		},
		Versions: []contract.VersionGroup{{Column: "version", Columns: []string{"amount", "currency"}}},
		Handlers: []contract.Handler{{Name: "withdrawn", Delete: true, VersionBy: &contract.VersionBy{Column: "version", Value: "event.version"}}},
	}}
}

// Models are ContractModels as the fold sees them.
func Models() []fold.Model {
	m, err := fold.ModelsOf(&contract.Contract{Models: ContractModels()})
	if err != nil {
		panic(err)
	}
	return WithFinishers(m)
}

// WithFinishers gives the models of ContractModels, which it modifies, the Finishers of their checks and generated columns.
func WithFinishers(models []fold.Model) []fold.Model {
	for i := range models {
		if models[i].Name == "stock" {
			models[i].Finish = stock{}
		}
	}
	return models
}

// stock finishes the rows of that model.
type stock struct{}

func (stock) Finish(row []value.Value) ([]value.Value, error) {
	onHand, reserved := row[1].(int64), row[2].(int64)
	if reserved > onHand {
		return nil, &fold.RowError{Reason: "ConstraintViolation", Path: "models[stock].checks[enough]", Message: "the check does not hold"}
	}
	row[3] = onHand - reserved
	return row, nil
}

// versioned tells whether the model's rows are written by version; see Versioned.
func versioned(m *fold.Model) bool { return deletedColumn(m) >= 0 }

func deletedColumn(m *fold.Model) int {
	return slices.IndexFunc(m.Columns, func(c fold.Column) bool { return c.Name == contract.DeletedColumn })
}
