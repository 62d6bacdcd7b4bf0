// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration && failpoints

package postgres

import (
	"testing"

	"github.com/projectionist-dev/projectionist/projectors/failpoint"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// Each mutant does what its name says: what the fence refuses, it lets through.
func TestMutants(t *testing.T) {
	for point, tc := range map[string]struct {
		stale    func(*stores.Claim)
		accepted bool
	}{
		"":                                     {func(c *stores.Claim) { c.Epoch--; c.Token = "x" }, false},
		failFenceNoEpochToken:                  {func(c *stores.Claim) { c.Epoch--; c.Token = "x" }, true},
		failFenceNone:                          {func(c *stores.Claim) { c.Next = 1; c.Epoch = 0 }, true},
		failFenceNoEpochToken + " but expects": {func(c *stores.Claim) { c.Next = 1 }, false},
	} {
		t.Run(point, func(t *testing.T) {
			name := point
			if name == failFenceNoEpochToken+" but expects" {
				name = failFenceNoEpochToken
			}
			w, c := newWorld(t), ordersContract()
			wr := w.prepared(c, 1)
			cl := claim(t, wr, "a", orders(0))[0]
			failpoint.Set(name)
			t.Cleanup(func() { failpoint.Set("") })
			tc.stale(&cl)
			err := wr.Commit(t.Context(), move(cl, 5, batch(t, c, effect("o1", change(2, fold.OpAdd, int64(1))))))
			if (err == nil) != tc.accepted {
				t.Fatal(err)
			}
			// An audit of the row sees that the epoch fell.
			if got := w.text("SELECT epoch FROM projectionist.positions"); tc.accepted != (got == "0") {
				t.Fatal("epoch", got)
			}
		})
	}
	t.Run(failClaimTokensOnce, func(t *testing.T) {
		failpoint.Set(failClaimTokensOnce)
		t.Cleanup(func() { failpoint.Set("") })
		wr, first, held := lostClaim(t)
		first.Epoch = held.Epoch
		if err := wr.Commit(t.Context(), move(first, 5, nil)); first.Token != held.Token || err != nil {
			t.Fatal("the token of the first try commits nothing: ", err)
		}
	})
	t.Run(failPositionOutside, func(t *testing.T) {
		w, c := newWorld(t), ordersContract()
		wr := w.prepared(c, 1)
		cl := claim(t, wr, "a", orders(0))[0]
		failpoint.Set(failPositionOutside)
		t.Cleanup(func() { failpoint.Set("") })
		cl.Epoch--
		wantFenced(t, wr.Commit(t.Context(), move(cl, 5, batch(t, c, effect("o1", change(2, fold.OpAdd, int64(1)))))), orders(0))
		if got := w.text("SELECT count(*) FROM shop.order_summary"); got != "1" {
			t.Fatal("the rows did not commit by themselves")
		}
	})
}
