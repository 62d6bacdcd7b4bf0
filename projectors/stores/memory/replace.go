// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/stores"
	"github.com/projectionist-dev/projectionist/projectors/stores/rmw"
)

var _ stores.Replacer = admin{}

// Positions implements stores.Replacer.
func (a admin) Positions(ctx context.Context, c *contract.Contract) ([]stores.Claim, []stores.Barrier, error) {
	if err := callPlain(ctx, a.s.currentHooks().BeforeRead); err != nil {
		return nil, nil, err
	}
	w := &writer{s: a.s, c: c}
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	r, err := w.prepared()
	if err != nil {
		return nil, nil, err
	}
	return r.claims(), w.barriers(r), nil
}

// Replace implements stores.Replacer. Writers wait at the revision's gate, as they do for a promotion.
func (a admin) Replace(ctx context.Context, c *contract.Contract, rep stores.Replacement) (stores.Replaced, error) {
	w := &writer{s: a.s, c: c}
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	r, err := w.open(ctx)
	if err != nil {
		return stores.Replaced{}, err
	}
	r.gated = true
	defer func() {
		r.gated = false
		a.s.announce()
	}()
	claims := r.claims()
	rows, err := a.fold(ctx, rep, claims, w.barriers(r))
	if err != nil {
		return stores.Replaced{}, err
	}
	out := stores.Replaced{Claims: claims, Models: make([]stores.ReplacedRows, len(r.models))}
	if err := r.write(r.changes(rows, &out)); err != nil {
		return stores.Replaced{}, err
	}
	for _, p := range r.positions {
		p.Epoch++
		p.Token, p.Owner = stores.FreeToken(), rep.Owner
	}
	if hook := a.s.hooks.AfterReplace; hook != nil {
		return out, hook(ctx)
	}
	return out, nil
}

// fold calls rep.Fold without the lock, which it gives back.
func (a admin) fold(ctx context.Context, rep stores.Replacement, claims []stores.Claim, barriers []stores.Barrier) ([]stores.Row, error) {
	a.s.mu.Unlock()
	defer a.s.mu.Lock()
	held, cancel := context.WithDeadlineCause(ctx, time.Now().Add(rep.HoldOrDefault()), stores.ErrHeldTooLong)
	defer cancel()
	rows, err := rep.Fold(held, slices.Clone(claims), barriers)
	if err == nil && held.Err() != nil {
		err = context.Cause(held)
	}
	return rows, err
}

// changes are what makes the rows those given; out counts them.
func (r *revision) changes(rows []stores.Row, out *stores.Replaced) [][]rmw.Change {
	changes := make([][]rmw.Change, len(r.models))
	for _, row := range rows {
		text := rmw.KeyText(row.Key)
		change := rmw.Change{Text: text, Key: row.Key, Was: r.rows[row.Model][text], Now: slices.Clone(row.Values)}
		n := &out.Models[row.Model]
		switch {
		case change.Was == nil && change.Now == nil, change.Was != nil && change.Now != nil && slices.CompareFunc(change.Was, change.Now, value.Compare) == 0:
			n.Equal++
			continue
		case change.Now == nil:
			n.Deleted++
		default:
			n.Written++
		}
		changes[row.Model] = append(changes[row.Model], change)
	}
	for m := range changes {
		slices.SortFunc(changes[m], func(a, b rmw.Change) int { return cmp.Compare(a.Text, b.Text) })
	}
	return changes
}
