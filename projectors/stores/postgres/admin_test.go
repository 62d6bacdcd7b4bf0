// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package postgres

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// role makes a login role that goes with the test.
func (w *world) role(name string) string {
	w.Helper()
	name += "_" + w.ep.Database
	w.exec("CREATE ROLE " + name + " LOGIN PASSWORD 'p'")
	w.Cleanup(func() {
		k := dial(w.TB, w.ep)
		_, _ = k.Exec(context.Background(), "DROP OWNED BY "+name+" CASCADE")
		if _, err := k.Exec(context.Background(), "DROP ROLE "+name); err != nil {
			w.Error(err)
		}
	})
	return name
}

func (w *world) as(role string) Config {
	cfg := w.config()
	cfg.Resolve = func(context.Context) (Endpoint, error) {
		ep := w.ep
		ep.User, ep.Password = role, "p"
		return ep, nil
	}
	return cfg
}

func TestProbeSaysWhatToGrant(t *testing.T) {
	w := newWorld(t)
	facts, err := w.admin(w.config()).Probe(t.Context())
	if err != nil || facts.ServerVersion == "" || facts.Database != w.ep.Database || facts.InRecovery {
		t.Fatal(facts, err)
	}
	role := w.role("prober")
	w.exec("REVOKE CREATE ON DATABASE " + w.ep.Database + " FROM PUBLIC")
	a := w.admin(w.as(role))
	// Running what the message says is enough, step by step.
	for range 3 {
		_, err = a.Probe(t.Context())
		if err == nil {
			break
		}
		e := wantReason(t, err, stores.ReasonForbidden)
		_, grants, ok := strings.Cut(e.Message, " run: ")
		if !ok {
			t.Fatal(e)
		}
		w.exec(grants)
	}
	if _, err = a.Prepare(t.Context(), ordersContract(), starts(ordersContract(), 1)); err != nil {
		t.Fatal(err)
	}
	w.exec("ALTER ROLE " + role + " SET default_transaction_read_only = on")
	_, err = w.admin(w.as(role)).Probe(t.Context())
	_ = wantReason(t, err, ReasonReadOnly)
}

// The DDL role owns, the projector's role only works on rows, a reader only reads the view.
func TestSeparateDDLCredentials(t *testing.T) {
	w, c := newWorld(t), ordersContract()
	ddl, dml, reader := w.role("ddl"), w.role("dml"), w.role("reader")
	w.exec("GRANT CREATE ON DATABASE " + w.ep.Database + " TO " + ddl)
	w.exec("CREATE SCHEMA shop AUTHORIZATION " + ddl)
	w.exec("GRANT USAGE ON SCHEMA shop TO " + reader)
	w.exec("ALTER DEFAULT PRIVILEGES FOR ROLE " + ddl + " IN SCHEMA shop GRANT SELECT ON TABLES TO " + reader)
	a, err := OpenAdmin(AdminConfig{Config: w.as(ddl), Projector: w.as(dml).Resolve})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	for range 2 {
		if _, err = a.Prepare(t.Context(), c, starts(c, 2)); err != nil {
			t.Fatal(err)
		}
	}
	wr := w.writer(w.as(dml), c)
	cl := claim(t, wr, "a", orders(0))[0]
	if err = wr.Commit(t.Context(), move(cl, 5, batch(t, c, effect("o1", change(2, fold.OpAdd, int64(1))), effect("o2"), fold.Effect{Key: key("o3"), Delete: true}))); err != nil {
		t.Fatal(err)
	}
	if _, err = wr.AddPartitions(t.Context(), stores.Barrier{Topic: "orders", Before: 2, After: 3, Ends: []int64{5, 6}}); err != nil {
		t.Fatal(err)
	}
	if b, failed := wr.Barriers(t.Context()); failed != nil || len(b) != 1 {
		t.Fatal(b, failed)
	}
	r := dial(t, Endpoint{Host: w.ep.Host, Port: w.ep.Port, Database: w.ep.Database, User: reader, Password: "p"})
	var n int
	if err = r.QueryRow(t.Context(), "SELECT count(*) FROM shop.order_summary").Scan(&n); err != nil || n != 2 {
		t.Fatal(n, err)
	}
	_, err = w.admin(w.as(dml)).Retire(t.Context(), c.Projection)
	_ = wantReason(t, err, stores.ReasonForbidden)
	if dropped, err := a.Retire(t.Context(), c.Projection); err != nil || len(dropped) != 2 {
		t.Fatal(dropped, err)
	}
}

// A bookkeeping schema that another role planted could run triggers as us.
func TestForeignBookkeepingIsRefused(t *testing.T) {
	w, c := newWorld(t), ordersContract()
	w.prepared(c, 1)
	role := w.role("other")
	w.exec("GRANT CREATE ON DATABASE " + w.ep.Database + " TO " + role)
	w.exec("GRANT USAGE, CREATE ON SCHEMA projectionist, shop TO " + role)
	_, err := w.admin(w.as(role)).Prepare(t.Context(), c, starts(c, 1))
	_ = wantReason(t, err, stores.ReasonForbidden)
	w.exec("UPDATE projectionist.version SET version = 99")
	_, err = w.admin(w.config()).Prepare(t.Context(), c, starts(c, 1))
	_ = wantReason(t, err, stores.ReasonBookkeepingNewer)
}

// Objects that shadow built-in ones in public are never called.
func TestSearchPathIsSafe(t *testing.T) {
	w, c := newWorld(t), ordersContract()
	w.exec(`CREATE TABLE public.trap (hit int);
CREATE FUNCTION public.trap_unnest(text[]) RETURNS SETOF text LANGUAGE sql AS 'INSERT INTO public.trap VALUES (1); SELECT pg_catalog.unnest($1)';
ALTER FUNCTION public.trap_unnest(text[]) RENAME TO unnest;
CREATE FUNCTION public.trap_eq(text, text) RETURNS bool LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.trap VALUES (2); RETURN true; END';
CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = public.trap_eq);
CREATE FUNCTION public.set_config(text, text, boolean) RETURNS text LANGUAGE sql AS 'INSERT INTO public.trap VALUES (3); SELECT $1';`)
	w.exec("ALTER DATABASE " + w.ep.Database + " SET search_path = public, pg_catalog")
	wr := w.prepared(c, 1)
	cl := claim(t, wr, "a", orders(0))[0]
	if err := wr.Commit(t.Context(), move(cl, 5, batch(t, c, effect("o1", change(2, fold.OpAdd, int64(1))), fold.Effect{Key: key("o2"), Delete: true}))); err != nil {
		t.Fatal(err)
	}
	if _, err := w.admin(w.config()).Retire(t.Context(), c.Projection); err != nil {
		t.Fatal(err)
	}
	if got := w.text("SELECT pg_catalog.count(*) FROM public.trap"); got != "0" {
		t.Fatal(got, "calls of foreign functions")
	}
}

func TestPrepareRaces(t *testing.T) {
	w := newWorld(t)
	var wg sync.WaitGroup
	for _, name := range []string{"a", "b", "c", "d", "a", "b"} {
		wg.Go(func() {
			c := ordersContract()
			c.Projection.Name = name
			c.Models[0].Name = "m_" + name
			if _, err := w.admin(w.config()).Prepare(t.Context(), c, starts(c, 2)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := w.text("SELECT (SELECT count(*) FROM projectionist.projections), (SELECT count(*) FROM projectionist.positions), (SELECT count(*) FROM projectionist.relations)"); got == "" {
		t.Fatal(got)
	}
	if got := w.text("SELECT count(*) FROM projectionist.positions"); got != "8" {
		t.Fatal(got, "positions")
	}
}

func TestPrepareRefusesAnIndexOfThatName(t *testing.T) {
	w, c := newWorld(t), ordersContract()
	w.exec("CREATE SCHEMA shop")
	w.exec("CREATE TABLE shop." + quote(constraintName("order_summary__0123456789", "idx", []string{"status"})) + " (x int)")
	_, err := w.admin(w.config()).Prepare(t.Context(), c, starts(c, 1))
	var taken *stores.NameTakenError
	if !errors.As(err, &taken) || taken.Owner != "" {
		t.Fatal(err)
	}
	if got := w.text("SELECT count(*) FROM pg_namespace WHERE nspname = 'projectionist'"); got != "0" {
		t.Fatal("something was left behind")
	}
}

func TestRetireNeverCascades(t *testing.T) {
	w, c := newWorld(t), ordersContract()
	w.prepared(c, 1)
	w.exec("CREATE VIEW public.theirs AS SELECT id FROM shop.order_summary")
	_, err := w.admin(w.config()).Retire(t.Context(), c.Projection)
	if e := wantReason(t, err, ReasonDependentObjects); !strings.Contains(e.Message, "theirs") {
		t.Fatal(e)
	}
	if got := w.text("SELECT count(*) FROM projectionist.positions"); got != "1" {
		t.Fatal("the bookkeeping went without the tables")
	}
}

func TestBookkeepingExplainsItself(t *testing.T) {
	w, c := newWorld(t), ordersContract()
	w.prepared(c, 1)
	if got := w.text(`SELECT coalesce(string_agg(format('%s.%s', c.relname, a.attname), ', '), '') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'projectionist'
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind = 'r' AND col_description(c.oid, a.attnum) IS NULL AND a.attname <> 'single'`); got != "" {
		t.Fatal("columns without a comment:", got)
	}
	if got := w.text("SELECT reloptions FROM pg_class WHERE relname = 'order_summary__0123456789'"); got != "{fillfactor=85}" {
		t.Fatal(got)
	}
}

func TestRefusedContracts(t *testing.T) {
	w := newWorld(t)
	for name, spoil := range map[string]func(*contract.Contract){
		"long model":    func(c *contract.Contract) { c.Models[0].Name = strings.Repeat("x", 52) },
		"NUL":           func(c *contract.Contract) { c.Models[0].Name = "a\x00b" },
		"system column": func(c *contract.Contract) { c.Models[0].Columns[1].Name = "ctid" },
		"unknown type":  func(c *contract.Contract) { c.Models[0].Columns[1].Type = "text; DROP" },
		"no key":        func(c *contract.Contract) { c.Models[0].Key = nil },
	} {
		t.Run(name, func(t *testing.T) {
			c := ordersContract()
			spoil(c)
			_, err := w.admin(w.config()).Prepare(t.Context(), c, starts(c, 1))
			_ = wantReason(t, err, ReasonInvalidDefinition)
			if _, err := OpenWriter(w.config(), c); err == nil {
				t.Fatal("a Writer takes what Prepare refuses")
			}
		})
	}
}
