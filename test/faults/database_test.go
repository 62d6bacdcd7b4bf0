// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package faults

import (
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
)

// downFor is how long the database stays away.
const downFor = 20 * time.Second

// One after the other: both stop the same server.
func TestDatabaseStops(t *testing.T) {
	t.Parallel()
	t.Run("Down", testDatabaseDown)
	t.Run("InCommit", testDatabaseStoppedInCommit)
}

func testDatabaseDown(t *testing.T) {
	p, feed := ledger(t, fragile, 5, 3, 2)
	proc := p.Start(t, launch("patient"))
	end := load(t, feed, 100, 50*time.Millisecond)
	advance(t, p, 500)
	if err := p.Database.Crash(); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	st := proc.AwaitStatus(t, 15*time.Second, "says that the store is away", func(st contract.ProjectorStatus) string {
		if st.Store.OK || st.Store.Reason != "Unreachable" || st.Store.Message == "" {
			return "does not say so"
		}
		return ""
	})
	t.Logf("%s: %s", st.Store.Reason, st.Store.Message)
	// Waiting is what the test is about: nothing may give up meanwhile.
	time.Sleep(downFor - time.Since(begin))
	if err := proc.Unexpected(); err != nil {
		t.Fatal(err)
	}
	st, err := proc.Status()
	if err != nil || st.Store.OK {
		t.Errorf("after %v without a database: %+v, %v", downFor, st.Store, err)
	}
	for _, part := range st.Partitions {
		if part.Stopped != nil {
			t.Errorf("%s/%d was stopped by a fault of its surroundings: %+v", part.Topic, part.Partition, part.Stopped)
		}
	}
	if err := p.Database.Up(); err != nil {
		t.Fatal(err)
	}
	proc.AwaitStatus(t, 30*time.Second, "recovers", healthy)
	advance(t, p, 500)
	end()
	settle(t, p, feed)
}

func testDatabaseStoppedInCommit(t *testing.T) {
	p, feed := ledger(t, fragile, 6, 3, 2)
	proc := p.Start(t, launch("patient"))
	end := load(t, feed, 300, 10*time.Millisecond)
	for range 3 {
		advance(t, p, 500)
		open := p.AwaitActive(t)
		if err := p.Database.Crash(); err != nil {
			t.Fatal(err)
		}
		t.Logf("stopped with %d open transactions of the projector", open)
		if err := p.Database.Up(); err != nil {
			t.Fatal(err)
		}
	}
	proc.AwaitStatus(t, 30*time.Second, "recovers", healthy)
	advance(t, p, 500)
	end()
	settle(t, p, feed)
}
