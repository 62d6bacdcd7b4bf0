// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// throughProxy gives a Config whose connections go through p.
func (w *world) throughProxy(p *proxy) Config {
	cfg := w.config()
	cfg.Resolve = func(context.Context) (Endpoint, error) {
		ep := w.ep
		ep.Host, ep.Port = p.address()
		return ep, nil
	}
	return cfg
}

// A connection that is cut at COMMIT leaves the client without an answer. Whether
// the server saw the COMMIT or not, Commit says nil and the effect is there once.
func TestLostCommit(t *testing.T) {
	for _, where := range []cut{cutBeforeCommit, cutAfterCommit} {
		t.Run(where.String(), func(t *testing.T) {
			w, c := newWorld(t), ordersContract()
			w.prepared(c, 2)
			p := newProxy(t, w.ep)
			wr := w.writer(w.throughProxy(p), c)
			cs := claim(t, wr, "a", orders(0), orders(1))
			add := func() *fold.Batch { return batch(t, c, effect("o1", change(2, fold.OpAdd, int64(1)))) }
			// Everything is prepared by the time the connection is cut.
			if err := wr.Commit(t.Context(), move(cs[0], 1, add())); err != nil {
				t.Fatal(err)
			}
			cs[0].Next = 1
			for i := range 5 {
				p.cutNext(where)
				both := stores.Commit{Advances: []stores.Advance{{Claim: cs[0], Next: cs[0].Next + 1}, {Claim: cs[1], Next: cs[1].Next + 1}}, Rows: add()}
				if err := wr.Commit(t.Context(), both); err != nil {
					t.Fatal(i, err)
				}
				cs[0].Next, cs[1].Next = cs[0].Next+1, cs[1].Next+1
			}
			if p.cuts.Load() != 5 {
				t.Fatal(p.cuts.Load(), "cuts")
			}
			if got := w.text("SELECT n FROM shop.order_summary"); got != "16" {
				t.Fatal("n is", got)
			}
		})
	}
}

// lostClaim claims a partition on a connection that ends when the server has committed the claim, so that it
// is made twice. It gives the claim that the first try left in the row, and the one that Claim gives.
func lostClaim(t *testing.T) (wr *Writer, first, held stores.Claim) {
	t.Helper()
	w, c := newWorld(t), ordersContract()
	w.prepared(c, 1)
	w.exec("CREATE TABLE claims (epoch bigint, token text)")
	w.exec(`CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.claims VALUES (NEW.epoch, NEW.token); RETURN NULL; END $$`)
	w.exec("CREATE TRIGGER note AFTER UPDATE OF token ON projectionist.positions FOR EACH ROW EXECUTE FUNCTION note()")
	p := newProxy(t, w.ep)
	wr = w.writer(w.throughProxy(p), c)
	p.cutNext(cutAfterCommit)
	held = claim(t, wr, "a", orders(0))[0]
	first = held
	if err := w.sql.QueryRow(t.Context(), "SELECT epoch, token FROM claims ORDER BY epoch LIMIT 1").Scan(&first.Epoch, &first.Token); err != nil {
		t.Fatal(err)
	}
	if n := w.text("SELECT count(*) FROM claims"); n != "2" || p.cuts.Load() != 1 || first.Epoch+1 != held.Epoch {
		t.Fatalf("%s claims, %d cuts, epochs %d and %d: the second try is not a claim of its own", n, p.cuts.Load(), first.Epoch, held.Epoch)
	}
	return wr, first, held
}

// A claim whose answer is lost is made again, and what the first try has minted is
// worth nothing (Law 3), whatever epoch it is shown with: a failover may mint one twice.
func TestLostClaim(t *testing.T) {
	wr, first, held := lostClaim(t)
	if first.Token == held.Token {
		t.Error("both tries have the same token")
	}
	again := first
	again.Epoch = held.Epoch
	for _, cl := range []stores.Claim{first, again} {
		wantFenced(t, wr.Commit(t.Context(), move(cl, 5, nil)), orders(0))
	}
	if err := wr.Commit(t.Context(), move(held, 5, nil)); err != nil {
		t.Fatal(err)
	}
}

// When the server stays away the call ends with Unreachable; the same Commit
// given again finds out what happened.
func TestLostCommitAndServerAway(t *testing.T) {
	for _, where := range []cut{cutBeforeCommit, cutAfterCommit} {
		t.Run(where.String(), func(t *testing.T) {
			w, c := newWorld(t), ordersContract()
			w.prepared(c, 1)
			p := newProxy(t, w.ep)
			cfg := w.throughProxy(p)
			cfg.Attempts = 3
			wr := w.writer(cfg, c)
			cl := claim(t, wr, "a", orders(0))[0]
			commit := move(cl, 5, batch(t, c, effect("o1", change(2, fold.OpAdd, int64(1)))))
			p.cutNext(where)
			p.closeAfterCut.Store(true)
			_ = wantReason(t, wr.Commit(t.Context(), commit), stores.ReasonUnreachable)
			_ = wantReason(t, wr.Commit(t.Context(), commit), stores.ReasonUnreachable)
			p.closed.Store(false)
			p.closeAfterCut.Store(false)
			if err := wr.Commit(t.Context(), commit); err != nil {
				t.Fatal(err)
			}
			if got := w.text("SELECT n FROM shop.order_summary"); got != "11" {
				t.Fatal("n is", got)
			}
			// With the outcome known, the same again is a second commit, and fenced.
			wantFenced(t, wr.Commit(t.Context(), commit), orders(0))
		})
	}
}

// Sessions are killed under load, many times; nothing is lost or doubled.
func TestSessionsKilledUnderLoad(t *testing.T) {
	w, c := newWorld(t), ordersContract()
	wr := w.prepared(c, 2)
	cs := claim(t, wr, "a", orders(0), orders(1))
	const commits = 300
	// A kill is due after some progress, or nothing would ever get done.
	due := make(chan struct{}, 1)
	killed := make(chan int)
	go func() {
		k := dial(t, w.ep)
		n := 0
		for range due {
			tag, err := k.Exec(context.Background(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'projectionist/%'`)
			if err != nil {
				t.Error(err)
			}
			n += int(tag.RowsAffected())
		}
		killed <- n
	}()
	var wg sync.WaitGroup
	for i := range cs {
		wg.Go(func() {
			cl := cs[i]
			for n := range commits {
				if n%10 == 9 {
					select {
					case due <- struct{}{}:
					default:
					}
				}
				req := move(cl, cl.Next+3, batch(t, c, effect(fmt.Sprint("o", i), change(4, fold.OpAdd, int64(1)), change(5, fold.OpAppend, fmt.Sprint(cl.Next)))))
				for {
					err := wr.Commit(t.Context(), req)
					if err == nil {
						break
					}
					if !stores.Transient(err) {
						t.Error(err)
						return
					}
				}
				cl.Next += 3
			}
		})
	}
	wg.Wait()
	close(due)
	if n := <-killed; n < 10 {
		t.Fatal("only", n, "sessions were killed")
	}
	for i := range cs {
		if got := w.text("SELECT (best, cardinality(log), log[2], log[301]) FROM shop.order_summary WHERE id = $1", fmt.Sprint("o", i)); got != "(300,301,0,897)" {
			t.Fatal(got)
		}
	}
}

func TestPasswordRotation(t *testing.T) {
	w, c := newWorld(t), ordersContract()
	role := "rotating_" + w.ep.Database
	w.exec("CREATE ROLE " + role + " LOGIN PASSWORD 'first'")
	t.Cleanup(func() {
		k := dial(t, w.ep)
		_, _ = k.Exec(context.Background(), "DROP OWNED BY "+role+" CASCADE")
		if _, err := k.Exec(context.Background(), "DROP ROLE "+role); err != nil {
			t.Error(err)
		}
	})
	w.exec("GRANT CREATE ON DATABASE " + w.ep.Database + " TO " + role)
	var password atomic.Pointer[string]
	password.Store(ptr("first"))
	cfg := w.config()
	cfg.Resolve = func(context.Context) (Endpoint, error) {
		ep := w.ep
		ep.User, ep.Password = role, *password.Load()
		return ep, nil
	}
	if _, err := w.admin(cfg).Prepare(t.Context(), c, starts(c, 1)); err != nil {
		t.Fatal(err)
	}
	wr := w.writer(cfg, c)
	cl := claim(t, wr, "a", orders(0))[0]
	w.exec("ALTER ROLE " + role + " PASSWORD 'second'")
	w.exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", role)
	commit := move(cl, 5, batch(t, c, effect("o1", change(2, fold.OpAdd, int64(1)))))
	e := wantReason(t, wr.Commit(t.Context(), commit), stores.ReasonAuthenticationFailed)
	if strings.Contains(fmt.Sprint(e, e.Err), "first") {
		t.Fatal("the error shows the password")
	}
	password.Store(ptr("second"))
	if err := wr.Commit(t.Context(), commit); err != nil {
		t.Fatal(err)
	}
	missing := errors.New("SecretKeyMissing: orders-app/password")
	cfg.Resolve = func(context.Context) (Endpoint, error) { return Endpoint{}, missing }
	e = wantReason(t, w.writer(cfg, c).Ping(t.Context()), stores.ReasonSecretKeyMissing)
	if !errors.Is(e, missing) {
		t.Fatal(e)
	}
}

func TestEnvironmentFaultsAreNeverData(t *testing.T) {
	w, c := newWorld(t), ordersContract()
	wr := w.prepared(c, 1)
	cl := claim(t, wr, "a", orders(0))[0]
	commit := move(cl, 5, batch(t, c, effect("o1", change(2, fold.OpAdd, int64(1)))))

	quick := w.config()
	quick.LockTimeout, quick.Attempts = 50*time.Millisecond, 2
	impatient := w.writer(quick, c)
	tx, err := w.sql.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "LOCK TABLE shop.order_summary__0123456789"); err != nil {
		t.Fatal(err)
	}
	_ = wantReason(t, impatient.Commit(t.Context(), commit), ReasonContention)
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}

	w.exec("ALTER DATABASE " + w.ep.Database + " SET default_transaction_read_only = on")
	ro := w.writer(w.config(), c)
	if err := ro.Commit(t.Context(), commit); err != nil {
		t.Fatal("a transaction says itself that it writes:", err)
	}
	cl.Next = 5
	commit = move(cl, 6, batch(t, c, effect("o1", change(2, fold.OpAdd, int64(1)))))
	w.exec("ALTER TABLE shop.order_summary__0123456789 RENAME TO gone")
	_ = wantReason(t, wr.Commit(t.Context(), commit), stores.ReasonNotPrepared)
	w.exec("ALTER TABLE shop.gone RENAME TO order_summary__0123456789")
	if err := wr.Commit(t.Context(), commit); err != nil {
		t.Fatal(err)
	}

	bad := w.config()
	bad.Resolve = func(context.Context) (Endpoint, error) { ep := w.ep; ep.Port = 1; return ep, nil }
	_ = wantReason(t, w.writer(bad, c).Ping(t.Context()), stores.ReasonUnreachable)
	bad.Resolve = func(context.Context) (Endpoint, error) { ep := w.ep; ep.Database = "no such"; return ep, nil }
	_ = wantReason(t, w.writer(bad, c).Ping(t.Context()), ReasonDatabaseMissing)
	bad.Resolve = func(context.Context) (Endpoint, error) { ep := w.ep; ep.TLS.Mode = "verify-full"; return ep, nil }
	_ = wantReason(t, w.writer(bad, c).Ping(t.Context()), ReasonTLS)
}

// The server frees the locks of a projector that froze in its transaction.
func TestFrozenHolderIsFreed(t *testing.T) {
	w, c := newWorld(t), ordersContract()
	wr := w.prepared(c, 1)
	claim(t, wr, "a", orders(0))
	cfg := w.config()
	cfg.IdleInTransactionTimeout = 200 * time.Millisecond
	frozen := dial(t, w.ep)
	// In one message: between two, a slow test is idle in its transaction as well.
	sql := "BEGIN; " + mustWithDefaults(t, cfg).prologue() + "; SELECT FROM projectionist.positions FOR UPDATE"
	if _, err := frozen.PgConn().Exec(t.Context(), sql).ReadAll(); err != nil {
		t.Fatal(err)
	}
	if _, err := wr.Claim(t.Context(), "b", []event.TopicPartition{orders(0)}); err != nil {
		t.Fatal(err)
	}
}

func mustWithDefaults(t *testing.T, cfg Config) Config {
	t.Helper()
	out, err := cfg.withDefaults(1)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// What cannot be read in the bookkeeping is said to be that, and not a connection that broke: no repetition mends it.
func TestDamagedBookkeeping(t *testing.T) {
	w, c := newWorld(t), ordersContract()
	wr := w.prepared(c, 1)
	b := second(nil)
	if _, err := w.admin(w.config()).Prepare(t.Context(), b, starts(b, 1)); err != nil {
		t.Fatal(err)
	}
	w.exec(`UPDATE projectionist.revisions SET contract = '"no contract"' WHERE revision = $1`, b.Revision)
	sw := contract.Switch{Revision: b.Revision, Active: c.Revision, Sequence: 1, DeadlineSeconds: 60}
	began := time.Now()
	_, err := w.admin(w.config()).Promote(t.Context(), c.Projection, sw)
	if e := wantReason(t, err, ReasonStoreError); !strings.Contains(e.Message, "contract of revision "+b.Revision) || time.Since(began) > 50*time.Second {
		t.Fatalf("%v, after %s", e, time.Since(began))
	}
	w.exec("UPDATE projectionist.positions SET next_position = '99999999999999999999'")
	_, err = wr.Claim(t.Context(), "a", []event.TopicPartition{orders(0)})
	if e := wantReason(t, err, ReasonStoreError); !strings.Contains(e.Message, "position of orders/0") {
		t.Fatal(e)
	}
	if epoch := w.text("SELECT max(epoch) FROM projectionist.positions"); epoch != "0" {
		t.Fatal("it claimed", epoch, "times")
	}
}

// A value that the server refuses is a fault of the data, and no message shows it.
func TestDataErrorsShowNoValue(t *testing.T) {
	w, c := newWorld(t), ordersContract()
	wr := w.prepared(c, 1)
	cl := claim(t, wr, "a", orders(0))[0]
	w.exec("ALTER TABLE shop.order_summary__0123456789 ADD CONSTRAINT polite CHECK (status <> 'canary')")
	for name, tc := range map[string]struct {
		effect       fold.Effect
		column, kind string
	}{
		"NUL":        {effect("o1", change(1, fold.OpSet, "canary\x00")), "", reasonOutOfRange},
		"constraint": {effect("o1", change(1, fold.OpSet, "canary")), "", reasonConstraint},
	} {
		t.Run(name, func(t *testing.T) {
			err := wr.Commit(t.Context(), move(cl, 5, batch(t, c, tc.effect)))
			var de *stores.DataError
			if !errors.As(err, &de) || de.Model != "order_summary" || de.Column != tc.column || de.Reason != tc.kind {
				t.Fatalf("%#v", err)
			}
			if strings.Contains(fmt.Sprintf("%v %+v", err, de), "canary") {
				t.Fatal("the error shows a value:", err)
			}
		})
	}
	full := effect("o1", change(4, fold.OpSet, int64(9_223_372_036_854_775_807)))
	if err := wr.Commit(t.Context(), move(cl, 5, batch(t, c, full))); err != nil {
		t.Fatal(err)
	}
	cl.Next = 5
	err := wr.Commit(t.Context(), move(cl, 6, batch(t, c, effect("o1", change(4, fold.OpAdd, int64(1))))))
	var de *stores.DataError
	if !errors.As(err, &de) || de.Column != "best" || de.Reason != reasonOutOfRange {
		t.Fatal(err)
	}
}
