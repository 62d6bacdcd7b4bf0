// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

var _ stores.Switcher = admin{}

// handoverLimit is how long one try holds up the writers of the revision that readers leave.
const handoverLimit = 2 * time.Second

// wait gives up the lock until something has changed, or a time has come; the zero time never comes.
func (s *Store) wait(ctx context.Context, until time.Time) error {
	var timer <-chan time.Time
	if !until.IsZero() {
		t := time.NewTimer(time.Until(until))
		defer t.Stop()
		timer = t.C
	}
	changed := s.changed
	s.mu.Unlock()
	defer s.mu.Lock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-changed:
	case <-timer:
	}
	return nil
}

// announce wakes up who waits. The lock is held.
func (s *Store) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Revisions implements stores.Switcher.
func (a admin) Revisions(ctx context.Context, owner contract.Identity) (contract.RevisionFacts, error) {
	if err := ctx.Err(); err != nil {
		return contract.RevisionFacts{}, err
	}
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	return a.s.facts(owner), nil
}

func (s *Store) facts(owner contract.Identity) contract.RevisionFacts {
	p := s.projections[ownerOf(owner)]
	if p == nil {
		return contract.RevisionFacts{}
	}
	f := contract.RevisionFacts{Active: p.active, Sequence: p.sequence}
	for _, name := range p.order {
		r := p.revisions[name]
		f.Revisions = append(f.Revisions, contract.RevisionFact{Revision: name, PromotedAt: r.promoted, LeftAt: r.left})
	}
	return f
}

// Promote implements stores.Switcher: it holds up the writers of the active
// revision until the other has reached them, and gives way after a while.
func (a admin) Promote(ctx context.Context, owner contract.Identity, sw contract.Switch) (contract.RevisionFacts, error) {
	limit := time.Duration(sw.DeadlineSeconds) * time.Second
	if limit <= 0 {
		limit = time.Minute
	}
	end := time.Now().Add(limit)
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	for {
		err := ctx.Err()
		if err == nil {
			err = a.s.try(ctx, owner, sw, end)
		}
		var refused *stores.SwitchError
		if !errors.As(err, &refused) || !refused.Retryable || !time.Now().Before(end) {
			return a.s.facts(owner), err
		}
		// The writers' turn.
		if err := a.s.wait(ctx, time.Now().Add(10*time.Millisecond)); err != nil {
			return a.s.facts(owner), err
		}
	}
}

// try is one handover, which lasts until end at most.
func (s *Store) try(ctx context.Context, owner contract.Identity, sw contract.Switch, end time.Time) error {
	if release := time.Now().Add(handoverLimit); release.Before(end) {
		end = release
	}
	for {
		p, old, next, err := s.expected(owner, sw)
		if err != nil || next == old {
			return err
		}
		if old.gated {
			// A replacement of rows is under way.
			if err := s.wait(ctx, end); err != nil {
				return err
			}
			if !time.Now().Before(end) {
				return &stores.SwitchError{Code: stores.ReasonHandoverTimeout, Retryable: true, Message: "rows of revision " + p.active + " are being replaced"}
			}
			continue
		}
		broken := breaks(old.contract, next.contract)
		if len(broken) > 0 && !sw.Allow.BreakReaders {
			return &stores.SwitchError{Code: stores.ReasonReadersWouldBreak, Message: strings.Join(broken, "; ") + ": keep what readers may use, or consent to BreakReaders"}
		}
		if err := s.free(owner, next); err != nil {
			return err
		}
		behind := next.behind(old)
		if behind == nil || sw.Allow.StaleRevision {
			s.swap(p, owner, old, next, sw)
			return nil
		}
		if !time.Now().Before(end) {
			return behind
		}
		old.gated = true
		err = s.wait(ctx, end)
		old.gated = false
		s.announce()
		if err != nil {
			return err
		}
	}
}

// expected gives the revisions in question; the same twice where readers see it already.
func (s *Store) expected(owner contract.Identity, sw contract.Switch) (p *projection, old, next *revision, err error) {
	p = s.projections[ownerOf(owner)]
	if p == nil || p.revisions[sw.Revision] == nil {
		return nil, nil, nil, &stores.SwitchError{Code: stores.ReasonRevisionMissing, Message: fmt.Sprintf("revision %s was not prepared, or was discarded", sw.Revision)}
	}
	old, next = p.revisions[p.active], p.revisions[sw.Revision]
	if old != next {
		err = p.is(sw)
	}
	return p, old, next, err
}

func (p *projection) is(sw contract.Switch) error {
	if p.active == sw.Active && p.sequence == sw.Sequence {
		return nil
	}
	return &stores.SwitchError{Code: stores.ReasonSuperseded, Message: fmt.Sprintf(
		"readers see revision %s at sequence %d, this was asked for when they saw %s at %d: nothing is done", p.active, p.sequence, sw.Active, sw.Sequence)}
}

// behind says in which partition r is farthest behind old, nil where it is in none.
func (r *revision) behind(old *revision) error {
	var worst event.TopicPartition
	most := int64(0)
	for tp, o := range old.positions {
		if _, reads := r.counts[tp.Topic]; !reads {
			continue
		}
		by := o.Next + 1
		if n := r.positions[tp]; n != nil {
			by = o.Next - n.Next
		}
		if by > most || by == most && by > 0 && tp.Compare(worst) < 0 {
			worst, most = tp, by
		}
	}
	if most <= 0 {
		return nil
	}
	return &stores.SwitchError{Code: stores.ReasonHandoverTimeout, Retryable: true,
		Message: fmt.Sprintf("partition %s is %d positions behind what readers see now: wait until it has caught up", worst, most)}
}

// breaks says what readers of views would lose.
func breaks(old, next *contract.Contract) []string {
	var out []string
	for i, m := range old.Models {
		n := slices.IndexFunc(next.Models, func(o contract.Model) bool { return o.Name == m.Name })
		if n < 0 {
			out = append(out, fmt.Sprintf("view %q would go", m.Name))
			continue
		}
		columns := next.ViewColumns(n)
		for _, c := range old.ViewColumns(i) {
			if !slices.ContainsFunc(columns, func(o contract.Column) bool { return o.Name == c.Name && o.Type == c.Type && o.Native == c.Native }) {
				out = append(out, fmt.Sprintf("view %q would lose or retype %q", m.Name, c.Name))
			}
		}
	}
	return out
}

// free tells whether the names of the views are to be had.
func (s *Store) free(owner contract.Identity, next *revision) error {
	who := ownerOf(owner)
	for _, m := range next.contract.Models {
		switch r := s.relations[m.Name]; {
		case r == nil:
		case r.owner == nil:
			return &stores.NameTakenError{Relation: m.Name}
		case *r.owner != who:
			return &stores.NameTakenError{Relation: m.Name, Owner: r.owner.String()}
		}
	}
	return nil
}

func (s *Store) swap(p *projection, owner contract.Identity, old, next *revision, sw contract.Switch) {
	who := ownerOf(owner)
	for _, m := range old.contract.Models {
		delete(s.relations, m.Name)
	}
	for _, m := range next.contract.Models {
		s.relations[m.Name] = &relation{owner: &who, view: true}
	}
	now := time.Now().UTC()
	old.left, next.promoted = now, now
	p.active = sw.Revision
	p.sequence++
	s.announce()
}

// Discard implements stores.Switcher.
func (a admin) Discard(ctx context.Context, owner contract.Identity, sw contract.Switch) (contract.RevisionFacts, error) {
	if err := ctx.Err(); err != nil {
		return contract.RevisionFacts{}, err
	}
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	p := a.s.projections[ownerOf(owner)]
	if p == nil || p.revisions[sw.Revision] == nil {
		return a.s.facts(owner), nil
	}
	if p.active == sw.Revision {
		return a.s.facts(owner), &stores.SwitchError{Code: stores.ReasonRevisionActive, Message: "readers see revision " + sw.Revision + ": promote another one first"}
	}
	if err := p.is(sw); err != nil {
		return a.s.facts(owner), err
	}
	for _, m := range p.revisions[sw.Revision].contract.Models {
		delete(a.s.relations, p.revisions[sw.Revision].contract.Physical(m.Name))
		if r := a.s.relations[m.Name]; r != nil && r.reserved {
			delete(a.s.relations, m.Name)
		}
	}
	delete(p.revisions, sw.Revision)
	p.order = slices.DeleteFunc(p.order, func(n string) bool { return n == sw.Revision })
	return a.s.facts(owner), nil
}
