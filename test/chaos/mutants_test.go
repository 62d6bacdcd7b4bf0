// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package chaos

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/test/internal/rig"
	"github.com/projectionist-dev/projectionist/test/oracle"
)

// The wrong commits that package failpoint can force.
const (
	noEpochToken    = "postgres/fence-no-epoch-token"
	noFence         = "postgres/fence-none"
	positionOutside = "postgres/position-outside-transaction"
	dieBetween      = "postgres/die-before-position=1"
)

const mutantEvents = 500

func mutantProjection(t *testing.T, seed uint64) (*rig.Projection, *rig.Feed) {
	t.Helper()
	spec := rig.LedgerSpec(2, 1)
	spec.Bin = rig.Binary(t, "failpoints")
	p := parts.NewProjection(t, spec)
	p.Prepare(t)
	p.Audit(t)
	return p, p.NewFeed(seed, 20, 5)
}

// startOwner starts a projector in a consumer group of its own, so that the
// broker takes nothing from it, and waits until all partitions are its.
func startOwner(t *testing.T, p *rig.Projection, owner, failpoints string) *rig.Process {
	t.Helper()
	proc := p.Start(t, rig.Launch{Owner: owner, Group: p.ID + "-" + owner, Failpoints: failpoints})
	rig.Until(t, 30*time.Second, owner+" claims everything", func() string {
		if err := proc.Unexpected(); err != nil {
			t.Fatal(err)
		}
		for at, row := range p.Positions(t) {
			if row.Owner != owner {
				return fmt.Sprintf("%s/%d belongs to %q", at.Topic, at.Partition, row.Owner)
			}
		}
		return ""
	})
	return proc
}

// staleClaim lets a projector whose claim has been taken by another, which is
// frozen before it commits anything, meet new events.
func staleClaim(t *testing.T, failpoints string) (p *rig.Projection, feed *rig.Feed, old, taker *rig.Process) {
	t.Helper()
	p, feed = mutantProjection(t, 101)
	old = startOwner(t, p, "old", failpoints)
	taker = startOwner(t, p, "taker", failpoints)
	taker.Freeze()
	feed.Produce(t, mutantEvents)
	return p, feed, old, taker
}

// Without epoch and token in the fence a stale claim commits. The rows are right
// by luck, since the expected position still held: only the audit sees it.
func TestMutantWithoutEpochAndToken(t *testing.T) {
	t.Parallel()
	p, feed, _, _ := staleClaim(t, noEpochToken)
	p.AwaitEnds(t, 30*time.Second)
	audit := p.ReadAudit(t)
	if audit.OK() || !strings.Contains(audit.String(), "the epoch of") {
		t.Errorf("the audit has not caught the mutant: %s", audit)
	}
	if r := feed.Compare(t); !r.OK() {
		t.Errorf("the rows were to be right by luck: %s", r)
	}
	t.Logf("caught by the audit: %s", audit)
}

// The right fence stops the same stale claim, and the other finishes.
func TestStaleClaimIsFenced(t *testing.T) {
	t.Parallel()
	p, feed, old, taker := staleClaim(t, "")
	rig.Until(t, 30*time.Second, "the stale claim is fenced", func() string {
		if old.Metric("projectionist_fenced_total") == 0 {
			return "not yet"
		}
		return ""
	})
	for at, row := range p.Positions(t) {
		if row.Owner != "taker" {
			t.Errorf("%s/%d was taken back at once by %s", at.Topic, at.Partition, row.Owner)
		}
	}
	taker.Resume()
	p.AwaitEnds(t, 60*time.Second)
	feed.Verify(t)
	if audit := p.ReadAudit(t); !audit.OK() {
		t.Error(audit)
	}
}

// twoOwners lets two projectors that both believe to own everything meet the
// same events.
func twoOwners(t *testing.T, failpoints string) (*rig.Projection, *rig.Feed, []*rig.Process) {
	t.Helper()
	p, feed := mutantProjection(t, 102)
	procs := []*rig.Process{startOwner(t, p, "one", failpoints), startOwner(t, p, "two", failpoints)}
	feed.Produce(t, mutantEvents)
	return p, feed, procs
}

// With neither epoch nor expected position in the fence both apply every event.
func TestMutantWithoutFence(t *testing.T) {
	t.Parallel()
	p, feed, procs := twoOwners(t, noFence)
	for _, proc := range procs {
		proc.AwaitStatus(t, 30*time.Second, "applies every event", func(st contract.ProjectorStatus) string {
			if st.EventsTotal < mutantEvents {
				return fmt.Sprintf("%d events", st.EventsTotal)
			}
			return ""
		})
	}
	r := feed.Compare(t)
	if r.OK() || r.Duplicated == 0 {
		t.Errorf("the oracle has not caught the mutant: %s", r)
	}
	t.Logf("caught by the oracle: %s", first(r))
	if audit := p.ReadAudit(t); audit.OK() {
		t.Errorf("the audit has not seen it either: %s", audit)
	}
}

// With the right fence one of the two applies them.
func TestTwoOwnersApplyOnce(t *testing.T) {
	t.Parallel()
	p, feed, _ := twoOwners(t, "")
	p.AwaitEnds(t, 60*time.Second)
	feed.Verify(t)
	if audit := p.ReadAudit(t); !audit.OK() {
		t.Error(audit)
	}
}

// With positions in a transaction of their own, a death between the two
// transactions applies a batch twice.
func TestMutantPositionOutsideTransaction(t *testing.T) {
	t.Parallel()
	p, feed := mutantProjection(t, 103)
	mutant := startOwner(t, p, "mutant", positionOutside+","+dieBetween)
	feed.Produce(t, mutantEvents)
	select {
	case <-mutant.Exited():
	case <-time.After(30 * time.Second):
		t.Fatal("the failpoint has not ended the process")
	}
	startOwner(t, p, "next", "")
	p.AwaitEnds(t, 30*time.Second)
	r := feed.Compare(t)
	if r.OK() || r.Duplicated == 0 {
		t.Errorf("the oracle has not caught the mutant: %s", r)
	}
	t.Logf("caught by the oracle: %s", first(r))
}

// first is a result with one difference only.
func first(r *oracle.Result) string {
	short := *r
	short.Diffs = short.Diffs[:min(1, len(short.Diffs))]
	return short.String()
}
