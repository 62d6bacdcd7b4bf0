// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"time"

	"github.com/projectionist-dev/projectionist/projectors/codecs"
)

// wait is a partition's wait for what is needed to read one event. The records
// are let go of meanwhile and fetched again for each attempt, so that a partition
// that waits takes nothing of the budget of the others.
type wait struct {
	position int64
	cause    *codecs.UnavailableError
	pause    backoff
	// due is when to try again; zero while an attempt is under way.
	due time.Time
}

// held says that the fetcher must not ask for more.
func (p *partition) held() bool { return p.wait != nil && !p.wait.due.IsZero() }

// resume begins another attempt when its time has come and all that was in
// flight is committed, so that the position to go on from is known.
func (p *partition) resume(now time.Time) {
	if !p.held() || p.outstanding > 0 || now.Before(p.wait.due) {
		return
	}
	p.wait.due = time.Time{}
	p.fetchNext = p.claim.Next
	p.serial++ // so that the units to come are told from those that were dropped
}

// waits notes that the record at u.next cannot be read now.
func (s *session) waits(u *unit) {
	s.mu.Lock()
	w := u.p.wait
	if w == nil || w.position != u.next {
		w = &wait{position: u.next}
		u.p.wait = w
	}
	w.cause = u.wait
	pause := w.pause.next()
	w.due = time.Now().Add(pause)
	s.mu.Unlock()
	s.e.sourceFailed(u.wait)
	// The fetcher may be idle; of a session that has ended nobody listens.
	time.AfterFunc(pause, s.wakeFetcher)
}

// waited ends a wait when the record that it was for has been read.
func (s *session) waited(u *unit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := u.p.wait; w != nil && u.next > w.position {
		u.p.wait = nil
	}
}
