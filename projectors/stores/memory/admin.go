// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

type admin struct{ s *Store }

// Admin gives the DDL side.
func (s *Store) Admin() stores.Admin { return admin{s} }

func (admin) Close() {}

func (a admin) Probe(ctx context.Context) (contract.StoreFacts, error) {
	return contract.StoreFacts{ServerVersion: "memory", Database: "memory"}, ctx.Err()
}

func (a admin) Prepare(ctx context.Context, c *contract.Contract, starts []stores.Start) (contract.PrepareFacts, error) {
	facts := contract.PrepareFacts{}
	if err := ctx.Err(); err != nil {
		return facts, err
	}
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	who := ownerOf(c.Projection)
	r, fresh := a.s.revision(c), (*revision)(nil)
	if r == nil {
		starts, resolved, err := stores.Resolve(c, starts, a.s.projections[who].recorded(c.Revision))
		if err == nil {
			fresh, err = newRevision(resolved, starts)
		}
		if err == nil {
			err = stores.CheckGrowth(c, starts, a.s.projections[who].barriersOf(fresh))
		}
		if err != nil {
			return facts, err
		}
	}
	names := map[string]bool{} // relation to whether it is a view
	for _, m := range c.Models {
		names[c.Physical(m.Name)] = false
	}
	p := a.s.projections[who]
	for _, m := range c.Models {
		if _, twice := names[m.Name]; twice {
			return facts, invalid("two relations would be called %q", m.Name)
		}
		names[m.Name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		r := a.s.relations[name]
		switch {
		case r == nil:
		case r.owner == nil:
			return facts, &stores.NameTakenError{Relation: name}
		case *r.owner != who:
			return facts, &stores.NameTakenError{Relation: name, Owner: r.owner.String()}
		case r.view != names[name]:
			return facts, &stores.NameTakenError{Relation: name}
		}
	}
	if p == nil {
		fresh.promoted = time.Now().UTC()
		p = &projection{uid: c.Projection.UID, active: c.Revision, sequence: 1, revisions: map[string]*revision{}}
		a.s.projections[who] = p
	}
	switch {
	case r == nil:
		p.revisions[c.Revision], r = fresh, fresh
		p.order = append(p.order, c.Revision)
	case r.dataHash != c.DataHash:
		return facts, invalid("revision %s is there with another data hash", c.Revision)
	default:
		if err := r.reindex(c); err != nil {
			return facts, err
		}
		kept := *c
		if r.contract.From != nil && c.From != nil {
			kept.From = r.contract.From
		}
		r.contract = &kept
		facts.Adopted = p.uid != c.Projection.UID
	}
	p.uid = c.Projection.UID
	for name, view := range names {
		if view && p.active != c.Revision && a.s.relations[name] != nil {
			continue
		}
		a.s.relations[name] = &relation{owner: &who, view: view, reserved: view && p.active != c.Revision}
	}
	facts.Partitions, facts.ActiveRevision, facts.Sequence = maps.Clone(r.counts), p.active, p.sequence
	return facts, nil
}

// recorded is what the revisions but one know of topics; p may be nil.
func (p *projection) recorded(but string) []stores.Recorded {
	var out []stores.Recorded
	if p == nil {
		return nil
	}
	for name, r := range p.revisions {
		for tp, claim := range r.positions {
			if name != but {
				out = append(out, stores.Recorded{Topic: tp.Topic, TopicID: claim.TopicID, Count: r.counts[tp.Topic]})
			}
		}
	}
	return out
}

func newRevision(c *contract.Contract, starts []stores.Start) (*revision, error) {
	models, err := fold.ModelsOf(c)
	if err != nil {
		return nil, invalid("%v", err)
	}
	r := &revision{
		contract: c, dataHash: c.DataHash, models: models,
		counts: map[string]int32{}, positions: map[event.TopicPartition]*stores.Claim{},
	}
	for range models {
		r.rows = append(r.rows, map[string][]value.Value{})
	}
	if r.uniques, err = uniquesOf(c, models); err != nil {
		return nil, err
	}
	for _, t := range c.Topics {
		r.counts[t.Name] = 0
	}
	for _, st := range starts {
		if st.Partition != r.counts[st.Topic] {
			return nil, invalid("starts of topic %s have partition %d where %d is due", st.Topic, st.Partition, r.counts[st.Topic])
		}
		r.counts[st.Topic]++
		claim := &stores.Claim{TopicPartition: st.TopicPartition, Next: st.Next, TopicID: st.TopicID, LeaderEpoch: -1}
		if c.From != nil {
			claim.Begin = st.Next
		}
		r.positions[st.TopicPartition] = claim
	}
	return r, nil
}

func (a admin) Retire(ctx context.Context, id contract.Identity) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	who := ownerOf(id)
	var dropped []string
	if p := a.s.projections[who]; p == nil || p.uid != id.UID {
		return nil, nil
	}
	for name, r := range a.s.relations {
		if r.owner != nil && *r.owner == who {
			delete(a.s.relations, name)
			if !r.reserved {
				dropped = append(dropped, name)
			}
		}
	}
	slices.Sort(dropped)
	delete(a.s.projections, who)
	return dropped, nil
}
