// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package postgres

import (
	"strings"
	"testing"
	"time"

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
			w.exec("CREATE EXTENSION citext SCHEMA public")
			return &onlooker{world: w, adm: w.admin(w.config())}
		},
		RapidScale: 4,
		Native: []storetest.Native{
			{Type: "text", Native: "inet", Samples: []string{"10.0.0.1", "10.0.0.0/8", "::1"}, Refused: "canary"},
			{Type: "text", Native: "varchar(3)", Samples: []string{"abc", "", "é"}, Refused: "abcd"},
			{Type: "text", Native: "bit(4)", Samples: []string{"0101", "1111"}, Refused: "010"},
			{Type: "text", Native: "interval", Samples: []string{"1 day", "-00:00:01"}},
			{Type: "text", Native: "xml", Samples: []string{"<a/>", "<b>é</b>"}, Refused: "<a>"},
			{Type: "text", Native: "int4range", Samples: []string{"[1,5)", "empty"}},
			{Type: "int64", Native: "numeric(20,0)", Samples: []string{"9223372036854775807", "-5"}},
			{Type: "int32", Native: "smallint", Samples: []string{"1", "-32768"}, Refused: "32768"},
			{Type: "json", Native: "json", Samples: []string{`{"b":1,"a":[]}`, `null`}},
			{Type: "timestamp", Native: "timestamp without time zone", Samples: []string{"2024-02-29T12:34:56.789012Z", "1969-12-31T23:59:59Z"}},
			{Type: "float64", Native: "real", Samples: []string{"0.5", "-3"}},
			{Type: "text", Native: "public.citext", Samples: []string{"Abc", "", "é"}},
			{Type: "bytes", Native: "bytea", Samples: []string{"AAEC", ""}},
		},
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
	cfg := o.config()
	cfg.NetworkTimeout = 4 * time.Second // a build looks that often whether its claims are its own
	w, err := OpenWriter(cfg, c)
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
	sql := "SELECT " + tab.read() + " FROM " + quote("shop", tab.name) + " t ORDER BY " + tab.names(tab.key)
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

func (o *onlooker) ViewRows(t testing.TB, c *contract.Contract, model int) [][]value.Value {
	t.Helper()
	tables, err := newTables(c)
	if err != nil {
		t.Fatal(err)
	}
	v, key := newView("shop", c, tables, model), tables[model].key
	selected, order := make([]string, len(v.columns)), make([]string, len(key))
	for i, col := range v.columns {
		seen := col.column
		seen.name = col.name
		selected[i] = seen.read("v")
	}
	for i, k := range key {
		order[i] = "v." + quote(tables[model].columns[k].name)
	}
	rows, err := o.sql.Query(t.Context(), "SELECT "+strings.Join(selected, ", ")+" FROM "+quote("shop", c.Models[model].Name)+" v ORDER BY "+strings.Join(order, ", "),
		pgx.QueryExecModeDescribeExec, pgx.QueryResultFormats{1})
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var out [][]value.Value
	for rows.Next() {
		row := make([]value.Value, len(v.columns))
		for i, b := range rows.RawValues() {
			if row[i], err = decodeValue(v.columns[i].typ, b); err != nil {
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
