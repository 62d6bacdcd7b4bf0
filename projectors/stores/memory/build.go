// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"context"
	"iter"
	"slices"
	"sync"

	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/stores"
	"github.com/projectionist-dev/projectionist/projectors/stores/rmw"
)

var _ stores.Builder = (*writer)(nil)

// build is the right to build a revision.
type build struct {
	w      *writer
	owner  string
	claims []stores.Claim
	lost   chan struct{}
	// claimed is set when claims are complete: who claims from then on takes the right away. Store.mu guards it.
	claimed    bool
	once, gone sync.Once
}

func (b *build) lose() { b.gone.Do(func() { close(b.lost) }) }

// StartBuild implements stores.Builder.
func (w *writer) StartBuild(ctx context.Context, owner string) (stores.Build, error) {
	b := &build{w: w, owner: owner, lost: make(chan struct{})}
	w.s.mu.Lock()
	r, err := w.prepared()
	switch {
	case err != nil:
	case r.builder != nil:
		err = stores.ErrBuilding
	case !stores.MayBuild(r.claims()) || slices.ContainsFunc(r.rows, func(m map[string][]value.Value) bool { return len(m) > 0 }):
		err = stores.ErrBuilt
	default:
		r.builder = b
	}
	var all []event.TopicPartition
	if err == nil {
		for _, c := range r.claims() {
			all = append(all, c.TopicPartition)
		}
	}
	w.s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if b.claims, err = w.Claim(ctx, stores.BuildOwner(owner), all); err != nil {
		b.Close()
		return nil, err
	}
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	b.claimed = true
	return b, nil
}

func (b *build) Claims() []stores.Claim { return slices.Clone(b.claims) }

func (b *build) Lost() <-chan struct{} { return b.lost }

// Write implements stores.Build. The hooks of a commit are called as for one.
func (b *build) Write(ctx context.Context, advances []stores.Advance, rows stores.Fill, indexing func()) error {
	c := stores.Commit{Advances: advances}
	hooks := b.w.s.currentHooks()
	if err := call(ctx, hooks.BeforeCommit, c); err != nil {
		return err
	}
	if b.landed(advances) {
		return nil
	}
	var loaded []map[string][]value.Value
	b.w.s.mu.Lock()
	r, err := b.w.prepared()
	b.w.s.mu.Unlock()
	if err != nil {
		return err
	}
	for range r.models {
		loaded = append(loaded, map[string][]value.Value{})
	}
	if err := rows(func(model int, seq iter.Seq2[[]value.Value, error]) error {
		for row, err := range seq {
			if err != nil {
				return err
			}
			key := rmw.KeyText(valuesAt(row, r.models[model].Key))
			if loaded[model][key] != nil {
				return invalid("a build gives a key of model %s twice", r.models[model].Name)
			}
			loaded[model][key] = slices.Clone(row)
		}
		return ctx.Err()
	}); err != nil {
		return err
	}
	indexing()
	if err := b.put(ctx, advances, loaded); err != nil {
		return err
	}
	if hooks.AfterCommit != nil {
		return hooks.AfterCommit(ctx, c)
	}
	return nil
}

func (b *build) put(ctx context.Context, advances []stores.Advance, loaded []map[string][]value.Value) error {
	b.w.s.mu.Lock()
	defer b.w.s.mu.Unlock()
	r, err := b.w.open(ctx)
	if err != nil {
		return err
	}
	if err := r.fence(advances); err != nil {
		return err
	}
	was := r.rows
	r.rows = loaded
	if err := r.reindex(r.contract); err != nil {
		r.rows = was
		return err
	}
	r.advance(advances)
	for _, p := range r.positions {
		p.Owner = b.owner
	}
	b.w.s.announce()
	return nil
}

// landed tells whether an earlier Write has happened, of which only the answer was lost.
func (b *build) landed(advances []stores.Advance) bool {
	b.w.s.mu.Lock()
	defer b.w.s.mu.Unlock()
	r := b.w.s.revision(b.w.c)
	moved := false
	for _, a := range advances {
		moved = moved || a.Next != a.Claim.Next
		if r == nil || r.positions[a.Claim.TopicPartition] == nil {
			return false
		}
		if p := r.positions[a.Claim.TopicPartition]; p.Token != a.Claim.Token || p.Next != a.Next {
			return false
		}
	}
	return moved
}

func (b *build) Abandon(ctx context.Context) error {
	all := make([]event.TopicPartition, len(b.claims))
	for i, c := range b.claims {
		all[i] = c.TopicPartition
	}
	_, err := b.w.Claim(ctx, b.owner, all)
	return err
}

func (b *build) Close() {
	b.once.Do(func() {
		b.w.s.mu.Lock()
		defer b.w.s.mu.Unlock()
		if r := b.w.s.revision(b.w.c); r != nil && r.builder == b {
			r.builder = nil
		}
	})
}

// EndBuild takes the right to build away, as the loss of a session does.
func (s *Store) EndBuild(w stores.Writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.revision(w.(*writer).c); r != nil && r.builder != nil {
		r.builder.lose()
		r.builder = nil
	}
}
