// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package postgres

import (
	"testing"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/fold"
)

// everything has tombstones, a join, rules, unique and other indexes, and comments.
func everything() *contract.Contract {
	c := ordersContract()
	zero, hundred := "0", "100"
	c.Store.Postgres = &contract.PostgresStore{Schema: "public", BookkeepingSchema: "projectionist"}
	c.Models = append(c.Models, contract.Model{
		Name: "stock", Comment: "What is on the shelf.", Key: []string{"sku"},
		Columns: []contract.Column{
			{Name: "sku", Type: "text", Comment: "Stock keeping unit."}, {Name: "shelf", Type: "text", NotNull: true, Default: &zero},
			{Name: "share", Type: "int32", Default: &zero, Min: &zero, Max: &hundred}, {Name: "version", Type: "int64"},
			{Name: "state", Type: "text", Enum: []string{"new", "old"}}, {Name: "order_id", Type: c.Models[0].Columns[0].Type},
		},
		Versions: []contract.VersionGroup{{Column: "version", Columns: []string{"shelf", "share", "state", "order_id"}}},
		Indexes:  []contract.Index{{Columns: []string{"shelf"}, Unique: true}, {Columns: []string{"state"}, Method: "Hash"}},
		Joins: []contract.Join{{
			Model: c.Models[0].Name, Match: map[string]string{c.Models[0].Key[0]: "order_id"},
			Set: map[string]string{"joined": c.Models[0].Columns[1].Name},
		}},
		Handlers: []contract.Handler{{
			Name: "gone", Topic: "orders", OnAbsent: "Create", Key: map[string]string{"sku": "event.sku"}, Delete: true,
			VersionBy: &contract.VersionBy{Column: "version", Value: "event.version"},
		}},
	})
	return c
}

// TestExplainedDDLIsWhatPrepareMakes compares the catalogue after Explain's statements with that after Prepare.
func TestExplainedDDLIsWhatPrepareMakes(t *testing.T) {
	c := everything()
	prepared, explained := newWorld(t), newWorld(t)
	schema := prepared.config().Schema
	c.Store.Postgres.Schema = schema
	prepared.prepared(c, 1)
	explained.exec("CREATE SCHEMA " + quote(schema))
	plans, err := Explain(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range plans {
		for _, sql := range p.DDL {
			explained.exec(sql)
		}
	}
	const catalogue = `SELECT string_agg(x, E'\n' ORDER BY x) FROM (
SELECT format('%s.%s %s %s %s', table_name, column_name, data_type, is_nullable, column_default) x FROM information_schema.columns WHERE table_schema = $1
UNION ALL SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = quote_ident($1)::regnamespace
UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = $1
UNION ALL SELECT viewname || ' ' || definition FROM pg_views WHERE schemaname = $1
UNION ALL SELECT format('%s %s %s', c.relname, d.objsubid, d.description) FROM pg_description d JOIN pg_class c ON c.oid = d.objoid WHERE c.relnamespace = quote_ident($1)::regnamespace) s`
	want, got := prepared.text(catalogue, schema), explained.text(catalogue, schema)
	if want == "" || got != want {
		t.Errorf("Prepare made\n%s\n\nExplain's statements made\n%s", want, got)
	}
}

// TestExplainedStatementsAreValid prepares each of them on the tables that Explain describes.
func TestExplainedStatementsAreValid(t *testing.T) {
	c := everything()
	w := newWorld(t)
	plans, err := Explain(c)
	if err != nil {
		t.Fatal(err)
	}
	models, err := fold.ModelsOf(c)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range plans {
		for _, sql := range p.DDL {
			w.exec(sql)
		}
		b := fold.NewBatch(models)
		key, err := models[i].Columns[models[i].Key[0]].Type.ParseText("k")
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Apply(fold.Effect{Model: i, Key: append(make([]any, 0, 1), key), IgnoreAbsent: true, Delete: true}); err != nil {
			t.Fatal(err)
		}
		all := append(p.Blind(b.Segments()[0].Rows(i)[0].Shape()), p.Loading(false)...)
		all = append(append(all, p.Loading(true)...), p.FanOut([]int{1}, false)...)
		for _, s := range all {
			if _, err := w.sql.Prepare(t.Context(), "", s.SQL); err != nil {
				t.Errorf("%s of %s: %v\n%s", s.Purpose, models[i].Name, err, s.SQL)
			}
		}
	}
}
