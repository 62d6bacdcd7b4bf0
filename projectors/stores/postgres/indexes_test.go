// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// indexed is a projection in use, that is to get one more index.
type indexed struct {
	*world
	*Writer
	was, c *contract.Contract
	cl     stores.Claim
	// writing is a transaction that has changed a row of the table, and stays open.
	writing pgx.Tx
}

func newIndexed(t *testing.T) *indexed {
	t.Helper()
	w := &indexed{world: newWorld(t), was: ordersContract(), c: ordersContract()}
	w.Writer = w.prepared(w.was, 1)
	w.cl = claim(t, w.Writer, "a", orders(0))[0]
	w.commit(t)
	w.c.Models[0].Indexes = append(w.c.Models[0].Indexes, contract.Index{Columns: []string{"n"}})
	var err error
	if w.writing, err = dial(t, w.ep).Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err = w.writing.Exec(t.Context(), `INSERT INTO shop."`+w.c.Physical("order_summary")+`" (id) VALUES ('theirs')`); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *indexed) commit(t *testing.T) {
	t.Helper()
	if err := w.Commit(t.Context(), move(w.cl, w.cl.Next+1, batch(t, w.was, effect("o1")))); err != nil {
		t.Fatal(err)
	}
	w.cl.Next++
}

func (w *indexed) release(t *testing.T) {
	t.Helper()
	if err := w.writing.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// prepare begins to make the index.
func (w *indexed) prepare(ctx context.Context, a *Admin) <-chan error {
	ended := make(chan error, 1)
	go func() {
		_, err := a.Prepare(ctx, w.c, starts(w.c, 1))
		ended <- err
	}()
	return ended
}

// index is what there is of the new index: its oid and whether queries use it.
func (w *indexed) index() string {
	return w.text(`SELECT coalesce(max(i.indexrelid::text || ' ' || i.indisvalid), 'none') FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
WHERE i.indrelid = 'shop.` + w.c.Physical("order_summary") + `'::regclass AND a.attname = 'n'`)
}

func (w *indexed) begun(t *testing.T) {
	t.Helper()
	within(t, time.Minute, "the index is begun, and waits", func() bool {
		return w.text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'CREATE INDEX CONCURRENTLY%' AND wait_event_type = 'Lock'") == "1"
	})
}

// An index of a table in use is made beside its writers, takes as long as it takes, and holds up nobody's definitions.
func TestIndexOfATableInUse(t *testing.T) {
	w := newIndexed(t)
	cfg := w.config()
	cfg.StatementTimeout, cfg.LockTimeout = 3*time.Second, 3*time.Second
	ended := w.prepare(t.Context(), w.admin(cfg))
	w.begun(t)
	began := time.Now()
	w.commit(t)
	other := ordersContract()
	other.Projection.Name, other.Models[0].Name = "other", "other"
	if _, err := w.admin(cfg).Prepare(t.Context(), other, starts(other, 1)); err != nil {
		t.Fatal(err)
	}
	within(t, time.Minute, "all limits are over", func() bool { return time.Since(began) > 4*time.Second })
	w.commit(t)
	select {
	case err := <-ended:
		t.Fatal("it has not waited for an older transaction:", err)
	default:
	}
	w.release(t)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	made := w.index()
	if err := <-w.prepare(t.Context(), w.admin(cfg)); err != nil || w.index() != made || made[len(made)-4:] != "true" {
		t.Fatalf("%v, index %s, then %s", err, made, w.index())
	}
}

// What an interrupted try leaves is no index: the next drops it and makes it.
func TestIndexThatWasInterrupted(t *testing.T) {
	w := newIndexed(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := w.prepare(ctx, w.admin(w.config()))
	w.begun(t)
	cancel()
	if err := <-ended; err == nil {
		t.Fatal("it was interrupted, and says that it is done")
	}
	within(t, time.Minute, "the server has given it up", func() bool {
		return w.text("SELECT count(*) FROM pg_stat_progress_create_index WHERE datname = current_database()") == "0"
	})
	left := w.index()
	w.release(t)
	if err := <-w.prepare(t.Context(), w.admin(w.config())); err != nil {
		t.Fatal(err)
	}
	made := w.index()
	if left == "none" || left[len(left)-5:] != "false" || made == "none" || made[len(made)-4:] != "true" {
		t.Fatalf("index %s, then %s", left, made)
	}
}

// A process that was killed leaves a server that works on: the next waits for that, and has an index when it is done.
func TestIndexOfAProcessThatIsGone(t *testing.T) {
	w := newIndexed(t)
	p := newProxy(t, w.ep)
	gone := w.prepare(t.Context(), w.admin(w.throughProxy(p)))
	w.begun(t)
	left := w.index()
	p.vanish()
	if err := <-gone; err == nil {
		t.Fatal("it has lost its connection, and says that it is done")
	}
	next := w.prepare(t.Context(), w.admin(w.config()))
	select {
	case err := <-next:
		t.Fatal("it did not wait:", err)
	case <-time.After(3 * time.Second):
	}
	w.release(t)
	if err := <-next; err != nil {
		t.Fatal(err)
	}
	if made := w.index(); left[len(left)-5:] != "false" || made != left[:len(left)-5]+"true" {
		t.Fatalf("index %s, then %s: it was made twice", left, made)
	}
}
