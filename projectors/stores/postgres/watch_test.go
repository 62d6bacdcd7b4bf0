// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package postgres

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
)

// TestSize: the size is that of the revision's own tables with their indexes and long values, and needs no more than a
// connection. What is in the way is waited for no longer than ctx says.
func TestSize(t *testing.T) {
	w, c := newWorld(t), ordersContract()
	own := w.prepared(c, 1)
	other := second(func(*contract.Model) {})
	if _, err := w.admin(w.config()).Prepare(t.Context(), other, starts(other, 1)); err != nil {
		t.Fatal(err)
	}
	w.exec("INSERT INTO shop." + c.Physical("order_summary") + " (id, status, n, log) SELECT 'o' || i, repeat('x', 100), i, '{}' FROM generate_series(1, 10000) i")
	var want int64
	if err := w.sql.QueryRow(t.Context(), "SELECT pg_total_relation_size('shop."+c.Physical("order_summary")+"')").Scan(&want); err != nil {
		t.Fatal(err)
	}
	stranger := w.as(w.role("stranger"))
	for name, wr := range map[string]*Writer{"as its owner": own, "as one without rights": w.writer(stranger, c)} {
		if got, err := wr.Size(t.Context()); err != nil || got != want || got < 1_000_000 {
			t.Errorf("%s: %d (%v), want %d", name, got, err, want)
		}
	}
	if got, err := w.writer(w.config(), other).Size(t.Context()); err != nil || got <= 0 || got >= want {
		t.Errorf("another revision, without rows: %d (%v)", got, err)
	}
	gone := *c
	gone.Revision = "0000000000"
	if got, err := w.writer(w.config(), &gone).Size(t.Context()); err != nil || got != 0 {
		t.Errorf("a revision without tables: %d (%v)", got, err)
	}
	tx, err := w.sql.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if _, err := tx.Exec(t.Context(), "LOCK TABLE shop."+c.Physical("order_summary")+" IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := own.Size(short); err == nil {
		t.Error("a locked table was measured")
	}
}

// TestShown: a Writer of any revision tells which one readers see.
func TestShown(t *testing.T) {
	b := second(nil)
	s := newSwitching(t, b)
	shown := func(c *contract.Contract) string {
		t.Helper()
		revision, sequence, err := s.writer(s.config(), c).Shown(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%s at %d", revision, sequence)
	}
	if got, want := shown(b), s.a.Revision+" at 1"; got != want {
		t.Errorf("before the switch: %s, want %s", got, want)
	}
	s.promote(b.Revision)
	if got, want := shown(s.a), b.Revision+" at 2"; got != want {
		t.Errorf("after the switch: %s, want %s", got, want)
	}
	stranger := *s.a
	stranger.Projection.Name = "unknown"
	if got := shown(&stranger); got != " at 0" {
		t.Errorf("of a projection that the bookkeeping does not know: %s", got)
	}
}
