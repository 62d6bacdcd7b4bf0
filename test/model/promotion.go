// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package model

import (
	"fmt"
	"strings"
)

// The model of promotion: revision 0 is live, revision 1 is built beside it. p0
// has two events, the second of which a revision may hold, p1 has one, and p2,
// with one, appears when the topic grows. Two Jobs with the same request promote revision 1, a
// third goes back. Commits are the fence's: here they are one step each. A reader with
// READ COMMITTED looks after every step; another may keep a snapshot from
// before the end of the build. The server may crash once.
const (
	promoParts = 3
	promoJobs  = 3
	noRow      = 255
)

var promoEvents = [promoParts]uint8{2, 1, 1}

// Invariants of promotion.
const (
	NeverBack      = "no reader sees a position fall"
	NeverLess      = "no reader misses an event whose effect it has seen"
	NeverHalf      = "no reader sees a half-built table"
	OnePerSequence = "no two switches for one expected sequence"
	ViewIsRecorded = "views show the revision that is recorded as active"
)

type promoPart struct{ next, held uint8 }

// seen are the events whose effects the rows hold, as bits.
func (p promoPart) seen() uint8 {
	if p.next == noRow {
		return 0
	}
	return (1<<p.next - 1) &^ p.held
}

// How far the build of revision 1 is.
const (
	half    = 1 // the rows of p0 are there
	copied  = 2 // those of p1, too
	built   = 3 // its positions say so: it follows
	durable = 4 // its commits survive a crash, and it says so
)

type promoStore struct {
	active, view, sequence uint8
	build                  uint8
	lazy                   [2]bool // the revision's commits are reported before they are on disk
	parts                  [2][promoParts]promoPart
	switched               [3]uint8 // by expected sequence
}

// What a Job is about to do.
const (
	jobStarts = iota
	jobLocks
	jobPositions // has locked the revisions
	jobCompares  // and the positions
	jobSwitches
	jobRecords // has replaced the views, where that is a transaction of its own
	jobEnded
)

type promoJob struct {
	at   uint8
	mark [promoParts]uint8 // positions that it has read of the revision that readers leave, noRow where there was none
}

type promoState struct {
	db, disk promoStore
	grown    bool
	snapshot bool // somebody has one from before the end of the build
	crashed  bool
	jobs     [promoJobs]promoJob
}

// promoRequests are what the Jobs were asked for: the third goes back.
var promoRequests = [promoJobs]struct{ from, to, sequence uint8 }{{0, 1, 0}, {0, 1, 0}, {1, 0, 1}}

type promotion struct{ g Guards }

// NewPromotion is the system of promotion and rollback under some guards.
func NewPromotion(g Guards) System[promoState] {
	p := promotion{g}
	var init promoState
	init.db.lazy[1] = true
	for r := range init.db.parts {
		init.db.parts[r][2].next = noRow
	}
	init.disk = init.db
	return System[promoState]{
		Name: "promotion", Init: init, Next: p.next, Show: showPromotion,
		Invariants: []Invariant[promoState]{
			{NeverBack, func(from, to promoState) bool {
				for i := range promoParts {
					a, b := from.db.parts[from.db.view][i].next, to.db.parts[to.db.view][i].next
					if a != noRow && a > 0 && (b == noRow || b < a) {
						return true
					}
				}
				return false
			}},
			{NeverLess, func(from, to promoState) bool {
				for i := range promoParts {
					if from.db.parts[from.db.view][i].seen()&^to.db.parts[to.db.view][i].seen() != 0 {
						return true
					}
				}
				return false
			}},
			{NeverHalf, func(_, s promoState) bool { return s.db.view == 1 && (s.snapshot || s.db.build < built) }},
			{OnePerSequence, func(_, s promoState) bool {
				return s.db.switched[0] > 1 || s.db.switched[1] > 1 || s.db.switched[2] > 1
			}},
			{ViewIsRecorded, func(_, s promoState) bool { return s.db.view != s.db.active }},
		},
		Done: func(s promoState) bool {
			for i, n := range promoEvents {
				for r := range s.db.parts {
					if (i < 2 || s.grown) && s.db.parts[r][i].next != n {
						return false
					}
				}
			}
			return s.jobs[0].at == jobEnded && s.jobs[1].at == jobEnded
		},
	}
}

// commit makes what a transaction did lasting. One that waits for the disk
// takes everything before it along: there is one log.
func (s *promoState) commit(lazy bool) {
	if !lazy {
		s.disk = s.db
	}
	if s.crashed {
		s.disk = promoStore{} // nobody needs it any more
	}
}

func (p promotion) next(s promoState, steps *Steps[promoState]) {
	if !s.grown {
		t := s
		t.grown = true
		steps.To(t, "the topic grows")
	}
	if !s.snapshot && s.db.build < built {
		t := s
		t.snapshot = true
		steps.To(t, "somebody takes a snapshot, and keeps it")
	}
	if s.snapshot {
		t := s
		t.snapshot = false
		steps.To(t, "the snapshot is let go")
	}
	if !s.crashed {
		t := s
		t.crashed = true
		t.db, t.disk = s.disk, promoStore{}
		for j := range t.jobs {
			if t.jobs[j].at < jobEnded {
				t.jobs[j] = promoJob{}
			}
		}
		steps.To(t, "the server crashes, and comes back with what was on disk")
	}
	p.build(s, steps)
	for r := range s.db.parts {
		p.follow(s, r, steps)
	}
	for j := range s.jobs {
		p.job(s, j, steps)
	}
}

func (p promotion) build(s promoState, steps *Steps[promoState]) {
	t := s
	switch s.db.build {
	case 0:
		t.db.build = half
		t.commit(true)
		steps.To(t, "the build of r1 loads p0")
	case half:
		t.db.build = copied
		t.commit(true)
		steps.To(t, "the build of r1 loads p1")
	case copied:
		t.db.build = built
		t.db.parts[1][0].next, t.db.parts[1][1].next = 1, 1
		t.commit(true)
		steps.To(t, "the build of r1 ends at p0 1, p1 1")
	case built:
		t.db.build, t.db.lazy[1] = durable, false
		t.commit(false)
		steps.To(t, "r1 waits for the disk from now on, and says so")
	}
}

// follow lets a revision apply its next events.
func (p promotion) follow(s promoState, r int, steps *Steps[promoState]) {
	if r == 1 && s.db.build < built {
		return
	}
	for i, part := range s.db.parts[r] {
		if part.next == noRow {
			if s.grown && !p.revisionLocked(&s) {
				t := s
				t.db.parts[r][i].next = 0
				t.commit(s.db.lazy[r])
				steps.To(t, "r%d makes its row of p%d", r, i)
			}
			continue
		}
		if part.held != 0 && !p.positionLocked(&s, r, i) {
			t := s
			t.db.parts[r][i].held = 0
			t.commit(s.db.lazy[r])
			steps.To(t, "what r%d holds is applied after all", r)
		}
		if part.next == promoEvents[i] || p.positionLocked(&s, r, i) {
			continue
		}
		t := s
		t.db.parts[r][i].next++
		t.commit(s.db.lazy[r])
		steps.To(t, "r%d applies e%d of p%d", r, int(part.next), i)
		if i == 0 && part.next == 1 {
			t = s
			t.db.parts[r][i] = promoPart{next: 2, held: 2}
			t.commit(s.db.lazy[r])
			steps.To(t, "r%d holds e1 of p0", r)
		}
	}
}

func (p promotion) revisionLocked(s *promoState) bool {
	for _, j := range s.jobs {
		if p.g.LocksRevisions && jobLocks < j.at && j.at < jobEnded {
			return true
		}
	}
	return false
}

func (p promotion) positionLocked(s *promoState, r, i int) bool {
	for n, j := range s.jobs {
		if p.g.LocksPositions && jobPositions < j.at && j.at < jobEnded && int(promoRequests[n].from) == r && j.mark[i] != noRow {
			return true
		}
	}
	return false
}

func (p promotion) job(s promoState, n int, steps *Steps[promoState]) {
	t := s
	job, req := &t.jobs[n], promoRequests[n]
	switch s.jobs[n].at {
	case jobStarts:
		// A kept revision was built long ago.
		if req.to == 1 && (s.db.build < built || p.g.AwaitsSnapshots && s.snapshot || p.g.AwaitsDurable && s.db.lazy[1]) {
			return
		}
		if req.to == 0 && s.db.sequence == 0 {
			return // nobody asks for it before
		}
		job.at = jobLocks
		steps.To(t, "Job %d finds r%d built, durable, and no older snapshot", n, int(req.to))
	case jobLocks:
		for _, other := range s.jobs {
			if jobLocks < other.at && other.at < jobEnded {
				return // it waits for the row of the projection
			}
		}
		if s.db.active != req.from || p.g.ExpectsSequence && s.db.sequence != req.sequence {
			job.at = jobEnded
			steps.To(t, "Job %d finds the projection in another state, and does nothing", n)
			return
		}
		job.at = jobPositions
		steps.To(t, "Job %d finds the projection as expected, and locks the revisions", n)
	case jobPositions:
		job.at = jobCompares
		for i, part := range s.db.parts[req.from] {
			job.mark[i] = part.next
		}
		steps.To(t, "Job %d locks the positions of r%d", n, int(req.from))
	case jobCompares:
		if p.behind(&s, n) {
			*job = promoJob{at: jobLocks}
			steps.To(t, "Job %d finds r%d behind, and gives way", n, int(req.to))
			return
		}
		job.at = jobSwitches
		steps.To(t, "Job %d finds r%d as far", n, int(req.to))
	case jobSwitches:
		t.db.view = req.to
		if p.g.ViewsWithRecord {
			p.record(&t, n)
			steps.To(t, "Job %d replaces the views, records the switch, and commits", n)
			return
		}
		job.at = jobRecords
		t.commit(false)
		steps.To(t, "Job %d replaces the views, and commits", n)
	case jobRecords:
		p.record(&t, n)
		steps.To(t, "Job %d records the switch, and commits", n)
	}
}

func (p promotion) record(s *promoState, n int) {
	req := promoRequests[n]
	s.jobs[n] = promoJob{at: jobEnded}
	s.db.active = req.to
	s.db.sequence++
	s.db.switched[req.sequence]++
	if !p.g.KeptStaysDurable {
		s.db.lazy[req.from] = true
	}
	s.commit(false)
}

// behind tells whether the revision of Job n's request lacks something that readers have seen.
func (p promotion) behind(s *promoState, n int) bool {
	req := promoRequests[n]
	if req.to == 0 && !p.g.RollbackCompares {
		return false
	}
	for i, mark := range s.jobs[n].mark {
		part := s.db.parts[req.to][i]
		switch {
		case mark == noRow:
		case part.next == noRow:
			if p.g.MissingIsBehind {
				return true
			}
		case p.g.ComparesPositions && part.next < mark,
			p.g.HoldsAreSubset && part.held&^s.db.parts[req.from][i].held != 0:
			return true
		}
	}
	return false
}

func showPromotion(s promoState) string {
	var b strings.Builder
	fmt.Fprintf(&b, "readers see r%d", s.db.view)
	for r, parts := range s.db.parts {
		fmt.Fprintf(&b, "; r%d at", r)
		for _, part := range parts {
			switch {
			case part.next == noRow:
				b.WriteString(" -")
			case part.held != 0:
				fmt.Fprintf(&b, " %d (e1 held)", part.next)
			default:
				fmt.Fprintf(&b, " %d", part.next)
			}
		}
	}
	if s.db.build < built {
		b.WriteString(", not built")
	}
	return b.String()
}
