// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package faults

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/test/internal/rig"
)

// calm has a database that nobody stops, fragile one that tests stop. Both have
// the same broker.
var calm, fragile *rig.Rig

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	defer rig.RemoveBinaries()
	var parts []*rig.Part
	defer func() {
		for _, p := range parts {
			if err := p.Down(); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}
	}()
	for _, which := range [][2]string{{"kafka", "faults"}, {"postgres", "faults"}, {"postgres", "fragile"}} {
		p, err := rig.StartPart(which[0], rig.Instance(which[1]))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		parts = append(parts, p)
	}
	var err error
	if calm, err = rig.New(parts[0], parts[1]); err == nil {
		fragile, err = rig.New(parts[0], parts[2])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer calm.Close()
	defer fragile.Close()
	return m.Run()
}

// session is the session timeout of projectors whose death or sleep must be noticed.
const session = 3 * time.Second

func launch(owner string) rig.Launch {
	return rig.Launch{Owner: owner, Args: []string{"--session-timeout", session.String()}}
}

// ledger is a prepared projection of the oracle's events with an audit, and its feed.
func ledger(t *testing.T, r *rig.Rig, seed uint64, orders, payments int32) (*rig.Projection, *rig.Feed) {
	t.Helper()
	p := r.NewProjection(t, rig.LedgerSpec(orders, payments))
	p.Prepare(t)
	p.Audit(t)
	return p, p.NewFeed(seed, 300, 20)
}

// load produces chunks of events in the background until it is told to end.
func load(t *testing.T, feed *rig.Feed, chunk int, every time.Duration) (end func()) {
	t.Helper()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var err error
	wg.Go(func() {
		for err == nil {
			select {
			case <-stop:
				return
			case <-time.After(every):
				err = feed.Push(chunk)
			}
		}
	})
	var once sync.Once
	end = func() {
		once.Do(func() {
			close(stop)
			wg.Wait()
			if err != nil {
				t.Errorf("load: %v", err)
			}
		})
	}
	t.Cleanup(end)
	return end
}

// settle waits for the end of the log and compares everything.
func settle(t *testing.T, p *rig.Projection, feed *rig.Feed) {
	t.Helper()
	p.AwaitEnds(t, 90*time.Second)
	feed.Verify(t)
	audit := p.ReadAudit(t)
	audit.Reached(p.AuditEnds(t))
	if !audit.OK() {
		t.Error(audit)
	}
}

// advance waits until at least n positions have been committed from now on.
func advance(t *testing.T, p *rig.Projection, n int64) {
	t.Helper()
	begin := sum(p.Positions(t))
	rig.Until(t, 60*time.Second, "progress", func() string {
		if now := sum(p.Positions(t)); now-begin < n {
			return fmt.Sprintf("moved by %d, want %d", now-begin, n)
		}
		return ""
	})
}

func sum(rows map[rig.At]rig.PositionRow) (n int64) {
	for _, r := range rows {
		n += r.Next
	}
	return n
}

// healthy is a condition of AwaitStatus.
func healthy(st contract.ProjectorStatus) string {
	if !st.Source.OK || !st.Store.OK || len(st.Partitions) == 0 {
		return "not healthy"
	}
	return ""
}

// stopped gives the stop of a partition, nil while it goes on.
func stopped(st contract.ProjectorStatus, topic string, partition int32) *contract.Stop {
	for _, p := range st.Partitions {
		if p.Topic == topic && p.Partition == partition {
			return p.Stopped
		}
	}
	return nil
}
