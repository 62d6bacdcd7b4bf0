// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package postgres

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// A value that does not fit into an index entry is a fault of the event: taken
// for one of the surroundings it would hold up all partitions for ever.
func TestValueTooLargeForAnIndex(t *testing.T) {
	w, c := newWorld(t), ordersContract()
	wr := w.prepared(c, 1)
	cl := claim(t, wr, "a", orders(0))[0]
	raw := make([]byte, 8<<10) // random: it must not compress below the limit
	if _, err := rand.Read(raw); err != nil {
		t.Fatal(err)
	}
	err := wr.Commit(t.Context(), move(cl, 1, batch(t, c, effect("o1", change(1, fold.OpSet, hex.EncodeToString(raw))))))
	var data *stores.DataError
	if !errors.As(err, &data) || data.Model != "order_summary" || data.Reason != reasonOutOfRange {
		t.Fatalf("got %v", err)
	}
	if got := w.text("SELECT count(*) FROM shop.order_summary"); got != "0" {
		t.Fatal(got, "rows")
	}
}
