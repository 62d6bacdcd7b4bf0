// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package model

import "fmt"

// The model of a change of topics: revision 0 reads topics A and C, revision 1
// reads A and B. What both read is compared as in promotion; what only one of them reads
// cannot be. The spec may be put back once while revision 1 is built or a Job
// is under way, and asked for again. A reader has prepared a statement on the view.

// Invariants of a change of topics.
const (
	ShowsNew  = "a switch shows of a topic that is new to readers at least what it had when the revision was prepared"
	ViewStays = "no reader's view goes away under it"
)

// The topics.
const (
	inBoth    = iota // A
	inNew            // B
	inOld            // C
	topicsAll        // how many there are
)

var topicEvents = [topicsAll]uint8{1, 2, 1}

type topicsState struct {
	log      [topicsAll]uint8
	next     [2][topicsAll]uint8 // of either revision
	view     uint8
	wanted   bool  // by the spec
	putBack  bool  // it was not, for a while
	there    bool  // revision 1 is prepared
	origin   uint8 // the end of B when it was
	reached  bool  // the operator has seen it at the end of B
	asked    bool  // the Job is under way
	tooLess  bool  // readers were shown less of B than was there
	viewGone bool
}

// NewTopics is the system of a change of topics under some guards.
func NewTopics(g Guards) System[topicsState] {
	return System[topicsState]{
		Name: "topics", Init: topicsState{wanted: true},
		Next: func(s topicsState, steps *Steps[topicsState]) {
			topicsWorld(s, steps)
			topicsOperator(g, s, steps)
			topicsJob(g, s, steps)
		},
		Invariants: []Invariant[topicsState]{
			{ShowsNew, func(_, s topicsState) bool { return s.tooLess }},
			{ViewStays, func(_, s topicsState) bool { return s.viewGone }},
			{NeverBack, func(from, to topicsState) bool {
				return to.next[to.view][inBoth] < from.next[from.view][inBoth]
			}},
		},
		Done: func(s topicsState) bool { return s.view == 1 },
		Show: showTopics,
	}
}

// topicsWorld is the producers and the projectors.
func topicsWorld(s topicsState, steps *Steps[topicsState]) {
	for topic, n := range s.log {
		if n < topicEvents[topic] {
			t := s
			t.log[topic]++
			steps.To(t, "an event is sent to topic %c", name(topic))
		}
		for r := range s.next {
			reads := r == 0 && topic != inNew || r == 1 && topic != inOld && s.there
			if reads && s.next[r][topic] < n {
				t := s
				t.next[r][topic]++
				steps.To(t, "r%d applies e%d of topic %c", r, int(s.next[r][topic]), name(topic))
			}
		}
	}
}

func topicsOperator(g Guards, s topicsState, steps *Steps[topicsState]) {
	if s.view == 1 {
		return
	}
	t := s
	switch {
	case s.wanted && !s.there:
		t.there, t.origin = true, s.log[inNew]
		steps.To(t, "r1 is prepared, with %d events in topic B", int(t.origin))
	case s.wanted && !s.reached && s.next[1][inNew] == s.log[inNew]:
		t.reached = true
		steps.To(t, "the operator sees r1 at the end of topic B")
	}
	if s.wanted && s.there && !s.asked && (s.reached || !g.NewTopicsReachEnd) {
		t = s
		t.asked = true
		steps.To(t, "a Job is asked to promote r1")
	}
	switch t = s; {
	case s.wanted && !s.putBack:
		t.wanted, t.putBack = false, true
		steps.To(t, "the spec is put back")
	case !s.wanted:
		t.wanted = true
		steps.To(t, "the spec asks for r1 again")
	}
	if !s.wanted && s.there && (!s.asked || !g.PromotingStays) {
		t = s
		t.there, t.reached, t.origin, t.next[1] = false, false, 0, [topicsAll]uint8{}
		steps.To(t, "r1 is dropped")
	}
}

func topicsJob(g Guards, s topicsState, steps *Steps[topicsState]) {
	if !s.asked {
		return
	}
	t := s
	t.asked = false
	switch {
	case !s.there:
		steps.To(t, "the Job finds no r1, and does nothing")
	case s.next[1][inBoth] < s.next[0][inBoth], !g.RemovedIsConsent:
		// It tries again. Without a row r1 is behind in topic C for ever.
	default:
		t.view = 1
		t.tooLess = s.next[1][inNew] < s.origin
		t.viewGone = !g.ViewsReplaced
		steps.To(t, "the Job moves readers to r1")
	}
}

func showTopics(s topicsState) string {
	text := fmt.Sprintf("readers see r%d; ends A %d, B %d, C %d; r0 at A %d, C %d", s.view,
		s.log[inBoth], s.log[inNew], s.log[inOld], s.next[0][inBoth], s.next[0][inOld])
	if s.there {
		text += fmt.Sprintf("; r1 at A %d, B %d", s.next[1][inBoth], s.next[1][inNew])
	}
	return text
}
