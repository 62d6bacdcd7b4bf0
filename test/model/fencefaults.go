// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package model

import (
	"fmt"
	"strings"
)

// crash is the end of w's process; another takes its name.
func (f fence) crash(s fenceState, w int, steps *Steps[fenceState]) {
	if s.faults == f.size.Faults {
		return
	}
	t := s
	f.fault(&t)
	if me := s.workers[w]; me.sent && !me.half && !s.ghost.sent {
		t.ghost = me.asGhost()
	}
	t.workers[w] = fenceWorker{}
	steps.To(t, "%c crashes and is started again", name(w))
}

// surroundings are the server, its replica, and a careless hand.
func (f fence) surroundings(s fenceState, steps *Steps[fenceState]) {
	if s.ghost.sent && !s.locked(0) && !s.locked(1) {
		t := s
		f.run(&t, &t.ghost)
		t.ghost = fenceWorker{}
		steps.To(t, "the server gets to the commit whose client is gone")
		t = s
		t.ghost = fenceWorker{}
		steps.To(t, "the commit whose client is gone gets lost")
	}
	for w := range s.workers {
		if me := s.workers[w]; me.frozen && me.sent && f.g.ServerEndsFrozen {
			t := s
			t.workers[w].sent = false
			steps.To(t, "the server ends %c's transaction", name(w))
		}
	}
	if s.faults == f.size.Faults {
		return
	}
	if !s.behind {
		t := s
		t.behind = true
		steps.To(t, "the replica falls behind")
	} else {
		t := s
		t.db, t.behind = s.replica, false
		f.fault(&t)
		steps.To(t, "the database fails over to the replica")
	}
	for p := range s.db {
		if !s.db[p].missing && !s.behind {
			t := s
			f.fault(&t)
			t.db[p] = fenceRow{missing: true, rows: s.db[p].rows}
			f.replicate(&t)
			steps.To(t, "somebody deletes the position row of p%d", p)
		}
	}
}

func showFence(s fenceState) string {
	var b strings.Builder
	for p, r := range s.db {
		if r.missing {
			fmt.Fprintf(&b, "p%d: no position row, rows %s; ", p, r.rows)
			continue
		}
		fmt.Fprintf(&b, "p%d: at %d, epoch %d, token %d, rows %s; ", p, r.next, r.epoch, r.token, r.rows)
	}
	return strings.TrimSuffix(b.String(), "; ")
}
