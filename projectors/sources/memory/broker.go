// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/projectionist-dev/projectionist/projectors/event"
)

// Broker holds topics and groups. Its methods may be called concurrently. Those
// that name a topic which does not exist panic: that is a fault of the test.
type Broker struct {
	mu      sync.Mutex
	topics  map[string]*topic
	groups  map[string]*group
	created int
	changed chan struct{} // closed and replaced at every change
	fault   Fault
	members int
}

// Fault is asked before each operation ("Describe", "Bounds", "Fetch", "Next",
// "Commit"); the error that it returns is the operation's. tp is set for Fetch,
// which then fails for that partition alone.
type Fault func(op string, tp event.TopicPartition) error

type topic struct {
	id    string
	parts []*partition
}

type partition struct {
	earliest, next int64
	stable         int64 // -1 when nothing is open
	records        []event.Record
	compacted      []int64 // offsets whose records Compact removed, ascending
	epochs         []epoch // ascending
}

// epoch says where a leader's epoch begins.
type epoch struct {
	n     int32
	start int64
}

// NewBroker gives an empty one.
func NewBroker() *Broker {
	return &Broker{topics: map[string]*topic{}, groups: map[string]*group{}, changed: make(chan struct{})}
}

// change must be called with mu held.
func (b *Broker) change() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// SetFault makes operations fail; nil mends it.
func (b *Broker) SetFault(f Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fault = f
	b.change()
}

func (b *Broker) faulty(op string, tp event.TopicPartition) error {
	b.mu.Lock()
	f := b.fault
	b.mu.Unlock()
	if f == nil {
		return nil
	}
	return f(op, tp)
}

// CreateTopic makes a topic. One of that name is replaced by another with a new
// id, as when it is deleted and created again.
func (b *Broker) CreateTopic(name string, partitions int32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.created++
	t := &topic{id: fmt.Sprintf("topic-%d", b.created)}
	b.topics[name] = t
	t.grow(partitions)
	b.change()
	b.rebalance(name)
}

// DeleteTopic removes a topic.
func (b *Broker) DeleteTopic(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.topics, name)
	b.change()
	b.rebalance(name)
}

// Grow adds partitions, up to the number given.
func (b *Broker) Grow(name string, partitions int32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.topic(name).grow(partitions)
	b.change()
	b.rebalance(name)
}

func (t *topic) grow(n int32) {
	for int32(len(t.parts)) < n {
		t.parts = append(t.parts, &partition{stable: -1, epochs: []epoch{{}}})
	}
}

func (b *Broker) topic(name string) *topic {
	t := b.topics[name]
	if t == nil {
		panic(fmt.Sprintf("memory: no topic %q", name))
	}
	return t
}

func (b *Broker) part(tp event.TopicPartition) *partition {
	t := b.topic(tp.Topic)
	if int(tp.Partition) >= len(t.parts) {
		panic(fmt.Sprintf("memory: no partition %v", tp))
	}
	return t.parts[tp.Partition]
}

// Append writes records and gives the offset of the first. Their offsets are
// set, and their timestamps when zero.
func (b *Broker) Append(tp event.TopicPartition, records ...event.Record) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.part(tp)
	first := p.next
	for _, r := range records {
		r.Offset = p.next
		if r.Timestamp == 0 {
			r.Timestamp = time.Now().UnixMilli()
		}
		p.records = append(p.records, r)
		p.next++
	}
	b.change()
	return first
}

// Skip takes n offsets without records, as control records and aborted
// transactions do.
func (b *Broker) Skip(tp event.TopicPartition, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.part(tp).next += n
	b.change()
}

// Compact removes the records before an offset of whose key there is a later
// one, as compaction does.
func (b *Broker) Compact(tp event.TopicPartition, before int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.part(tp)
	last := map[string]int64{}
	for i := range p.records {
		last[string(p.records[i].Key)] = p.records[i].Offset
	}
	p.records = slices.DeleteFunc(p.records, func(r event.Record) bool {
		gone := r.Offset < min(before, p.lastStable()) && r.Offset < last[string(r.Key)]
		if gone {
			p.compacted = append(p.compacted, r.Offset)
		}
		return gone
	})
	slices.Sort(p.compacted)
	b.change()
}

// Open holds the last stable offset at the log's present end, as a transaction
// that a producer leaves open does; Commit lets it go.
func (b *Broker) Open(tp event.TopicPartition) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.part(tp)
	p.stable = p.next
}

// Commit ends what Open began.
func (b *Broker) Commit(tp event.TopicPartition) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.part(tp).stable = -1
	b.change()
}

// DeleteRecords removes the records before an offset, as retention does.
func (b *Broker) DeleteRecords(tp event.TopicPartition, before int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.part(tp)
	p.earliest = min(max(p.earliest, before), p.next)
	p.records = slices.DeleteFunc(p.records, func(r event.Record) bool { return r.Offset < p.earliest })
	b.change()
}

// Truncate loses the tail from an offset on, and begins a new leader epoch, as
// an unclean election does.
func (b *Broker) Truncate(tp event.TopicPartition, from int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.part(tp)
	p.next = min(p.next, from)
	p.records = slices.DeleteFunc(p.records, func(r event.Record) bool { return r.Offset >= p.next })
	p.elect()
	b.change()
}

// Elect begins a new leader epoch without loss.
func (b *Broker) Elect(tp event.TopicPartition) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.part(tp).elect()
}

func (p *partition) elect() {
	last := p.epochs[len(p.epochs)-1].n
	p.epochs = slices.DeleteFunc(p.epochs, func(e epoch) bool { return e.start >= p.next && e.n > 0 })
	p.epochs = append(p.epochs, epoch{n: last + 1, start: p.next})
}

// end gives where an epoch's records end.
func (p *partition) end(n int32) int64 {
	for _, e := range p.epochs {
		if e.n > n {
			return e.start
		}
	}
	return p.next
}

func (p *partition) epochAt(offset int64) int32 {
	n := int32(0)
	for _, e := range p.epochs {
		if e.start <= offset {
			n = e.n
		}
	}
	return n
}

func (p *partition) lastStable() int64 {
	if p.stable >= 0 {
		return p.stable
	}
	return p.next
}
