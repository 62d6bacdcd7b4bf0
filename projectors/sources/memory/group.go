// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/sources"
	"github.com/projectionist-dev/projectionist/projectors/sources/assign"
)

// group is guarded by its broker's mu.
type group struct {
	name       string
	topics     []string
	generation int32
	members    []*Member
	// open counts the generations that were handed out and not yet done.
	open      int
	assigned  bool
	committed map[event.TopicPartition]int64
}

// Member is one member of a group. It is a sources.Group.
type Member struct {
	b     *Broker
	group *group
	id    string
	owned []event.TopicPartition
	gen   int32
	// next is an assignment that waits to be taken; end ends the one under way.
	next   *sources.Generation
	end    context.CancelFunc
	closed bool
}

var _ sources.Group = (*Member)(nil)

// Join adds a member to a group, which is made when there is none of that name.
func (b *Broker) Join(name string, topics ...string) *Member {
	b.mu.Lock()
	defer b.mu.Unlock()
	g := b.groups[name]
	if g == nil {
		g = &group{name: name, topics: slices.Clone(topics), committed: map[event.TopicPartition]int64{}}
		b.groups[name] = g
	}
	b.members++
	m := &Member{b: b, group: g, id: fmt.Sprintf("member-%04d", b.members)}
	g.members = append(g.members, m)
	b.restart(g)
	return m
}

// Rebalance ends the generation of a group, as a broker may at any time.
func (b *Broker) Rebalance(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if g := b.groups[name]; g != nil {
		b.restart(g)
	}
}

// Committed gives what a group's members last committed, as advice to tools.
func (b *Broker) Committed(name string) map[event.TopicPartition]int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[event.TopicPartition]int64{}
	if g := b.groups[name]; g != nil {
		for tp, o := range g.committed {
			out[tp] = o
		}
	}
	return out
}

// rebalance restarts the groups that read a topic. It must be called with mu held.
func (b *Broker) rebalance(topic string) {
	for _, g := range b.groups {
		if slices.Contains(g.topics, topic) {
			b.restart(g)
		}
	}
}

// restart ends the generation under way; the next begins when all members have
// left it. It must be called with mu held.
func (b *Broker) restart(g *group) {
	g.assigned = false
	for _, m := range g.members {
		m.next = nil
		if m.end != nil {
			m.end()
		}
	}
	b.assign(g)
}

// assign makes a generation if the last one is over. It must be called with mu held.
func (b *Broker) assign(g *group) {
	if g.assigned || g.open > 0 || len(g.members) == 0 {
		b.change()
		return
	}
	g.assigned = true
	g.generation++
	counts := map[string]int32{}
	var parts []event.TopicPartition
	for _, name := range g.topics {
		counts[name] = 0
		if t := b.topics[name]; t != nil {
			counts[name] = int32(len(t.parts))
			for i := range t.parts {
				parts = append(parts, event.TopicPartition{Topic: name, Partition: int32(i)})
			}
		}
	}
	members := make([]assign.Member, 0, len(g.members))
	for _, m := range g.members {
		members = append(members, assign.Member{ID: m.id, Generation: m.gen, Owned: m.owned})
	}
	shares := assign.Sticky(members, parts)
	for _, m := range g.members {
		m.owned, m.gen = shares[m.id], g.generation
		m.next = &sources.Generation{ID: g.generation, Assigned: slices.Clone(m.owned), Counts: counts}
	}
	b.change()
}

// Next implements sources.Group.
func (m *Member) Next(ctx context.Context) (sources.Generation, error) {
	for {
		if err := m.b.faulty("Next", event.TopicPartition{}); err != nil {
			return sources.Generation{}, err
		}
		m.b.mu.Lock()
		if m.closed {
			m.b.mu.Unlock()
			return sources.Generation{}, sources.ErrClosed
		}
		if gen := m.next; gen != nil {
			m.take(gen)
			m.b.mu.Unlock()
			return *gen, nil
		}
		changed := m.b.changed
		m.b.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return sources.Generation{}, ctx.Err()
		}
	}
}

// take must be called with the broker's mu held.
func (m *Member) take(gen *sources.Generation) {
	g := m.group
	m.next = nil
	g.open++
	life, end := context.WithCancel(context.Background())
	m.end = end
	var once sync.Once
	gen.Context = life
	gen.Done = func() {
		once.Do(func() {
			m.b.mu.Lock()
			defer m.b.mu.Unlock()
			early := life.Err() == nil
			end()
			m.end = nil
			g.open--
			if early {
				m.b.restart(g)
			} else {
				m.b.assign(g)
			}
		})
	}
	gen.CommitAdvisory = func(next map[event.TopicPartition]int64) error {
		if err := m.b.faulty("Commit", event.TopicPartition{}); err != nil {
			return err
		}
		m.b.mu.Lock()
		defer m.b.mu.Unlock()
		if err := life.Err(); err != nil {
			return err
		}
		for tp, o := range next {
			g.committed[tp] = o
		}
		return nil
	}
}

// Close implements sources.Group.
func (m *Member) Close() error {
	m.b.mu.Lock()
	defer m.b.mu.Unlock()
	if m.closed {
		return nil
	}
	m.closed = true
	m.group.members = slices.DeleteFunc(m.group.members, func(o *Member) bool { return o == m })
	if m.end != nil {
		m.end()
	}
	m.b.restart(m.group)
	return nil
}
