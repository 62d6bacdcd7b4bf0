// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package model

import (
	"fmt"
	"strings"
)

// The model of partition growth: a topic of two partitions gets a third. Key K
// has its first event in p0, key J in p1; their second ones come after the
// growth. J moves to the new p2. K moves to p2 as well where the partitions are multiplied, and
// to the old p1 otherwise. Two workers read for revision 0, the one p0, the
// other p1 and p2, and learn of the growth when they do. Revision 1 is built later. A
// producer may hold the first event of K back in an open transaction.

// Invariants of growth.
const (
	KeyAcross = "events of a key take effect in order, also where the key has moved to another partition"
	OnceGrown = "no event takes effect twice"
)

// Events, as bits: the first and second of each key.
const (
	k0 = 1 << iota
	j0
	k1
	j1
)

// The worker of each partition.
var growthOwner = [3]int{0, 1, 1}

type growthWorker struct {
	begun   bool     // to read; it looks at the topic first
	knows   bool     // of the growth, and so of its barrier
	sampled bool     // has read the ends
	ends    [2]uint8 // and will record them
}

// ignorant is a worker that reads and has not seen the growth.
func (w growthWorker) ignorant() bool { return w.begun && !w.knows }

type growthRevision struct {
	started bool
	count   uint8 // partitions that have had a row
	next    [3]uint8
	applied uint8
	twice   bool
	workers [2]growthWorker
}

type growthState struct {
	log      [3][2]uint8 // events, 0 where there is none
	open     bool        // the transaction that k0 is in
	grown    bool
	recorded bool
	ends     [2]uint8 // of the barrier
	gone     bool     // the position row of p1 of revision 0 was deleted
	revs     [2]growthRevision
}

type growth struct {
	g         Guards
	multiples bool
}

// NewGrowth is the system of partition growth under some guards. With
// multiples, keys move to new partitions only.
func NewGrowth(g Guards, multiples bool) System[growthState] {
	m := growth{g, multiples}
	var init growthState
	init.revs[0].started, init.revs[0].count = true, 2
	init.revs[0].workers = [2]growthWorker{{begun: true}, {begun: true}}
	return System[growthState]{
		Name: "growth", Init: init, Next: m.next, Show: showGrowth,
		Invariants: []Invariant[growthState]{
			{KeyAcross, func(_, s growthState) bool {
				for _, r := range s.revs {
					if r.applied&k1 != 0 && r.applied&k0 == 0 || r.applied&j1 != 0 && r.applied&j0 == 0 {
						return true
					}
				}
				return false
			}},
			{OnceGrown, func(_, s growthState) bool { return s.revs[0].twice || s.revs[1].twice }},
		},
		Done: func(s growthState) bool {
			const all = k0 | j0 | k1 | j1
			return s.gone || s.revs[0].applied == all && (!s.revs[1].started || s.revs[1].applied == all)
		},
	}
}

func length(l [2]uint8) (n uint8) {
	for _, e := range l {
		if e != 0 {
			n++
		}
	}
	return n
}

// stable is the end up to which a partition can be read.
func (s *growthState) stable(p int) uint8 {
	if s.open && p == 0 {
		return 0 // k0 is its first
	}
	return length(s.log[p])
}

func (s *growthState) has(event uint8) bool {
	for _, l := range s.log {
		if l[0] == event || l[1] == event {
			return true
		}
	}
	return false
}

func (s *growthState) append(p int, event uint8) { s.log[p][length(s.log[p])] = event }

func (m growth) next(s growthState, steps *Steps[growthState]) {
	m.produce(s, steps)
	if !s.gone && s.revs[0].count == 2 {
		t := s
		t.gone = true
		steps.To(t, "somebody deletes r0's position row of p1")
	}
	if !s.revs[1].started {
		t := s
		t.revs[1].started = true
		t.revs[1].count = 2
		if s.recorded || s.grown && !m.g.PreparedAsKnown {
			t.revs[1].count = 3
			t.revs[1].workers = [2]growthWorker{{begun: true, knows: true}, {begun: true, knows: true}}
		}
		steps.To(t, "r1 is prepared, with %d partitions", int(t.revs[1].count))
	}
	for r := range s.revs {
		if !s.revs[r].started {
			continue
		}
		for w := range s.revs[r].workers {
			m.learn(s, r, w, steps)
		}
		for p := range s.log {
			m.apply(s, r, p, steps)
		}
	}
}

func (m growth) produce(s growthState, steps *Steps[growthState]) {
	if !s.has(k0) && !s.grown {
		t := s
		t.append(0, k0)
		steps.To(t, "K's first event goes to p0")
		t.open = true
		steps.To(t, "K's first event goes to p0, in a transaction that stays open")
	}
	if s.open {
		t := s
		t.open = false
		steps.To(t, "the producer commits")
	}
	if !s.has(j0) && !s.grown {
		t := s
		t.append(1, j0)
		steps.To(t, "J's first event goes to p1")
	}
	if !s.grown && s.has(k0) && s.has(j0) {
		t := s
		t.grown = true
		steps.To(t, "the topic grows to three partitions")
	}
	if s.grown && !s.has(j1) {
		t := s
		t.append(2, j1)
		steps.To(t, "J's second event goes to p2, which is new")
	}
	if s.grown && !s.has(k1) && m.multiples {
		t := s
		t.append(2, k1)
		steps.To(t, "K's second event goes to p2, which is new")
	}
	if s.grown && !s.has(k1) && !m.multiples {
		for _, r := range s.revs {
			if m.g.GrowthKnown && (r.workers[0].ignorant() || r.workers[1].ignorant()) {
				return
			}
		}
		t := s
		t.append(1, k1)
		steps.To(t, "K's second event goes to p1, which is old")
	}
}

// learn lets a worker see the growth, and record it.
func (m growth) learn(s growthState, r, w int, steps *Steps[growthState]) {
	rev := s.revs[r]
	t := s
	if !s.grown && !rev.workers[w].begun {
		t.revs[r].workers[w].begun = true
		steps.To(t, "r%d's %c begins to read", r, name(w))
	}
	if !s.grown || rev.workers[w].knows {
		return
	}
	me, mine := &t.revs[r].workers[w], &t.revs[r]
	if !rev.workers[w].sampled {
		me.sampled = true
		for p := range me.ends {
			me.ends[p] = length(s.log[p])
			if !m.g.EndsAreHighWatermarks {
				me.ends[p] = s.stable(p)
			}
		}
		if !m.g.BarrierWithRows {
			mine.count = 3
		}
		steps.To(t, "r%d's %c sees the growth, and the ends p0 %d, p1 %d", r, name(w), int(me.ends[0]), int(me.ends[1]))
		return
	}
	if r == 0 && s.gone && rev.count == 2 {
		// It counts one row, and takes the second partition for a new one as well.
		if m.g.NewRowsOnly {
			return
		}
		t.gone = false
		mine.next[1] = 0
	}
	if !s.recorded || !m.g.FirstBarrierStands {
		t.recorded, t.ends = true, rev.workers[w].ends
	}
	mine.count = 3
	*me = growthWorker{begun: true, knows: true}
	steps.To(t, "r%d's %c records the growth; the barrier is at p0 %d, p1 %d", r, name(w), int(t.ends[0]), int(t.ends[1]))
}

func (m growth) apply(s growthState, r, p int, steps *Steps[growthState]) {
	rev := &s.revs[r]
	at := rev.next[p]
	if !rev.workers[growthOwner[p]].begun || p >= int(rev.count) || at >= s.stable(p) || at >= m.limit(&s, r, p) || s.gone && r == 0 && p == 1 {
		return
	}
	t := s
	mine := &t.revs[r]
	event := s.log[p][at]
	mine.twice = mine.twice || rev.applied&event != 0
	mine.applied |= event
	mine.next[p]++
	if !m.g.BarriersKept && r == 0 && t.recorded && t.arrived(0) {
		t.ends = [2]uint8{} // no barrier: everything is past it
	}
	steps.To(t, "r%d applies e%d of p%d", r, int(at), p)
}

// limit is how far a worker reads a partition.
func (m growth) limit(s *growthState, r, p int) uint8 {
	const no = 255
	rev := &s.revs[r]
	w := growthOwner[p]
	if !rev.workers[w].knows && p < 2 || !s.recorded {
		return no
	}
	open := s.arrived(r)
	if !m.g.AllArrive {
		open = rev.next[0] >= s.ends[0] || rev.next[1] >= s.ends[1]
	}
	switch {
	case open, p < 2 && !m.g.OldPause, p == 2 && !m.g.NewWait:
		return no
	case p < 2:
		return s.ends[p]
	}
	return 0
}

// arrived tells whether a revision has passed the barrier.
func (s *growthState) arrived(r int) bool {
	next := s.revs[r].next
	return next[0] >= s.ends[0] && next[1] >= s.ends[1] && (!s.gone || r != 0)
}

func showGrowth(s growthState) string {
	var b strings.Builder
	fmt.Fprintf(&b, "ends %d %d %d", length(s.log[0]), length(s.log[1]), length(s.log[2]))
	for r, rev := range s.revs {
		if rev.started {
			fmt.Fprintf(&b, "; r%d at %d %d", r, rev.next[0], rev.next[1])
			if rev.count == 3 {
				fmt.Fprintf(&b, " %d", rev.next[2])
			}
		}
	}
	if s.recorded {
		fmt.Fprintf(&b, "; barrier %d %d", s.ends[0], s.ends[1])
	}
	return b.String()
}
