// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"context"
	"crypto/rand"
	"slices"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/stores"
	"github.com/projectionist-dev/projectionist/projectors/stores/rmw"
)

type writer struct {
	s *Store
	c *contract.Contract
}

// Writer gives the data path into the contract's revision.
func (s *Store) Writer(c *contract.Contract) stores.Writer { return &writer{s: s, c: c} }

func (w *writer) Close() {}

// prepared is the revision; the lock is held.
func (w *writer) prepared() (*revision, error) {
	if r := w.s.revision(w.c); r != nil {
		return r, nil
	}
	return nil, notPrepared()
}

// open is prepared, when no promotion holds its writers up any more.
func (w *writer) open(ctx context.Context) (*revision, error) {
	for {
		r, err := w.prepared()
		if err != nil || !r.gated {
			return r, err
		}
		if err := w.s.wait(ctx, time.Time{}); err != nil {
			return nil, err
		}
	}
}

func (w *writer) Claim(ctx context.Context, by string, tps []event.TopicPartition) ([]stores.Claim, error) {
	if err := call(ctx, w.s.currentHooks().BeforeClaim, tps); err != nil {
		return nil, err
	}
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	r, err := w.open(ctx)
	if err != nil {
		return nil, err
	}
	for _, tp := range tps {
		if r.positions[tp] == nil {
			return nil, missing(tp)
		}
	}
	out := make([]stores.Claim, len(tps))
	for i, tp := range tps {
		p := r.positions[tp]
		p.Epoch++
		p.Token, p.Owner = rand.Text(), by
		out[i] = *p
	}
	if r.builder != nil && r.builder.claimed && len(tps) > 0 {
		r.builder.lose()
	}
	return out, nil
}

func missing(tp event.TopicPartition) error {
	return &positionError{tp}
}

type positionError struct{ tp event.TopicPartition }

func (e *positionError) Error() string { return stores.ErrNoPosition.Error() + ": " + e.tp.String() }

func (e *positionError) Unwrap() error { return stores.ErrNoPosition }

func (w *writer) Peek(ctx context.Context) ([]stores.Claim, error) {
	if err := callPlain(ctx, w.s.currentHooks().BeforeRead); err != nil {
		return nil, err
	}
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	r, err := w.prepared()
	if err != nil {
		return nil, err
	}
	return r.claims(), nil
}

func (w *writer) Commit(ctx context.Context, c stores.Commit) error {
	hooks := w.s.currentHooks()
	if err := call(ctx, hooks.BeforeCommit, c); err != nil {
		return err
	}
	if err := w.commit(ctx, c); err != nil {
		return err
	}
	if hooks.AfterCommit != nil {
		return hooks.AfterCommit(ctx, c)
	}
	return nil
}

func (w *writer) commit(ctx context.Context, c stores.Commit) error {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	r, err := w.open(ctx)
	if err != nil {
		return err
	}
	defer w.s.announce()
	if err = r.fence(c.Advances); err != nil {
		return err
	}
	changes, err := rmw.Apply(c.Rows, r.models, r)
	if err != nil {
		return err
	}
	if err := r.write(changes); err != nil {
		return err
	}
	r.advance(c.Advances)
	return nil
}

// advance moves positions whose fences hold.
func (r *revision) advance(advances []stores.Advance) {
	now := time.Now()
	for i := range advances {
		a := &advances[i]
		p := r.positions[a.Claim.TopicPartition]
		if a.Next != p.Next {
			r.audit = append(r.audit, Interval{TopicPartition: p.TopicPartition, First: p.Next, Next: a.Next, Epoch: p.Epoch, At: now})
		}
		p.Next, p.LeaderEpoch = a.Next, a.LeaderEpoch
		if a.TopicID != "" {
			p.TopicID = a.TopicID
		}
		if a.EventTime.After(p.EventTime) {
			p.EventTime = a.EventTime
		}
	}
}

// fence: Law 3.
func (r *revision) fence(advances []stores.Advance) error {
	var fenced []event.TopicPartition
	for i := range advances {
		a := &advances[i]
		p := r.positions[a.Claim.TopicPartition]
		switch {
		case p == nil:
			return missing(a.Claim.TopicPartition)
		case a.Next < a.Claim.Next:
			return invalid("a commit would move %s back", a.Claim.TopicPartition)
		case p.Epoch != a.Claim.Epoch, p.Token != a.Claim.Token, p.Next != a.Claim.Next, p.HeldVersion != a.Claim.HeldVersion:
			fenced = append(fenced, a.Claim.TopicPartition)
		}
	}
	if fenced != nil {
		return &stores.FencedError{Partitions: fenced}
	}
	return nil
}

func (w *writer) AddPartitions(ctx context.Context, b stores.Barrier) (stores.Barrier, error) {
	if err := callPlain(ctx, w.s.currentHooks().BeforeRead); err != nil {
		return stores.Barrier{}, err
	}
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	r, err := w.open(ctx)
	if err != nil {
		return stores.Barrier{}, err
	}
	defer w.s.announce()
	p := w.s.projections[ownerOf(w.c.Projection)]
	i := slices.IndexFunc(p.barriers, func(o stores.Barrier) bool { return o.Topic == b.Topic && o.Before == b.Before })
	switch count := r.counts[b.Topic]; {
	case b.After <= b.Before || len(b.Ends) != int(b.Before):
		return stores.Barrier{}, invalid("the barrier of topic %s is inconsistent", b.Topic)
	case b.Before < count && i < 0:
		return stores.Barrier{}, missing(event.TopicPartition{Topic: b.Topic, Partition: b.Before})
	case b.Before > count:
		return stores.Barrier{}, invalid("topic %s has %d partitions here, not %d", b.Topic, count, b.Before)
	case i < 0:
		b.Ends = slices.Clone(b.Ends)
		p.barriers = append(p.barriers, b)
	default:
		b = p.barriers[i]
	}
	topicID := ""
	for tp, c := range r.positions {
		if tp.Topic == b.Topic {
			topicID = max(topicID, c.TopicID)
		}
	}
	for n := r.counts[b.Topic]; n < b.After; n++ {
		tp := event.TopicPartition{Topic: b.Topic, Partition: n}
		r.positions[tp] = &stores.Claim{TopicPartition: tp, TopicID: topicID, LeaderEpoch: -1}
		r.counts[b.Topic] = n + 1
	}
	b.Ends = slices.Clone(b.Ends)
	return b, nil
}

func (w *writer) Barriers(ctx context.Context) ([]stores.Barrier, error) {
	if err := callPlain(ctx, w.s.currentHooks().BeforeRead); err != nil {
		return nil, err
	}
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	r, err := w.prepared()
	if err != nil {
		return nil, err
	}
	return w.barriers(r), nil
}

// barriers gives those of the revision's topics; the lock is held.
func (w *writer) barriers(r *revision) []stores.Barrier {
	return w.s.projections[ownerOf(w.c.Projection)].barriersOf(r)
}

// barriersOf gives those of a revision's topics; p may be nil.
func (p *projection) barriersOf(r *revision) []stores.Barrier {
	if p == nil {
		return nil
	}
	var out []stores.Barrier
	for _, b := range p.barriers {
		if _, ours := r.counts[b.Topic]; ours {
			b.Ends = slices.Clone(b.Ends)
			out = append(out, b)
		}
	}
	return out
}

func (w *writer) Ping(ctx context.Context) error {
	return callPlain(ctx, w.s.currentHooks().BeforePing)
}
