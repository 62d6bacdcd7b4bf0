// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package model

import (
	"fmt"
	"strings"
)

// The model of held keys: one partition with three events of one key, two
// workers that claim it whenever they like, and somebody who resolves holds by
// applying (redrive) or skipping the event that was refused. Whether an event is refused may
// depend on more than the log, such as a unique index over rows of other
// partitions, so that two workers may differ about it. At most one is refused.
const (
	holdEvents  = 3
	holdWorkers = 2
	holdClaims  = 2
)

// Invariants of held keys.
const (
	KeyInOrder     = "events of a key take effect in order, and none while an earlier one is held"
	NothingLost    = "each event before the position is applied, held or skipped, and only one of them"
	HeldForAReason = "an event is held only as one that was refused, or behind one"
)

type holdStore struct {
	epoch, token, next, version uint8
	rows                        trail
	refused, held, skipped      uint8 // bits of events; refused is part of held
}

type holdWorker struct {
	claimed                     bool
	epoch, token, next, version uint8
	keyHeld                     bool // by the held set that it has loaded, and what it has refused since
	// The batch: its first events are applied or held by bit, folded at a version of the held set.
	n, park, refuse, folded uint8
	moved                   bool // the position is committed, the holds are not yet
}

func (w *holdWorker) drop() { w.n, w.park, w.refuse, w.folded, w.moved = 0, 0, 0, 0, false }

type holdState struct {
	db, replica holdStore
	behind      bool
	failedOver  bool
	refusals    uint8
	claims      uint8
	crashed     bool
	workers     [holdWorkers]holdWorker
	// What somebody who resolves without a lock has read.
	reading bool
	read    uint8
}

// held tells whether a worker has the claim that the row has.
func (s *holdState) held() bool {
	for _, w := range s.workers {
		if w.claimed && w.token == s.db.token {
			return true
		}
	}
	return false
}

// mint gives a token that nobody has; see fenceState.mint.
func (s *holdState) mint() uint8 {
	token := uint8(1)
	for token == s.db.token || token == s.replica.token || token == s.workers[0].token || token == s.workers[1].token {
		token++
	}
	return token
}

type holds struct{ g Guards }

// NewHolds is the system of held keys under some guards.
func NewHolds(g Guards) System[holdState] {
	h := holds{g}
	return System[holdState]{
		Name: "holds", Next: h.next, Show: showHolds,
		Invariants: []Invariant[holdState]{
			{KeyInOrder, func(_, s holdState) bool { return s.db.disordered() }},
			{NothingLost, func(_, s holdState) bool {
				applied, once := s.db.applied()
				for e := range s.db.next {
					n := applied>>e&1 + s.db.held>>e&1 + s.db.skipped>>e&1
					if n != 1 {
						return true
					}
				}
				return !once
			}},
			{HeldForAReason, func(_, s holdState) bool {
				first := s.db.held & -s.db.held
				return first&^s.db.refused != 0
			}},
		},
		Done: func(s holdState) bool { return s.db.next == holdEvents && s.db.held == 0 },
	}
}

// applied gives the events that took effect, and whether each did once.
func (d *holdStore) applied() (bits uint8, once bool) {
	once = true
	for t := d.rows; t > 0; t >>= 2 {
		bit := uint8(1) << (t&3 - 1)
		once = once && bits&bit == 0
		bits |= bit
	}
	return bits, once
}

// disordered tells whether an event took effect before an earlier one of the key.
func (d *holdStore) disordered() bool {
	seen := uint8(0) // later ones: the trail is read from its end
	for t := d.rows; t > 0; t >>= 2 {
		bit := uint8(1) << (t&3 - 1)
		if seen != 0 && seen&-seen <= bit {
			return true
		}
		seen |= bit
	}
	// An event took effect while an earlier one is held.
	return d.held != 0 && seen > d.held&-d.held
}

func (h holds) next(s holdState, steps *Steps[holdState]) {
	for w := range s.workers {
		h.work(s, w, steps)
	}
	h.resolve(s, steps)
	if s.failedOver {
		return
	}
	if !s.behind {
		t := s
		t.behind = true
		steps.To(t, "the replica falls behind")
		return
	}
	t := s
	t.db, t.replica, t.behind, t.failedOver = s.replica, holdStore{}, false, true
	steps.To(t, "the database fails over to the replica")
}

func (h holds) replicate(s *holdState) {
	if !s.behind && !s.failedOver {
		s.replica = s.db
	}
}

func (h holds) work(s holdState, w int, steps *Steps[holdState]) {
	me := s.workers[w]
	// Who takes over from nobody can always claim; they take from each other a few times.
	if free := !s.held(); me.n == 0 && (free || s.claims < holdClaims) {
		t := s
		if !free {
			t.claims++
		}
		t.db.epoch, t.db.token = t.db.epoch+1, s.mint()
		t.workers[w] = holdWorker{claimed: true, epoch: t.db.epoch, token: t.db.token, next: t.db.next, version: t.db.version, keyHeld: t.db.held != 0}
		h.replicate(&t)
		steps.To(t, "%c claims", name(w))
	}
	if !me.claimed {
		return
	}
	if me.n == 0 && h.g.LooksAtRows && (me.token != s.db.token || me.next > s.db.next) {
		t := s
		t.workers[w] = holdWorker{}
		steps.To(t, "%c looks at the row, which is not as it left it", name(w))
	}
	if e := me.next + me.n; e < holdEvents && !me.moved {
		t := s
		mine := &t.workers[w]
		if me.n == 0 {
			mine.folded = me.version
		}
		mine.n++
		if me.keyHeld && h.g.HoldsFollowers {
			mine.park |= 1 << e
			steps.To(t, "%c folds e%d: held, as its key is", name(w), int(e))
		} else {
			steps.To(t, "%c folds e%d: applied", name(w), int(e))
			if s.refusals == 0 {
				t.refusals++
				mine.park |= 1 << e
				mine.refuse |= 1 << e
				mine.keyHeld = true
				steps.To(t, "%c folds e%d: refused, and held", name(w), int(e))
			}
		}
	}
	if h.g.HeldReload && me.version != s.db.version && !me.moved {
		t := s
		if h.g.OneVersion {
			t.workers[w].drop()
		}
		t.workers[w].version, t.workers[w].keyHeld = s.db.version, s.db.held != 0
		steps.To(t, "%c loads the held set again", name(w))
	}
	if me.n > 0 {
		h.commit(s, w, steps)
	}
	if !s.crashed && me.n > 0 {
		t := s
		t.crashed, t.workers[w] = true, holdWorker{}
		steps.To(t, "%c crashes", name(w))
	}
}

func (h holds) commit(s holdState, w int, steps *Steps[holdState]) {
	t := s
	me, db := &t.workers[w], &t.db
	if me.moved {
		db.held |= me.park
		db.refused |= me.refuse
		me.drop()
		h.replicate(&t)
		steps.To(t, "%c commits its holds", name(w))
		return
	}
	old := h.g.FenceHeld && me.folded != db.version
	if me.next != db.next || !h.g.holds(me.epoch, me.token, db.epoch, db.token) {
		*me = holdWorker{}
		steps.To(t, "%c's commit is refused: the claim is another's", name(w))
		return
	}
	if old {
		me.drop()
		if h.g.HeldReload {
			me.version, me.keyHeld = db.version, db.held != 0
		}
		steps.To(t, "%c's commit is refused: the held set has changed", name(w))
		return
	}
	for e := me.next; e < me.next+me.n; e++ {
		if me.park>>e&1 == 0 {
			db.rows = db.rows.add(e)
		}
	}
	me.next += me.n
	db.next = me.next
	if !h.g.HoldWithPosition && me.park != 0 {
		me.moved = true
		h.replicate(&t)
		steps.To(t, "%c commits its rows and position, and not yet its holds", name(w))
		return
	}
	db.held |= me.park
	db.refused |= me.refuse
	me.drop()
	h.replicate(&t)
	steps.To(t, "%c's commit is done", name(w))
}

// resolve frees the key: what was refused is applied or skipped, and what is held behind it applied.
func (h holds) resolve(s holdState, steps *Steps[holdState]) {
	if s.reading {
		for _, skip := range []bool{false, true} {
			t := s
			t.reading, t.read = false, 0
			h.free(&t, s.read, skip)
			steps.To(t, resolved(skip))
		}
		return
	}
	if s.db.held == 0 {
		return
	}
	if !h.g.ResolveLocks {
		t := s
		t.reading, t.read = true, s.db.held
		steps.To(t, "somebody who resolves reads what is held")
		return
	}
	for _, skip := range []bool{false, true} {
		t := s
		h.free(&t, s.db.held, skip)
		steps.To(t, resolved(skip))
	}
}

func resolved(skip bool) string {
	if skip {
		return "the refused event is skipped, and those behind it are applied"
	}
	return "the refused event is applied after all, and those behind it"
}

func (h holds) free(s *holdState, held uint8, skip bool) {
	for e := range uint8(holdEvents) {
		switch bit := uint8(1) << e; {
		case held&bit == 0 || s.db.held&bit == 0:
		case skip && s.db.refused&bit != 0:
			s.db.skipped |= bit
		default:
			s.db.rows = s.db.rows.add(e)
		}
	}
	s.db.held &^= held
	s.db.refused &= s.db.held
	if h.g.ResolveRaises {
		s.db.version++
	}
	h.replicate(s)
}

func showHolds(s holdState) string {
	var b strings.Builder
	fmt.Fprintf(&b, "at %d, epoch %d, token %d, held version %d, rows %s", s.db.next, s.db.epoch, s.db.token, s.db.version, s.db.rows)
	for e := range holdEvents {
		switch {
		case s.db.held>>e&1 == 1:
			fmt.Fprintf(&b, ", e%d held", e)
		case s.db.skipped>>e&1 == 1:
			fmt.Fprintf(&b, ", e%d skipped", e)
		}
	}
	return b.String()
}
