// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package postgres

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// before makes what version 1 had for a projection that is followed.
func (w *world) before(c *contract.Contract) {
	w.Helper()
	frozen, err := os.ReadFile(filepath.Join("testdata", "bookkeeping-1.sql"))
	if err != nil {
		w.Fatal(err)
	}
	text, err := json.Marshal(c)
	if err != nil {
		w.Fatal(err)
	}
	tables, err := newTables(c)
	if err != nil {
		w.Fatal(err)
	}
	w.exec(string(frozen))
	w.exec("CREATE SCHEMA shop")
	w.exec(createTable("shop", tables[0]))
	w.exec(createView("shop", "order_summary", newView("shop", c, tables, 0)))
	p := c.Projection
	w.exec("INSERT INTO projectionist.projections (cluster, namespace, name, uid, active_revision, sequence) VALUES ($1, $2, $3, $4, $5, 1)",
		p.Cluster, p.Namespace, p.Name, p.UID, c.Revision)
	w.exec(`INSERT INTO projectionist.revisions (projection, revision, data_hash, state, partitions, contract) VALUES (1, $1, $2, 'following', '{"orders": 1}', $3)`,
		c.Revision, c.DataHash, string(text))
	w.exec("INSERT INTO projectionist.positions (projection, revision, topic, partition, next_position) VALUES (1, $1, 'orders', 0, '0')", c.Revision)
	w.exec("INSERT INTO projectionist.relations (schema, name, kind, model, projection, revision) VALUES ('shop', $1, 'table', 'order_summary', 1, $2), ('shop', 'order_summary', 'view', 'order_summary', 1, $2)",
		tables[0].name, c.Revision)
}

// The projectors of the release before go on while an action of this one
// upgrades the bookkeeping, and it ends up as one that was made anew.
func TestBookkeepingIsUpgraded(t *testing.T) {
	w, c := newWorld(t), ordersContract()
	w.before(c)
	wr := w.writer(w.config(), c)
	cl := claim(t, wr, "a", orders(0))[0]
	commit := func() {
		t.Helper()
		if err := wr.Commit(t.Context(), move(cl, cl.Next+1, batch(t, c, effect("o1", change(4, fold.OpAdd, int64(1)))))); err != nil {
			t.Fatal(err)
		}
		cl.Next++
	}
	commit()
	adm := w.admin(w.config())
	facts, err := adm.Revisions(t.Context(), c.Projection)
	if err != nil || facts.Active != c.Revision || facts.Sequence != 1 || len(facts.Revisions) != 1 {
		t.Fatalf("of version 1: %+v, %v", facts, err)
	}
	b := second(nil)
	if _, err := adm.Prepare(t.Context(), b, starts(b, 1)); err != nil {
		t.Fatal(err)
	}
	commit() // with statements that were prepared before
	if _, err := wr.AddPartitions(t.Context(), stores.Barrier{Topic: "orders", Before: 1, After: 2, Ends: []int64{2}}); err != nil {
		t.Fatal(err)
	}
	if facts, err = adm.Revisions(t.Context(), c.Projection); err != nil || facts.Find(c.Revision).PromotedAt.IsZero() || !facts.Find(b.Revision).PromotedAt.IsZero() {
		t.Fatalf("%+v, %v", facts, err)
	}
	if _, err := adm.Promote(t.Context(), c.Projection, contract.Switch{Revision: b.Revision, Active: c.Revision, Sequence: 1, Allow: contract.Consents{StaleRevision: true}}); err != nil {
		t.Fatal(err)
	}
	if got := w.text("SELECT stale FROM projectionist.switches"); got != "true" {
		t.Fatal("the consent is not in the history")
	}
	fresh := newWorld(t)
	fresh.prepared(c, 1)
	const schema = `SELECT string_agg(format('%s.%s %s %s: %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, col_description(c.oid, a.attnum)), E'\n' ORDER BY c.relname, a.attnum)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'projectionist'
WHERE a.attnum > 0`
	if up, anew := w.text(schema), fresh.text(schema); up != anew {
		t.Fatalf("upgraded:\n%s\nmade anew:\n%s", up, anew)
	}
	if got := w.text("SELECT version FROM projectionist.version"); got != fresh.text("SELECT version FROM projectionist.version") {
		t.Fatal("version", got)
	}
}

// Retiring needs no prepare by this release first.
func TestRetireOfVersionOne(t *testing.T) {
	w, c := newWorld(t), ordersContract()
	w.before(c)
	if dropped, err := w.admin(w.config()).Retire(t.Context(), c.Projection); err != nil || len(dropped) != 2 {
		t.Fatal(dropped, err)
	}
}
