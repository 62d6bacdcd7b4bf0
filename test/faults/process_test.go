// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package faults

import (
	"fmt"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/test/internal/rig"
)

func TestProjectorKilled(t *testing.T) {
	t.Parallel()
	p, feed := ledger(t, calm, 1, 3, 2)
	end := load(t, feed, 100, 20*time.Millisecond)
	for i := range 3 {
		proc := p.Start(t, launch(fmt.Sprintf("victim-%d", i)))
		advance(t, p, 500)
		proc.Kill()
	}
	p.Start(t, launch("last"))
	advance(t, p, 500)
	end()
	settle(t, p, feed)
}

// A projector that sleeps past its session wakes up, believes to own what others
// have moved on, and must change nothing.
func TestProjectorFrozenPastItsSession(t *testing.T) {
	t.Parallel()
	p, feed := ledger(t, calm, 2, 3, 2)
	end := load(t, feed, 200, 10*time.Millisecond)
	sleeper, other := p.Start(t, launch("sleeper")), p.Start(t, launch("other"))
	for range 2 {
		rig.Until(t, 60*time.Second, "the sleeper has partitions", func() string {
			for _, row := range p.Positions(t) {
				if row.Owner == "sleeper" {
					return ""
				}
			}
			return "none"
		})
		advance(t, p, 1000)
		sleeper.Freeze()
		rig.Until(t, 60*time.Second, "the other takes over", func() string {
			for at, row := range p.Positions(t) {
				if row.Owner == "sleeper" {
					return fmt.Sprintf("%s/%d is still the sleeper's", at.Topic, at.Partition)
				}
			}
			return ""
		})
		advance(t, p, 1000)
		sleeper.Resume()
	}
	other.AwaitStatus(t, 60*time.Second, "goes on", healthy)
	advance(t, p, 1000)
	end()
	settle(t, p, feed)
}

func TestDrainOnTerm(t *testing.T) {
	t.Parallel()
	p, feed := ledger(t, calm, 3, 3, 2)
	end := load(t, feed, 200, 10*time.Millisecond)
	for i := range 3 {
		proc := p.Start(t, rig.Launch{Owner: fmt.Sprintf("drained-%d", i)})
		advance(t, p, 1000)
		took, err := proc.Terminate(20 * time.Second)
		if err != nil {
			t.Fatalf("drain: %v", err)
		}
		if took > 10*time.Second {
			t.Errorf("the drain took %v", took)
		}
	}
	end()
	// A member that left properly is not waited for: with the usual session of ten seconds the next one goes on at once.
	p.Start(t, rig.Launch{Owner: "last"})
	settle(t, p, feed)
}

func TestReplicasOneThreeOneUnderLoad(t *testing.T) {
	t.Parallel()
	p, feed := ledger(t, calm, 4, 6, 3)
	end := load(t, feed, 200, 10*time.Millisecond)
	procs := []*rig.Process{p.Start(t, launch("replica-0"))}
	advance(t, p, 1000)
	for i := range 2 {
		procs = append(procs, p.Start(t, launch(fmt.Sprintf("replica-%d", i+1))))
	}
	for _, proc := range procs {
		proc.AwaitStatus(t, 60*time.Second, "has its third", func(st contract.ProjectorStatus) string {
			if len(st.Partitions) != 3 {
				return fmt.Sprintf("%d partitions", len(st.Partitions))
			}
			return healthy(st)
		})
	}
	advance(t, p, 1000)
	for _, proc := range procs[:2] {
		if _, err := proc.Terminate(20 * time.Second); err != nil {
			t.Error(err)
		}
	}
	procs[2].AwaitStatus(t, 60*time.Second, "has everything", func(st contract.ProjectorStatus) string {
		if len(st.Partitions) != 9 {
			return fmt.Sprintf("%d partitions", len(st.Partitions))
		}
		return healthy(st)
	})
	advance(t, p, 1000)
	end()
	settle(t, p, feed)
}
