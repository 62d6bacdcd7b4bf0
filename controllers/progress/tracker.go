// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package progress

import (
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
)

// keepAnswer is how long the last answer of a projection stands in for pods
// that do not answer, so that one lost poll or a rebalance changes no condition.
const keepAnswer = 20 * time.Second

// PartitionKey names a partition of a topic.
type PartitionKey struct {
	Topic     string
	Partition int32
}

// Partition is what is known of one partition.
type Partition struct {
	contract.PartitionStatus
	Pod string
	// Behind is how long ago it was last seen caught up; Known is false where that was never seen.
	Behind time.Duration
	Known  bool
	// Once is true when it was seen caught up at least once.
	Once bool
	// Owned is false while no pod that answered reports it.
	Owned bool
}

// Key names it.
func (p Partition) Key() PartitionKey { return PartitionKey{p.Topic, p.Partition} }

// Snapshot is what the pods said, put together.
type Snapshot struct {
	// Asked and Answered count pods.
	Asked, Answered int
	// Errors are classes of failure by pod.
	Errors map[string]string
	// Fresh is false when Statuses are remembered from an earlier poll.
	Fresh bool
	// Heard is false when nothing is known at all.
	Heard  bool
	Source contract.Health
	Store  contract.Health
	// Expected is the number of partitions per topic, as projectors last saw it at the broker.
	Expected   map[string]int32
	Partitions []Partition
	// perSecond is what was measured over the last minute, where it was.
	perSecond float64
	measured  bool
	// Build is a bulk build under way, nil if no pod tells of one.
	Build *contract.BuildStatus
	// Shown is what readers saw when one of the pods last looked, nil if none has.
	Shown *contract.Shown
	// Built is what the build took, nil until it is over, and where too little of it was seen. It is for people.
	Built *v1alpha1.Built
}

// Tracker remembers, per projection and revision, when partitions were last
// seen caught up, and the last answers. It is safe for concurrent use.
type Tracker struct {
	mu    sync.Mutex
	items map[types.NamespacedName]map[string]*memory
}

// memory is what is remembered of one revision.
type memory struct {
	uid      types.UID
	caughtUp map[PartitionKey]time.Time
	once     map[PartitionKey]bool
	last     *Snapshot
	lastAt   time.Time
	// samples are those of the last minute, oldest first.
	samples []sample
	gauge   gauge
}

// NewTracker makes an empty Tracker.
func NewTracker() *Tracker { return &Tracker{items: map[types.NamespacedName]map[string]*memory{}} }

// Forget drops what is known of a projection.
func (t *Tracker) Forget(key types.NamespacedName) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.items, key)
}

// Keep drops what is known of other revisions of a projection than those named.
func (t *Tracker) Keep(key types.NamespacedName, revisions []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.items[key], func(revision string, _ *memory) bool { return !slices.Contains(revisions, revision) })
}

// Last is what is remembered of a revision's pods, without asking them; nothing is heard where that is too long ago.
func (t *Tracker) Last(key types.NamespacedName, revision string, now time.Time) Snapshot {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.items[key][revision]
	if m == nil || m.last == nil || now.Sub(m.lastAt) > keepAnswer {
		return Snapshot{}
	}
	return *m.last
}

// Merge puts answers together with what is remembered.
func (t *Tracker) Merge(key types.NamespacedName, uid types.UID, revision string, answers []Answer, now time.Time) Snapshot {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.items[key][revision]
	if m == nil || m.uid != uid {
		m = &memory{uid: uid, caughtUp: map[PartitionKey]time.Time{}, once: map[PartitionKey]bool{}}
		if t.items[key] == nil {
			t.items[key] = map[string]*memory{}
		}
		t.items[key][revision] = m
	}
	s := combine(answers)
	if s.Answered == 0 {
		m.gauge.moving = false
		if m.last != nil && now.Sub(m.lastAt) <= keepAnswer {
			kept := *m.last
			kept.Asked, kept.Answered, kept.Errors, kept.Fresh = s.Asked, 0, s.Errors, false
			kept.Partitions = m.age(kept.Partitions, now)
			return kept
		}
		return s
	}
	m.remember(s.Partitions, now)
	s.Partitions = m.age(m.complete(s), now)
	m.measure(&s, now)
	s.Built = m.gauge.look(&s, now)
	m.last, m.lastAt = &s, now
	return s
}

func combine(answers []Answer) Snapshot {
	s := Snapshot{Asked: len(answers), Errors: map[string]string{}, Expected: map[string]int32{}}
	s.Source, s.Store = contract.Health{OK: true}, contract.Health{OK: true}
	index := map[PartitionKey]int{}
	for _, a := range answers {
		if a.Err != nil {
			s.Errors[a.Target.Pod] = a.Err.Error()
			continue
		}
		s.Answered++
		s.Fresh, s.Heard = true, true
		s.Source = worse(s.Source, a.Status.Source)
		s.Store = worse(s.Store, a.Status.Store)
		if b := a.Status.Build; b != nil && (s.Build == nil || s.Build.Phase == contract.BuildWaiting) {
			s.Build = b // whoever waits knows less
		}
		if at := a.Status.Shown; at != nil && (s.Shown == nil || at.At.After(s.Shown.At)) {
			s.Shown = at
		}
		for topic, n := range a.Status.TopicPartitions {
			s.Expected[topic] = max(s.Expected[topic], n)
		}
		for _, p := range a.Status.Partitions {
			key := PartitionKey{p.Topic, p.Partition}
			item := Partition{PartitionStatus: p, Pod: a.Target.Pod, Owned: true}
			// A pod that lost a partition may report it a little longer: the newer report wins.
			if i, ok := index[key]; ok {
				if p.UpdatedAt.After(s.Partitions[i].UpdatedAt) {
					s.Partitions[i] = item
				}
				continue
			}
			index[key] = len(s.Partitions)
			s.Partitions = append(s.Partitions, item)
		}
	}
	return s
}

func worse(a, b contract.Health) contract.Health {
	if a.OK && !b.OK {
		return b
	}
	return a
}

// remember notes which partitions are caught up. One that is seen for the first
// time and is not counts from its newest applied event.
func (m *memory) remember(ps []Partition, now time.Time) {
	for _, p := range ps {
		_, seen := m.caughtUp[p.Key()]
		switch {
		case !seen && len(m.caughtUp) >= MaxPartitions:
		case p.CaughtUp && p.Stopped == nil:
			m.caughtUp[p.Key()], m.once[p.Key()] = now, true
		case !seen && !p.EventTime.IsZero():
			// An event's own time may be ahead of any clock.
			m.caughtUp[p.Key()] = earlier(p.EventTime, now)
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// complete adds the partitions that the topics have and no pod reports.
func (m *memory) complete(s Snapshot) []Partition {
	have := make(map[PartitionKey]bool, len(s.Partitions))
	for _, p := range s.Partitions {
		have[p.Key()] = true
	}
	before := map[PartitionKey]Partition{}
	if m.last != nil {
		for _, p := range m.last.Partitions {
			before[p.Key()] = p
		}
	}
	out := s.Partitions
	for topic, n := range s.Expected {
		for i := range n {
			key := PartitionKey{topic, i}
			if have[key] || len(out) >= MaxPartitions {
				continue
			}
			p, seen := before[key]
			if !seen {
				p.PartitionStatus = contract.PartitionStatus{Topic: topic, Partition: i}
			}
			// Who had it is gone, and so may be what stopped it.
			p.Owned, p.Pod, p.Stopped = false, "", nil
			out = append(out, p)
		}
	}
	sortPartitions(out)
	return out
}

func (m *memory) age(ps []Partition, now time.Time) []Partition {
	out := make([]Partition, len(ps))
	for i, p := range ps {
		at, ok := m.caughtUp[p.Key()]
		p.Known, p.Behind, p.Once = ok, 0, m.once[p.Key()]
		if ok {
			p.Behind = max(now.Sub(at), 0)
		}
		out[i] = p
	}
	return out
}
