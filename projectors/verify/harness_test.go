// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"context"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/history/historytest"
	"github.com/projectionist-dev/projectionist/projectors/sources"
	"github.com/projectionist-dev/projectionist/projectors/stores"
	"github.com/projectionist-dev/projectionist/projectors/verify"
)

// world is a projection that is compared.
type world struct{ *historytest.World }

func newWorld(t testing.TB, c *contract.Contract, n int32) *world {
	t.Helper()
	return &world{historytest.New(t, c, n)}
}

var (
	orders    = historytest.Orders
	order     = historytest.Order
	partition = historytest.Partition
	kindOf    = historytest.KindOf
)

func (w *world) options() verify.Options {
	return verify.Options{
		Log: w.Topics, Store: w.Admin.(stores.Snapshotter), Contract: w.Contract, Program: w.Program, Differences: 10, Patience: 5 * time.Second,
	}
}

func (w *world) verify(change ...func(*verify.Options)) *verify.Result {
	w.Helper()
	o := w.options()
	for _, f := range change {
		f(&o)
	}
	r, err := verify.Run(w.Context(), o)
	if err != nil {
		w.Fatal(err)
	}
	return r
}

// hooked does things between the steps of a comparison.
type hooked struct {
	sources.Log
	stores.Snapshotter
	// beforeFetch runs before each Fetch, beforeSnapshot before each Snapshot, with its number.
	beforeFetch    func()
	beforeSnapshot func(n int)
	snapshots      int
}

func (h *hooked) Fetch(ctx context.Context, positions []sources.Position) ([]sources.Result, error) {
	if h.beforeFetch != nil {
		h.beforeFetch()
	}
	return h.Log.Fetch(ctx, positions)
}

func (h *hooked) Snapshot(ctx context.Context, c *contract.Contract, v stores.Visit) error {
	if h.beforeSnapshot != nil {
		h.beforeSnapshot(h.snapshots)
	}
	h.snapshots++
	return h.Snapshotter.Snapshot(ctx, c, v)
}

// hook puts hooks between the comparison and the world.
func (w *world) hook(h *hooked) func(*verify.Options) {
	return func(o *verify.Options) {
		h.Log, h.Snapshotter = o.Log, o.Store
		o.Log, o.Store = h, h
	}
}

func ptr(s string) *string { return &s }
