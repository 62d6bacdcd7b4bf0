// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package model

import "fmt"

// The model of who may switch: three revisions, and four Jobs that may run at
// any time, each as often as it likes. A failover may lose the last switches, and so
// give one sequence to two of them. What a switch compares is promotion's.

// LeavesExpected is the invariant of switches beside OnePerSequence.
const LeavesExpected = "a switch leaves the revision that it was asked to leave, whose positions it has compared"

type switchStore struct {
	active, sequence uint8
	switched         [4]uint8 // by expected sequence
}

type switchState struct {
	db, replica switchStore
	behind      bool
	failedOver  bool
	asked       uint8 // Jobs, as bits: somebody asks for one when he finds the projection so
	wrong       bool
}

// switchRequests are what the Jobs were asked for.
var switchRequests = [...]struct{ from, to, sequence uint8 }{{0, 1, 0}, {0, 2, 0}, {1, 0, 1}, {2, 0, 1}}

// NewSwitches is the system of switches under some guards.
func NewSwitches(g Guards) System[switchState] {
	return System[switchState]{
		Name: "switches",
		Next: func(s switchState, steps *Steps[switchState]) { nextSwitch(g, s, steps) },
		Invariants: []Invariant[switchState]{
			{OnePerSequence, func(_, s switchState) bool {
				for _, n := range s.db.switched {
					if n > 1 {
						return true
					}
				}
				return false
			}},
			{LeavesExpected, func(_, s switchState) bool { return s.wrong }},
		},
		Done: func(switchState) bool { return true },
		Show: func(s switchState) string {
			return fmt.Sprintf("active r%d, sequence %d", s.db.active, s.db.sequence)
		},
	}
}

func nextSwitch(g Guards, s switchState, steps *Steps[switchState]) {
	for j, req := range switchRequests {
		if s.db.active == req.from && s.db.sequence == req.sequence {
			s.asked |= 1 << j
		}
	}
	for j, req := range switchRequests {
		if s.asked>>j&1 == 0 || g.ExpectsActive && s.db.active != req.from ||
			g.ExpectsSequence && s.db.sequence != req.sequence {
			continue
		}
		t := s
		t.wrong = t.wrong || s.db.active != req.from
		t.db.active = req.to
		t.db.sequence++
		t.db.switched[req.sequence]++
		if !s.behind && !s.failedOver {
			t.replica = t.db
		}
		steps.To(t, "Job %d, asked for at sequence %d, switches from r%d to r%d", j, int(req.sequence), int(req.from), int(req.to))
	}
	if s.failedOver {
		return
	}
	t := s
	if !s.behind {
		t.behind = true
		steps.To(t, "the replica falls behind")
		return
	}
	t.db, t.replica, t.behind, t.failedOver = s.replica, switchStore{}, false, true
	steps.To(t, "the database fails over to the replica")
}
