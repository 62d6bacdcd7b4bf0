// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package controllers_test

import (
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/controllers/progress"
)

// TestLostSwitch: a failover of the database loses a switch that was told. Nobody asks for anything, and projectors see what
// readers see: the status follows, and the switch is made again.
func TestLostSwitch(t *testing.T) {
	w := newWorld(t)
	// The API server's clock, by which Jobs are made, is the real one: by it each has ended before the next is made.
	w.now = w.now.Add(-time.Hour)
	a := w.running().Status.ActiveRevision
	w.fold("event.amount * 2")
	w.settle()
	b := w.projection().Status.ActiveRevision
	facts := w.book["totals"]
	if b == a || facts.Active != b || facts.Sequence != 2 {
		t.Fatalf("readers see %s at %d, and saw %s before", facts.Active, facts.Sequence, a)
	}
	answer := w.results
	told := 0
	w.results = func(q contract.Request) *contract.Result {
		if q.Action == contract.ActionPrepare {
			told++
		}
		return answer(q)
	}
	good := w.poller.answer
	w.poller.answer = func(target progress.Target) (*contract.ProjectorStatus, error) {
		s, err := good(target)
		if err == nil {
			s.Shown = &contract.Shown{Revision: facts.Active, Sequence: facts.Sequence, At: w.now.Add(2 * time.Minute)}
		}
		return s, err
	}
	w.settle()
	if told != 0 {
		t.Errorf("%d Jobs were asked what projectors say already", told)
	}
	facts.Active, facts.Sequence = a, 1
	facts.Find(a).LeftAt, facts.Find(b).PromotedAt = time.Time{}, time.Time{}
	time.Sleep(time.Second) // The API server's times are in seconds: the next Job is made in a later one than the promote.
	w.pass()                // It hears of it, and the next one acts.
	w.settle()
	p := w.projection()
	if told == 0 || facts.Active != b || facts.Sequence != 2 || p.Status.ActiveRevision != b {
		t.Errorf("%d prepares, readers see %s at %d, the status says %s; want %s at 2", told, facts.Active, facts.Sequence, p.Status.ActiveRevision, b)
	}
}
