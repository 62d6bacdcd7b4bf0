// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package postgres

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// given are rows whatever the positions, which it counts.
func given(calls *int, rows ...stores.Row) stores.Replacement {
	return stores.Replacement{Owner: "repair", Hold: stores.MaxHold, Fold: func(context.Context, []stores.Claim, []stores.Barrier) ([]stores.Row, error) {
		*calls++
		return rows, nil
	}}
}

// A connection that is cut at COMMIT leaves a replacement without an answer: it finds out by its own token whether the
// claims were ended, does it once, and counts what it did.
func TestReplaceLostCommit(t *testing.T) {
	for where, calls := range map[cut]int{cutBeforeCommit: 2, cutAfterCommit: 1} {
		t.Run(where.String(), func(t *testing.T) {
			w, c := newWorld(t), ordersContract()
			wr := w.prepared(c, 2)
			cs := claim(t, wr, "a", orders(0), orders(1))
			if err := wr.Commit(t.Context(), move(cs[0], 1, batch(t, c, effect("o1", change(2, fold.OpAdd, int64(1)))))); err != nil {
				t.Fatal(err)
			}
			p := newProxy(t, w.ep)
			a := w.admin(w.throughProxy(p))
			p.cutNext(where)
			got := 0
			done, err := a.Replace(t.Context(), c, given(&got, stores.Row{Key: []value.Value{"o1"}}))
			if err != nil || p.cuts.Load() != 1 || got != calls || done.Models[0].Deleted != 1 {
				t.Fatalf("%+v (%v), %d cuts, %d calls, want %d", done, err, p.cuts.Load(), got, calls)
			}
			if n, epochs := w.text("SELECT count(*) FROM shop.order_summary"), w.text("SELECT string_agg(DISTINCT epoch::text, ',') FROM projectionist.positions"); n != "0" || epochs != "2" {
				t.Fatalf("%s rows, epochs %s", n, epochs)
			}
			wantFenced(t, wr.Commit(t.Context(), move(cs[1], 1, nil)), orders(1))
		})
	}
}

// What somebody else has locked is waited for, for a while and some times, and then let go of; the projector gets its turn between.
func TestReplaceWaits(t *testing.T) {
	w, c := newWorld(t), ordersContract()
	wr := w.prepared(c, 1)
	cl := claim(t, wr, "a", orders(0))[0]
	if err := wr.Commit(t.Context(), move(cl, 1, batch(t, c, effect("o1"), effect("o2")))); err != nil {
		t.Fatal(err)
	}
	cl.Next = 1
	cfg := w.config()
	cfg.Attempts = 2
	a := w.admin(cfg)
	table := c.Physical(c.Models[0].Name)
	for _, lock := range []string{`SELECT * FROM shop."` + table + `" FOR UPDATE`, "SELECT * FROM projectionist.positions FOR UPDATE"} {
		other, err := dial(t, w.ep).Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := other.Exec(t.Context(), lock); err != nil {
			t.Fatal(err)
		}
		calls := 0
		rep := given(&calls, stores.Row{Key: []value.Value{"o1"}})
		rep.Hold = time.Second
		_, err = a.Replace(t.Context(), c, rep)
		_ = wantReason(t, err, ReasonContention)
		if err := other.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		// No claim was ended, and no lock is left.
		if err := wr.Commit(t.Context(), move(cl, cl.Next+1, nil)); err != nil {
			t.Fatal(lock, err)
		}
		cl.Next++
	}
	if n := w.text("SELECT count(*) FROM shop.order_summary"); n != "2" {
		t.Fatal(n, "rows")
	}
}

// A partition that is added waits for the replacement: its writer could otherwise commit beside it.
func TestReplaceKeepsPartitionsOut(t *testing.T) {
	w, c := newWorld(t), ordersContract()
	wr := w.prepared(c, 1)
	added := make(chan error, 1)
	seen := ""
	_, err := w.admin(w.config()).Replace(t.Context(), c, stores.Replacement{Hold: stores.MaxHold, Fold: func(ctx context.Context, claims []stores.Claim, _ []stores.Barrier) ([]stores.Row, error) {
		go func() {
			_, err := wr.AddPartitions(t.Context(), stores.Barrier{Topic: "orders", Before: 1, After: 2, Ends: []int64{0}})
			added <- err
		}()
		for {
			var waits bool
			if err := w.sql.QueryRow(ctx, `SELECT count(*) > 0 FROM pg_stat_activity a
WHERE a.datname = current_database() AND a.wait_event_type = 'Lock' AND a.query LIKE '%FOR NO KEY UPDATE%'`).Scan(&waits); err != nil || waits {
				seen = w.text("SELECT count(*) FROM projectionist.positions")
				return nil, err
			}
		}
	}})
	if err != nil || seen != "1" {
		t.Fatalf("%v, %s position rows while they were held", err, seen)
	}
	if err := <-added; err != nil {
		t.Fatal(err)
	}
	if n := w.text("SELECT count(*) FROM projectionist.positions WHERE epoch = 0"); n != "1" {
		t.Fatal(n, "partitions were added")
	}
}

// Rows that take longer to write than writers may be held up are not written: the projector goes on, with its claims.
func TestReplaceIsBounded(t *testing.T) {
	w, c := newWorld(t), ordersContract()
	wr := w.prepared(c, 1)
	cl := claim(t, wr, "a", orders(0))[0]
	if err := wr.Commit(t.Context(), move(cl, 1, batch(t, c, effect("o1"), effect("o2")))); err != nil {
		t.Fatal(err)
	}
	cl.Next = 1
	w.exec("CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_catalog.pg_sleep(20); RETURN OLD; END'")
	w.exec(`CREATE TRIGGER slow BEFORE DELETE ON shop."` + c.Physical("order_summary") + `" FOR EACH ROW EXECUTE FUNCTION public.slow()`)
	calls := 0
	rep := given(&calls, stores.Row{Key: []value.Value{"o1"}})
	rep.Hold = time.Second
	if _, err := w.admin(w.config()).Replace(t.Context(), c, rep); !errors.Is(err, stores.ErrHeldTooLong) || calls != 1 {
		t.Fatalf("%v, %d calls", err, calls)
	}
	began := time.Now()
	if err := wr.Commit(t.Context(), move(cl, 2, nil)); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Fatalf("the projector waited for %s", took)
	}
	if n := w.text("SELECT count(*) FROM shop.order_summary"); n != "2" {
		t.Fatal(n, "rows")
	}
}

// Rows that are as they should be are not written, nor are those of other keys; and one with what no projector writes is.
func TestReplaceWritesNoOther(t *testing.T) {
	w, c := newWorld(t), ordersContract()
	wr := w.prepared(c, 1)
	cl := claim(t, wr, "a", orders(0))[0]
	if err := wr.Commit(t.Context(), move(cl, 1, batch(t, c, effect("o1", change(2, fold.OpAdd, int64(1))), effect("o2"), effect("o3")))); err != nil {
		t.Fatal(err)
	}
	a := w.admin(w.config())
	rows := map[string][]value.Value{}
	visit := stores.Visit{
		Begin: func([]stores.Claim, []stores.Barrier) error { return nil }, Want: func(int, []value.Value) bool { return true },
		Row: func(_ int, row []value.Value) error { rows[row[0].(string)] = row; return nil },
	}
	if err := a.Snapshot(t.Context(), c, visit); err != nil {
		t.Fatal(err)
	}
	xmin := func(id string) string {
		return w.text(`SELECT xmin FROM shop."`+c.Physical("order_summary")+`" WHERE id = $1`, id)
	}
	before := map[string]string{"o1": xmin("o1"), "o2": xmin("o2"), "o3": xmin("o3")}
	calls := 0
	changed := append([]value.Value{}, rows["o2"]...)
	changed[2] = int64(77)
	done, err := a.Replace(t.Context(), c, given(&calls, stores.Row{Key: rows["o1"][:1], Values: rows["o1"]}, stores.Row{Key: rows["o2"][:1], Values: changed}))
	if err != nil || done.Models[0] != (stores.ReplacedRows{Written: 1, Equal: 1}) {
		t.Fatalf("%+v (%v)", done, err)
	}
	if xmin("o1") != before["o1"] || xmin("o3") != before["o3"] || xmin("o2") == before["o2"] {
		t.Error("another row was written, or this one was not")
	}
	if err := w.sql.QueryRow(t.Context(), "SELECT 1 FROM shop.order_summary WHERE id = 'o2' AND n = 77").Scan(new(int)); errors.Is(err, pgx.ErrNoRows) {
		t.Error("the row is another")
	}
}

// The rights of a projector do, that prepare has given to a role of its own.
func TestReplaceAsProjector(t *testing.T) {
	w, c := newWorld(t), ordersContract()
	role := w.ep
	role.User, role.Password = "replacer_"+w.ep.Database, "replacer"
	w.exec("CREATE ROLE " + role.User + " LOGIN PASSWORD 'replacer'")
	t.Cleanup(func() {
		k := dial(t, w.ep)
		for _, sql := range []string{"DROP OWNED BY " + role.User, "DROP ROLE " + role.User} {
			if _, err := k.Exec(context.Background(), sql); err != nil {
				t.Error(err)
			}
		}
	})
	projector := w.config()
	projector.Resolve = func(context.Context) (Endpoint, error) { return role, nil }
	a, err := OpenAdmin(AdminConfig{Config: w.config(), Projector: projector.Resolve})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	if _, err := a.Prepare(t.Context(), c, starts(c, 1)); err != nil {
		t.Fatal(err)
	}
	wr := w.writer(projector, c)
	cl := claim(t, wr, "a", orders(0))[0]
	if err := wr.Commit(t.Context(), move(cl, 1, batch(t, c, effect("o1"), effect("o2")))); err != nil {
		t.Fatal(err)
	}
	calls := 0
	done, err := w.admin(projector).Replace(t.Context(), c, given(&calls, stores.Row{Key: []value.Value{"o1"}},
		stores.Row{Key: []value.Value{"o3"}, Values: []value.Value{"o3", nil, int64(1), nil, nil, []value.Value{}}}))
	if err != nil || done.Models[0] != (stores.ReplacedRows{Written: 1, Deleted: 1}) {
		t.Fatalf("%+v (%v)", done, err)
	}
	if _, _, err := w.admin(projector).Positions(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}
