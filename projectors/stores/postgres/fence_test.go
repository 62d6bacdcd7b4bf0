// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package postgres

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

func TestCommitMovesRowsAndPosition(t *testing.T) {
	w, c := newWorld(t), ordersContract()
	wr := w.prepared(c, 2)
	cl := claim(t, wr, "a", orders(0))[0]
	if err := wr.Commit(t.Context(), move(cl, 5, batch(t, c, effect("o1", change(1, fold.OpSet, "placed"), change(2, fold.OpAdd, int64(20)))))); err != nil {
		t.Fatal(err)
	}
	// A default of 10 and 20 added is 30; another 20 makes 50.
	if got := w.text("SELECT (status, n, total, log) FROM shop.order_summary"); got != "(placed,30,,{made})" {
		t.Fatal(got)
	}
	cl.Next = 5
	if err := wr.Commit(t.Context(), move(cl, 7, batch(t, c, effect("o1", change(2, fold.OpAdd, int64(20)), change(5, fold.OpAppend, `a"b\{,`))))); err != nil {
		t.Fatal(err)
	}
	if got := w.text("SELECT (n, log[1], log[2]) FROM shop.order_summary"); got != `(50,made,"a""b\\{,")` {
		t.Fatal(got)
	}
	rows, err := wr.Peek(t.Context())
	if err != nil || len(rows) != 2 || rows[0].Next != 7 || rows[0].LeaderEpoch != 3 || rows[0].Owner != "a" || rows[0].TopicID != "id-orders" || rows[0].EventTime.IsZero() {
		t.Fatalf("%+v %v", rows, err)
	}
}

func TestFenceRaisesInsideThePipeline(t *testing.T) {
	w, c := newWorld(t), ordersContract()
	wr := w.prepared(c, 3)
	cs := claim(t, wr, "a", orders(0), orders(1), orders(2))
	rows := func() *fold.Batch { return batch(t, c, effect("o1", change(2, fold.OpAdd, int64(1)))) }
	both := func(mut func(*stores.Claim)) stores.Commit {
		bad := cs[1]
		mut(&bad)
		return stores.Commit{Advances: []stores.Advance{{Claim: cs[0], Next: 9}, {Claim: bad, Next: 9}}, Rows: rows()}
	}
	for name, mut := range map[string]func(*stores.Claim){
		"epoch":    func(c *stores.Claim) { c.Epoch-- },
		"token":    func(c *stores.Claim) { c.Token = "x" },
		"expected": func(c *stores.Claim) { c.Next = 3 },
		"held":     func(c *stores.Claim) { c.HeldVersion = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			wantFenced(t, wr.Commit(t.Context(), both(mut)), orders(1))
			if got := w.text("SELECT count(*) FROM shop.order_summary"); got != "0" {
				t.Fatal(got, "rows")
			}
			if got := w.text("SELECT max(next_position) FROM projectionist.positions"); got != "0" {
				t.Fatal("a position moved to", got)
			}
		})
	}
	if err := wr.Commit(t.Context(), both(func(*stores.Claim) {})); err != nil {
		t.Fatal(err)
	}
	// The connection that raised is in use again, and no transaction hangs.
	if got := w.text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"); got != "0" {
		t.Fatal(got)
	}
}

// A zombie holds a transaction open in which its fence has passed; the takeover
// waits for it, and whatever the zombie still does under its old claim changes nothing.
func TestTakeoverWaitsForAnOpenTransaction(t *testing.T) {
	for _, end := range []string{"COMMIT", "ROLLBACK"} {
		t.Run(end, func(t *testing.T) {
			w, c := newWorld(t), ordersContract()
			zombie, next := w.prepared(c, 1), w.writer(w.config(), c)
			old := claim(t, zombie, "zombie", orders(0))[0]
			// The zombie's transaction, by hand, up to the point where it froze.
			open := dial(t, w.ep)
			for _, sql := range []string{
				"BEGIN", "UPDATE projectionist.positions SET next_position = '4'",
				"INSERT INTO shop.order_summary__0123456789 (id, n) VALUES ('o1', 1)",
			} {
				if _, err := open.Exec(t.Context(), sql); err != nil {
					t.Fatal(err)
				}
			}
			took := make(chan stores.Claim)
			go func() {
				cs, err := next.Claim(t.Context(), "next", []event.TopicPartition{orders(0)})
				if err != nil {
					t.Error(err)
					cs = make([]stores.Claim, 1)
				}
				took <- cs[0]
			}()
			w.awaitBlocked()
			select {
			case <-took:
				t.Fatal("the claim did not wait")
			default:
			}
			if _, err := open.Exec(t.Context(), end); err != nil {
				t.Fatal(err)
			}
			cl := <-took
			want := map[string]int64{"COMMIT": 4, "ROLLBACK": 0}[end]
			if cl.Next != want || cl.Epoch != old.Epoch+1 || cl.Token == old.Token {
				t.Fatalf("%+v", cl)
			}
			old.Next = cl.Next
			wantFenced(t, zombie.Commit(t.Context(), move(old, 9, batch(t, c, effect("o1", change(2, fold.OpAdd, int64(100)))))), orders(0))
			if err := next.Commit(t.Context(), move(cl, 9, batch(t, c, effect("o1", change(2, fold.OpAdd, int64(5)))))); err != nil {
				t.Fatal(err)
			}
			if got := w.text("SELECT n FROM shop.order_summary"); got != map[string]string{"COMMIT": "6", "ROLLBACK": "15"}[end] {
				t.Fatal(got)
			}
		})
	}
}

// awaitBlocked waits until a session of the database waits for a lock.
func (w *world) awaitBlocked() {
	w.Helper()
	for range 2000 {
		if w.text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") != "0" {
			return
		}
		w.exec("SELECT pg_sleep(0.005)")
	}
	w.Fatal("nobody waits for a lock")
}

// The commit waits behind the takeover's transaction and must look at the row as it is afterwards.
func TestCommitThatWaitedSeesTheTakeover(t *testing.T) {
	w, c := newWorld(t), ordersContract()
	wr := w.prepared(c, 1)
	cl := claim(t, wr, "a", orders(0))[0]
	tx, err := w.sql.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "UPDATE projectionist.positions SET epoch = epoch + 1, token = 'other'"); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		done <- wr.Commit(t.Context(), move(cl, 3, batch(t, c, effect("o1", change(2, fold.OpAdd, int64(1))))))
	}()
	look := &world{TB: t, ep: w.ep, sql: dial(t, w.ep)}
	look.awaitBlocked()
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantFenced(t, <-done, orders(0))
	if got := w.text("SELECT count(*) FROM shop.order_summary"); got != "0" {
		t.Fatal(got)
	}
}

func TestClaimIsAllOrNothing(t *testing.T) {
	w, c := newWorld(t), ordersContract()
	wr := w.prepared(c, 2)
	_, err := wr.Claim(t.Context(), "a", []event.TopicPartition{orders(1), orders(2)})
	if !errors.Is(err, stores.ErrNoPosition) {
		t.Fatal(err)
	}
	if got := w.text("SELECT max(epoch) FROM projectionist.positions"); got != "0" {
		t.Fatal("epoch", got)
	}
	w.exec("DELETE FROM projectionist.positions WHERE partition = 1")
	// Neither preparing again nor growth brings a lost row back: it would count twice.
	if _, err := w.admin(w.config()).Prepare(t.Context(), c, starts(c, 2)); err != nil {
		t.Fatal(err)
	}
	if _, err := wr.AddPartitions(t.Context(), stores.Barrier{Topic: "orders", Before: 1, After: 2, Ends: []int64{4}}); err == nil {
		t.Fatal("a barrier below the recorded number of partitions was taken")
	}
	if _, err := wr.Claim(t.Context(), "a", []event.TopicPartition{orders(1)}); !errors.Is(err, stores.ErrNoPosition) {
		t.Fatal(err)
	}
}

func TestClaimBeforePrepareIsNotPrepared(t *testing.T) {
	w, c := newWorld(t), ordersContract()
	_, err := w.writer(w.config(), c).Claim(t.Context(), "a", []event.TopicPartition{orders(0)})
	_ = wantReason(t, err, stores.ReasonNotPrepared)
	other := ordersContract()
	w.prepared(c, 1)
	other.Revision = "fedcba9876"
	_, err = w.writer(w.config(), other).Peek(t.Context())
	_ = wantReason(t, err, stores.ReasonNotPrepared)
}

// Two transactions that both see a row as absent: the second must not overwrite it.
func TestLoadedRowThatAppearsIsReadAgain(t *testing.T) {
	w, c := newWorld(t), ordersContract()
	wr := w.prepared(c, 1)
	cl := claim(t, wr, "a", orders(0))[0]
	// max below the default is a row that has to be loaded: add and then max on one column.
	b := batch(t, c, effect("o1", change(4, fold.OpAdd, int64(5))), effect("o1", change(4, fold.OpMax, int64(7))))
	if arms := b.Segments()[0].Rows(0)[0].Shape().Arms; arms != fold.Load {
		t.Fatal("the test wants a loading shape, got", arms)
	}
	tx, err := w.sql.BeginTx(t.Context(), pgx.TxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "INSERT INTO shop.order_summary__0123456789 (id, best) VALUES ('o1', 100)"); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- wr.Commit(t.Context(), move(cl, 3, b)) }()
	look := &world{TB: t, ep: w.ep, sql: dial(t, w.ep)}
	look.awaitBlocked()
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := w.text("SELECT best FROM shop.order_summary"); got != "105" {
		t.Fatal(got)
	}
}
