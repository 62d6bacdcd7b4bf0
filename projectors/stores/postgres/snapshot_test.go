// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package postgres

import (
	"errors"
	"strings"
	"testing"

	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// TestSnapshotSeesOneState: what is committed while a snapshot is read is not in it, neither rows nor positions, and
// nobody waits for it.
func TestSnapshotSeesOneState(t *testing.T) {
	w := newWorld(t)
	c := ordersContract()
	wr := w.prepared(c, 1)
	at := claim(t, wr, "pod", orders(0))[0]
	commit := func(id string) {
		t.Helper()
		if err := wr.Commit(t.Context(), move(at, at.Next+1, batch(t, c, effect(id)))); err != nil {
			t.Fatal(err)
		}
		at.Next++
	}
	commit("a")
	var rows []string
	var next int64
	err := w.admin(w.config()).Snapshot(t.Context(), c, stores.Visit{
		Begin: func(cs []stores.Claim, _ []stores.Barrier) error {
			next = cs[0].Next
			commit("b")
			return nil
		},
		Want: func(int, []value.Value) bool { return true },
		Row: func(_ int, row []value.Value) error {
			rows = append(rows, row[0].(string))
			return nil
		},
	})
	if err != nil || next != 1 || len(rows) != 1 || rows[0] != "a" {
		t.Errorf("rows %v at %d (%v), want a at 1", rows, next, err)
	}
}

// TestSnapshotOfWhatNoProjectorWrites: a value that has no form is named by its table and column, without the value.
func TestSnapshotOfWhatNoProjectorWrites(t *testing.T) {
	w := newWorld(t)
	c := ordersContract()
	w.prepared(c, 1)
	w.exec("INSERT INTO shop." + c.Physical("order_summary") + " (id, total) VALUES ('hidden', 'NaN')")
	err := w.admin(w.config()).Snapshot(t.Context(), c, stores.Visit{
		Begin: func([]stores.Claim, []stores.Barrier) error { return nil },
		Want:  func(int, []value.Value) bool { return true },
		Row:   func(int, []value.Value) error { return nil },
	})
	if !errors.As(err, new(*stores.UnreadableRowError)) || stores.Transient(err) || !strings.Contains(err.Error(), `column "total"`) || strings.Contains(err.Error(), "hidden") {
		t.Errorf("error %v", err)
	}
}
