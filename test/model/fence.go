// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package model

// The model of claim, fence and commit: one revision, two partitions of up to
// two events each, two workers. The group gives both partitions to A, and later one or
// both to B; a worker learns of it whenever it does. Commits of one worker move
// one or both partitions. A bounded number of things go wrong.
const (
	fenceParts   = 2
	fenceWorkers = 2
)

// Invariants of the fence.
const (
	ExactlyOnce  = "each event takes effect once, in the order of its partition"
	RowsAtPlace  = "rows are the fold of the log up to the position"
	OnlyHolder   = "a commit has an effect only under the claim that the row has"
	KeepsOwn     = "no worker gives a partition up because of its own commit"
	NoPingPong   = "workers do not take a partition from each other without end"
	fencePingCap = 3
)

type fenceRow struct {
	missing            bool
	epoch, token, next uint8
	rows               trail
}

type fenceHold uint8 // what a worker has of a partition

const (
	none fenceHold = iota
	assigned
	claimed
	lost    // another claim was met
	stopped // no position row was met
)

type fencePart struct {
	hold               fenceHold
	epoch, token, next uint8 // of the claim
	n                  uint8 // events in the commit under way
	stain              uint8 // events whose rows are in it although the partition is not
}

type fenceWorker struct {
	generation uint8
	sent       bool // a commit is under way
	half       bool // its rows are committed, its positions not yet
	doubt      bool // an earlier try had no answer
	frozen     bool // for good, in the middle of its transaction
	parts      [fenceParts]fencePart
}

func (w *fenceWorker) forget() {
	for p := range w.parts {
		w.parts[p].n, w.parts[p].stain = 0, 0
	}
	w.sent, w.doubt, w.half = false, false, false
}

// advance is what a worker knows after its commit.
func (w *fenceWorker) advance() {
	for p := range w.parts {
		w.parts[p].next += w.parts[p].n
	}
	w.forget()
}

type fenceState struct {
	db, replica [fenceParts]fenceRow
	behind      bool // the replica no longer follows
	generation  uint8
	owner       [fenceParts]uint8
	workers     [fenceWorkers]fenceWorker
	ghost       fenceWorker // a commit whose client is gone, and which may still reach the server
	faults      uint8
	steals      [fenceParts]uint8 // claims taken back from a live holder since the partition moved
	foreign     bool              // a commit had an effect under a claim that is not the row's
	gaveUp      bool              // a worker took its own commit for another's
}

// FenceSize bounds the model.
type FenceSize struct {
	// Events in each partition, at most two.
	Events [fenceParts]uint8
	// Faults is how many things go wrong.
	Faults uint8
}

type fence struct {
	g    Guards
	size FenceSize
}

// NewFence is the system of claims and commits under some guards.
func NewFence(g Guards, size FenceSize) System[fenceState] {
	f := fence{g, size}
	init := fenceState{generation: 1}
	return System[fenceState]{
		Name: "fence", Init: init, Next: f.next, Show: showFence,
		Invariants: []Invariant[fenceState]{
			{ExactlyOnce, func(_, s fenceState) bool {
				for _, r := range s.db {
					if r.rows != inOrder(0) && r.rows != inOrder(1) && r.rows != inOrder(2) {
						return true
					}
				}
				return false
			}},
			{RowsAtPlace, func(_, s fenceState) bool {
				for _, r := range s.db {
					if !r.missing && r.rows != inOrder(r.next) {
						return true
					}
				}
				return false
			}},
			{OnlyHolder, func(_, s fenceState) bool { return s.foreign }},
			{KeepsOwn, func(_, s fenceState) bool { return s.gaveUp }},
			{NoPingPong, func(_, s fenceState) bool {
				return s.steals[0] >= fencePingCap || s.steals[1] >= fencePingCap
			}},
		},
		Done: func(s fenceState) bool {
			for p, r := range s.db {
				if !r.missing && r.next != f.size.Events[p] {
					return false
				}
			}
			return true
		},
	}
}

func (f fence) next(s fenceState, steps *Steps[fenceState]) {
	frozen := s.workers[0].frozen || s.workers[1].frozen
	if s.generation == 1 {
		t := s
		t.generation, t.owner[1] = 2, 1
		steps.To(t, "the group gives p1 to B")
	}
	if s.generation == 1 || s.generation == 2 && frozen {
		t := s
		heir := uint8(1)
		if s.workers[1].frozen {
			heir = 0
		}
		t.generation, t.owner = s.generation+1, [fenceParts]uint8{heir, heir}
		steps.To(t, "the group gives p0 and p1 to %c", name(heir))
	}
	for w := range s.workers {
		if !s.workers[w].frozen {
			f.work(s, w, steps)
		}
	}
	f.surroundings(s, steps)
}

// locked tells whether a frozen transaction holds the lock on a position row.
func (s *fenceState) locked(p int) bool {
	for w := range s.workers {
		if s.workers[w].frozen && s.workers[w].sent && s.workers[w].parts[p].n > 0 {
			return true
		}
	}
	return false
}

func (f fence) work(s fenceState, w int, steps *Steps[fenceState]) {
	me := s.workers[w]
	if me.sent {
		f.send(s, w, steps)
		return
	}
	if me.generation < s.generation {
		t := s
		t.workers[w] = fenceWorker{generation: s.generation}
		for p, owner := range s.owner {
			if int(owner) == w {
				t.workers[w].parts[p].hold = assigned
			}
		}
		steps.To(t, "%c learns of generation %d", name(w), int(s.generation))
	}
	f.claim(s, w, steps)
	for p := range me.parts {
		if me.parts[p].hold == lost && f.g.Reclaims {
			f.reclaim(s, w, p, steps)
		}
	}
	for p := range me.parts {
		if part, row := me.parts[p], s.db[p]; f.g.LooksAtRows && part.hold == claimed && !row.missing && (row.token != part.token || row.next < part.next) {
			t := s
			t.workers[w].parts[p] = fencePart{hold: lost}
			steps.To(t, "%c looks at the row of p%d, which is not as it left it", name(w), p)
		}
	}
	// A commit takes some events of some of its partitions.
	left := func(p int) uint8 {
		if part := me.parts[p]; part.hold == claimed && part.next < f.size.Events[p] {
			return f.size.Events[p] - part.next
		}
		return 0
	}
	for a := range left(0) + 1 {
		for b := range left(1) + 1 {
			if a+b > 0 {
				t := s
				t.workers[w].sent, t.workers[w].parts[0].n, t.workers[w].parts[1].n = true, a, b
				steps.To(t, "%c folds %d events of p0 and %d of p1, and sends its commit", name(w), int(a), int(b))
			}
		}
	}
}

// claim takes all partitions that w was given, in one transaction.
func (f fence) claim(s fenceState, w int, steps *Steps[fenceState]) {
	t := s
	var mask [fenceParts]int
	for p, part := range s.workers[w].parts {
		if part.hold != assigned {
			continue
		}
		if s.locked(p) {
			return
		}
		f.take(&t, w, p)
		mask[p] = 1
	}
	switch mask {
	case [fenceParts]int{1, 1}:
		steps.To(t, "%c claims p0 and p1", name(w))
	case [fenceParts]int{1, 0}:
		steps.To(t, "%c claims p0", name(w))
	case [fenceParts]int{0, 1}:
		steps.To(t, "%c claims p1", name(w))
	}
}

func (f fence) take(s *fenceState, w, p int) {
	row := &s.db[p]
	if row.missing && f.g.MissingRowStops {
		s.workers[w].parts[p] = fencePart{hold: stopped}
		return
	}
	if row.missing {
		*row = fenceRow{rows: row.rows}
	}
	row.epoch, row.token = row.epoch+1, s.mint(p)
	s.workers[w].parts[p] = fencePart{hold: claimed, epoch: row.epoch, token: row.token, next: row.next}
	f.replicate(s)
}

// reclaim takes back a partition that w has lost.
func (f fence) reclaim(s fenceState, w, p int, steps *Steps[fenceState]) {
	if s.locked(p) {
		return
	}
	live := false
	for o := range s.workers {
		other := s.workers[o].parts[p]
		live = live || o != w && other.hold == claimed && other.token == s.db[p].token && !s.workers[o].frozen
	}
	if live && f.g.ReclaimWaits {
		return // a live holder moves the row before the wait is over
	}
	t := s
	if live {
		t.steals[p] = min(t.steals[p]+1, fencePingCap)
	}
	f.take(&t, w, p)
	steps.To(t, "%c claims p%d again", name(w), p)
}

// mint gives a token for p that nobody has. Which one of them does not matter,
// and the smallest makes the fewest states.
func (s *fenceState) mint(p int) uint8 {
	token := uint8(1)
	for {
		used := token == s.db[p].token || token == s.replica[p].token || token == s.ghost.parts[p].token
		for w := range s.workers {
			used = used || token == s.workers[w].parts[p].token
		}
		if !used {
			return token
		}
		token++
	}
}

func (f fence) replicate(s *fenceState) {
	if !s.behind && s.faults < f.size.Faults {
		s.replica = s.db
	}
}

// fault counts one. After the last one nobody needs the replica.
func (f fence) fault(s *fenceState) {
	s.faults++
	if s.faults == f.size.Faults {
		s.replica, s.behind = [fenceParts]fenceRow{}, false
	}
}

// send lets the server run the commit of w, and w hear of it or not.
func (f fence) send(s fenceState, w int, steps *Steps[fenceState]) {
	for p := range s.db {
		if s.workers[w].parts[p].n > 0 && s.locked(p) {
			return
		}
	}
	if !f.g.PositionWithRows && !s.workers[w].half {
		t := s
		for p, part := range t.workers[w].parts {
			t.db[p].apply(part.next, part.n)
		}
		t.workers[w].half = true
		f.replicate(&t)
		steps.To(t, "%c commits its rows, and not yet its position", name(w))
		f.crash(s, w, steps)
		return
	}
	t := s
	held := f.run(&t, &t.workers[w])
	lostAnswer := t
	if held {
		t.workers[w].advance()
		steps.To(t, "%c's commit is done", name(w))
	} else {
		f.refused(&t, w)
		steps.To(t, "%c's commit is refused", name(w))
	}
	if s.faults < f.size.Faults {
		if held {
			f.fault(&lostAnswer)
			lostAnswer.workers[w].doubt = true
			steps.To(lostAnswer, "%c's commit is done, and the answer is lost", name(w))
		}
		if t := s; !s.ghost.sent && f.g.PositionWithRows {
			f.fault(&t)
			t.ghost = s.workers[w].asGhost()
			t.workers[w].doubt = true
			steps.To(t, "%c loses its connection, the commit still on its way", name(w))
		}
		if t := s; !s.workers[1-w].frozen {
			f.fault(&t)
			t.workers[w].frozen = true
			steps.To(t, "%c freezes for good in its transaction, with its locks", name(w))
		}
	}
	f.crash(s, w, steps)
}

// asGhost is the commit of w alone, for it to be compared by value.
func (w fenceWorker) asGhost() fenceWorker {
	g := fenceWorker{sent: true}
	for p, part := range w.parts {
		if part.n > 0 || part.stain > 0 {
			g.parts[p] = part
		}
	}
	return g
}

func (r *fenceRow) apply(from, n uint8) {
	for e := range n {
		r.rows = r.rows.add(from + e)
	}
}

// run is the transaction at the server: the fence, and then the rows.
func (f fence) run(s *fenceState, w *fenceWorker) bool {
	var fits [fenceParts]bool
	all := true
	for p, part := range w.parts {
		row := s.db[p]
		fits[p] = part.n == 0 || !row.missing && f.g.holds(part.epoch, part.token, row.epoch, row.token) &&
			(!f.g.FencePosition || part.next == row.next)
		all = all && fits[p]
	}
	if !all && f.g.FenceRaises {
		return false
	}
	for p, part := range w.parts {
		row := &s.db[p]
		if part.n > 0 && fits[p] {
			s.foreign = s.foreign || part.token != row.token
			row.next = part.next + part.n
			s.steals[p] = 0
		}
		if f.g.PositionWithRows {
			row.apply(part.next, part.n+part.stain)
		}
	}
	f.replicate(s)
	return true
}

// refused is what w makes of a fence that raised.
func (f fence) refused(s *fenceState, w int) {
	me := &s.workers[w]
	knows := me.doubt && f.g.LostAnswerReads // it may have been w itself
	landed, rest := knows, false
	for p := range me.parts {
		part, row := &me.parts[p], s.db[p]
		if part.n == 0 {
			continue
		}
		own := !row.missing && row.token == part.token
		arrived := own && row.next == part.next+part.n
		landed = landed && arrived
		switch {
		case own && row.next == part.next || knows && arrived:
			rest = true
		case row.missing && f.g.MissingRowStops:
			*part = fencePart{hold: stopped}
		default:
			s.gaveUp = s.gaveUp || arrived
			stain := part.n
			if f.g.FoldPerPartition {
				stain = 0
			}
			*part = fencePart{hold: lost, stain: stain}
		}
	}
	if landed {
		me.advance()
	} else if !rest {
		me.forget()
	} // else the rest is sent again
}
