// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package postgres

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/stores"
	"github.com/projectionist-dev/projectionist/projectors/stores/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, storetest.Harness{
		Open: func(t testing.TB) storetest.Database {
			w := newWorld(t)
			return &onlooker{world: w, adm: w.admin(w.config())}
		},
		RapidScale: 4,
	})
}

// onlooker looks at a database as anybody with psql could.
type onlooker struct {
	*world
	adm *Admin
}

func (o *onlooker) Admin() stores.Admin { return o.adm }

func (o *onlooker) Writer(t testing.TB, c *contract.Contract) stores.Writer {
	t.Helper()
	w, err := OpenWriter(o.config(), c)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (o *onlooker) Rows(t testing.TB, c *contract.Contract, model int) [][]value.Value {
	t.Helper()
	tab, err := newTable(c, model)
	if err != nil {
		t.Fatal(err)
	}
	sql := "SELECT " + tab.names(tab.allColumns()) + " FROM " + quote("shop", tab.name) + " ORDER BY " + tab.names(tab.key)
	rows, err := o.sql.Query(t.Context(), sql, pgx.QueryResultFormats{1})
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var out [][]value.Value
	for rows.Next() {
		row := make([]value.Value, len(tab.columns))
		for i, b := range rows.RawValues() {
			if row[i], err = decodeValue(tab.columns[i].typ, b); err != nil {
				t.Fatal(err)
			}
		}
		out = append(out, row)
	}
	if rows.Err() != nil {
		t.Fatal(rows.Err())
	}
	return out
}

func (o *onlooker) ViewCount(t testing.TB, model string) int {
	t.Helper()
	var n int
	if err := o.sql.QueryRow(t.Context(), "SELECT count(*) FROM "+quote("shop", model)).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func (o *onlooker) run(t testing.TB, sql string, args ...any) pgconn.CommandTag {
	t.Helper()
	tag, err := o.sql.Exec(t.Context(), sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	return tag
}

func (o *onlooker) CreateForeign(t testing.TB, name string) {
	o.run(t, "CREATE SCHEMA IF NOT EXISTS shop")
	o.run(t, "CREATE TABLE "+quote("shop", name)+" (x int)")
}

func (o *onlooker) Relations(t testing.TB) []string {
	t.Helper()
	rows, err := o.sql.Query(t.Context(), `SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'shop' AND c.relkind IN ('r', 'v') ORDER BY c.relname COLLATE "C"`)
	if err != nil {
		t.Fatal(err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return out
}

const onePosition = `WHERE projection = (SELECT id FROM projectionist.projections WHERE cluster = $1 AND namespace = $2 AND name = $3)
  AND revision = $4 AND topic = $5 AND partition = $6`

func (o *onlooker) onPosition(t testing.TB, sql string, c *contract.Contract, tp event.TopicPartition) {
	t.Helper()
	p := c.Projection
	if n := o.run(t, sql+" "+onePosition, p.Cluster, p.Namespace, p.Name, c.Revision, tp.Topic, tp.Partition).RowsAffected(); n != 1 {
		t.Fatalf("%d rows", n)
	}
}

func (o *onlooker) DeletePosition(t testing.TB, c *contract.Contract, tp event.TopicPartition) {
	o.onPosition(t, "DELETE FROM projectionist.positions", c, tp)
}

func (o *onlooker) RaiseHeldVersion(t testing.TB, c *contract.Contract, tp event.TopicPartition) {
	o.onPosition(t, "UPDATE projectionist.positions SET held_version = held_version + 1", c, tp)
}
