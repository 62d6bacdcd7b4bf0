// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"cmp"
	"context"
	"slices"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/stores"
	"github.com/projectionist-dev/projectionist/projectors/stores/rmw"
)

var _ stores.Snapshotter = admin{}

// Active implements stores.Snapshotter.
func (a admin) Active(ctx context.Context, id contract.Identity) (*contract.Contract, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	p := a.s.projections[ownerOf(id)]
	if p == nil {
		e := &stores.UnknownProjectionError{Owner: id}
		for o := range a.s.projections {
			if o.name == id.Name {
				e.Others = append(e.Others, contract.Identity{Cluster: o.cluster, Namespace: o.namespace, Name: o.name})
			}
		}
		slices.SortFunc(e.Others, func(x, y contract.Identity) int {
			return cmp.Or(cmp.Compare(x.Cluster, y.Cluster), cmp.Compare(x.Namespace, y.Namespace))
		})
		return nil, e
	}
	c := *p.revisions[p.active].contract
	return &c, nil
}

// Snapshot implements stores.Snapshotter: what is visited is a copy.
func (a admin) Snapshot(ctx context.Context, c *contract.Contract, v stores.Visit) error {
	if err := callPlain(ctx, a.s.currentHooks().BeforeRead); err != nil {
		return err
	}
	w := &writer{s: a.s, c: c}
	a.s.mu.Lock()
	r, err := w.prepared()
	if err != nil {
		a.s.mu.Unlock()
		return err
	}
	claims, barriers := r.claims(), w.barriers(r)
	rows := make([][][]value.Value, len(r.models))
	for m := range r.models {
		for _, row := range r.rows[m] {
			if v.Want(m, valuesAt(row, r.models[m].Key)) {
				rows[m] = append(rows[m], slices.Clone(row))
			}
		}
	}
	a.s.mu.Unlock()
	if err := v.Begin(claims, barriers); err != nil {
		return err
	}
	for m := range rows {
		for _, row := range rows[m] {
			if err := v.Row(m, row); err != nil {
				return err
			}
		}
	}
	return nil
}

// claims gives all position rows in order; the lock is held.
func (r *revision) claims() []stores.Claim {
	out := make([]stores.Claim, 0, len(r.positions))
	for _, p := range r.positions {
		out = append(out, *p)
	}
	slices.SortFunc(out, func(a, b stores.Claim) int { return a.Compare(b.TopicPartition) })
	return out
}

// Meddle changes a model's rows behind the projector's back, as somebody with
// SQL might: fn gets a row, by its key's values, and gives what is to be there; nil is no row.
func (s *Store) Meddle(c *contract.Contract, model int, key []value.Value, fn func(row []value.Value) []value.Value) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.revision(c)
	k := rmw.KeyText(key)
	if row := fn(slices.Clone(r.rows[model][k])); row != nil {
		r.rows[model][k] = row
		return
	}
	delete(r.rows[model], k)
}

// ForgetBegins takes from the bookkeeping where a revision began that began later than with the first events, as a release does that does not know of it.
func (s *Store) ForgetBegins(c *contract.Contract) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.revision(c).positions {
		p.Begin = stores.BeginUnknown
	}
}
