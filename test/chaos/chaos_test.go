// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package chaos

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/test/internal/rig"
)

// sessionTimeout is short, so that most of a run is work and not waiting for the dead.
const sessionTimeout = 3 * time.Second

// size is how large a run is.
type size struct {
	kills, zombies, database, broker int
	events, projectors               int
	seed                             uint64
}

func (s size) faults() int { return s.kills + s.zombies + s.database + s.broker }

func sizeOf(t *testing.T) size {
	return size{
		kills: number(t, "CHAOS_KILLS", 6), zombies: number(t, "CHAOS_ZOMBIES", 2),
		database: number(t, "CHAOS_DATABASE", 2), broker: number(t, "CHAOS_BROKER", 2),
		events: number(t, "CHAOS_EVENTS", 60_000), projectors: number(t, "CHAOS_PROJECTORS", 3),
		seed: uint64(number(t, "CHAOS_SEED", int(time.Now().UnixNano()&0xffffff))),
	}
}

func number(t *testing.T, name string, usual int) int {
	text := os.Getenv(name)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// fault is a kind of fault.
type fault string

const (
	kill     fault = "SIGKILL of a projector"
	zombie   fault = "zombie (SIGSTOP past its session, SIGCONT)"
	database fault = "immediate stop of PostgreSQL"
	broker   fault = "restart of the broker"
)

// run is a run in progress.
type chaosRun struct {
	t    *testing.T
	size size
	rng  *rand.Rand
	p    *rig.Projection
	feed *rig.Feed

	procs   []*rig.Process
	started int

	// done counts faults, for the feeder's share.
	mu      sync.Mutex
	done    int
	stopped bool
	fed     int
	feeder  sync.WaitGroup
	feedErr error

	last    map[rig.At]rig.PositionRow
	counts  map[fault]int
	ignored int
}

func TestChaos(t *testing.T) {
	s := sizeOf(t)
	begin := time.Now()
	t.Logf("seed %d: %d faults (%d SIGKILL, %d zombies, %d of PostgreSQL, %d of the broker) over at least %d events, %d projectors",
		s.seed, s.faults(), s.kills, s.zombies, s.database, s.broker, s.events, s.projectors)
	r := &chaosRun{t: t, size: s, rng: rand.New(rand.NewPCG(s.seed, 0xc4a05)), counts: map[fault]int{}}
	r.p = parts.NewProjection(t, rig.LedgerSpec(6, 3))
	r.p.Prepare(t)
	r.p.Audit(t)
	r.feed = r.p.NewFeed(s.seed, max(1000, s.events/100), 40)
	for range s.projectors {
		r.procs = append(r.procs, r.start())
	}
	r.feeder.Go(r.feedAll)
	r.last = r.p.Positions(t)
	for i, f := range r.plan() {
		r.awaitProgress()
		// Where in its work the victim is hit is a matter of luck, and shall be.
		time.Sleep(time.Duration(r.rng.IntN(200)) * time.Millisecond)
		at := time.Since(begin).Round(100 * time.Millisecond)
		what := r.inject(f)
		r.counts[f]++
		t.Logf("%6s fault %d of %d: %s: %s", at, i+1, s.faults(), f, what)
		r.mu.Lock()
		r.done++
		r.mu.Unlock()
	}
	r.mu.Lock()
	r.stopped = true
	r.mu.Unlock()
	r.feeder.Wait()
	if r.feedErr != nil {
		t.Fatalf("the run is void, events could not be produced: %v", r.feedErr)
	}
	r.p.AwaitEnds(t, 3*time.Minute)
	for _, proc := range r.procs {
		if took, err := proc.Terminate(15 * time.Second); err != nil {
			t.Errorf("drain of %s after %v: %v", proc.Owner, took, err)
		}
	}
	r.judge(begin)
}

// judge compares tables and moves with what they must be.
func (r *chaosRun) judge(begin time.Time) {
	t := r.t
	inLog := int64(0)
	for _, end := range r.p.Ends(t) {
		inLog += end
	}
	if inLog != r.feed.Made() || inLog < int64(r.size.events) {
		t.Fatalf("the run is void: %d events made, %d in the log, want at least %d", r.feed.Made(), inLog, r.size.events)
	}
	result := r.feed.Compare(t)
	audit := r.p.ReadAudit(t)
	audit.Reached(r.p.AuditEnds(t))
	if !result.OK() {
		t.Errorf("oracle: %s", result)
	}
	if !audit.OK() {
		t.Errorf("audit: %s", audit)
	}
	for f, want := range map[fault]int{kill: r.size.kills, zombie: r.size.zombies, database: r.size.database, broker: r.size.broker} {
		if r.counts[f] != want {
			t.Errorf("%s: %d counted, want %d", f, r.counts[f], want)
		}
	}
	fmt.Printf("chaos: seed %d, %d events in %v, %d projector processes\n", r.size.seed, inLog, time.Since(begin).Round(time.Second), r.started)
	fmt.Printf("chaos: %d SIGKILLs, %d zombies, %d stops of PostgreSQL, %d restarts of the broker (%d attempts did not count)\n",
		r.counts[kill], r.counts[zombie], r.counts[database], r.counts[broker], r.ignored)
	fmt.Printf("chaos: oracle: %s\n", result)
	fmt.Printf("chaos: audit: %s; %d times a partition was fenced\n", audit, r.fenced())
	if !t.Failed() {
		fmt.Println("chaos: 0 lost, 0 duplicated, 0 reordered")
	}
}

// fenced counts, in the logs of all processes, the partitions that a commit found
// to be another's: how often only the fence stood between a run and a duplicate.
func (r *chaosRun) fenced() (n int) {
	logs, err := filepath.Glob(filepath.Join(r.p.Dir, "*.log"))
	r.must(err)
	for _, path := range logs {
		data, err := os.ReadFile(path)
		r.must(err)
		n += strings.Count(string(data), "partition is claimed by another projector")
		if strings.Contains(string(data), "panic:") {
			r.t.Errorf("%s holds a panic", path)
		}
	}
	return n
}

// plan is the faults in the seed's order.
func (r *chaosRun) plan() []fault {
	var plan []fault
	for range r.size.kills {
		plan = append(plan, kill)
	}
	for range r.size.zombies {
		plan = append(plan, zombie)
	}
	for range r.size.database {
		plan = append(plan, database)
	}
	for range r.size.broker {
		plan = append(plan, broker)
	}
	r.rng.Shuffle(len(plan), func(i, j int) { plan[i], plan[j] = plan[j], plan[i] })
	return plan
}

func (r *chaosRun) start() *rig.Process {
	r.started++
	return r.p.Start(r.t, rig.Launch{Owner: fmt.Sprintf("projector-%d", r.started), Args: []string{"--session-timeout", sessionTimeout.String()}})
}

// feedAll keeps a backlog until the last fault, and in the end makes the rest.
// Each fault has its share of the events; more come when it takes its time.
func (r *chaosRun) feedAll() {
	share := r.size.events / r.size.faults()
	const chunk = 250
	for {
		r.mu.Lock()
		stopped, due, fed := r.stopped, (r.done+1)*share, r.fed
		r.mu.Unlock()
		if stopped && fed >= r.size.events {
			break
		}
		if !stopped && fed >= due {
			// Over its share: slowly, so that there is always something to do.
			time.Sleep(80 * time.Millisecond)
		}
		if err := r.feed.Push(chunk); err != nil {
			r.feedErr = err
			return
		}
		r.mu.Lock()
		r.fed += chunk
		r.mu.Unlock()
	}
}

// awaitProgress waits until positions have advanced since the last fault.
func (r *chaosRun) awaitProgress() {
	rig.Until(r.t, 90*time.Second, "progress after the last fault", func() string {
		r.checkAlive()
		now := r.p.Positions(r.t)
		moved := int64(0)
		for at, row := range now {
			moved += row.Next - r.last[at].Next
		}
		if moved < 100 {
			return fmt.Sprintf("positions moved by %d", moved)
		}
		return ""
	})
}

func (r *chaosRun) checkAlive() {
	for _, proc := range r.procs {
		if err := proc.Unexpected(); err != nil {
			r.t.Fatal(err)
		}
	}
}

// victim freezes a projector that holds a lagging partition, and gives these partitions.
func (r *chaosRun) victim() (int, map[rig.At]rig.PositionRow) {
	for range 2000 {
		i := r.rng.IntN(len(r.procs))
		proc := r.procs[i]
		st, err := proc.Status()
		if err != nil || rig.Lag(st) == 0 {
			r.checkAlive()
			time.Sleep(5 * time.Millisecond)
			continue
		}
		proc.Freeze()
		held := map[rig.At]rig.PositionRow{}
		rows, ends := r.p.Positions(r.t), r.p.Ends(r.t)
		for at, row := range rows {
			if row.Owner == proc.Owner && row.Next < ends[at] {
				held[at] = row
			}
		}
		if len(held) > 0 {
			return i, held
		}
		proc.Resume()
		r.ignored++
	}
	r.t.Fatal("no projector holds a lagging partition")
	return 0, nil
}

func (r *chaosRun) inject(f fault) string {
	switch f {
	case kill:
		i, held := r.victim()
		r.last = r.p.Positions(r.t)
		what := fmt.Sprintf("%s with %d lagging partitions", r.procs[i].Owner, len(held))
		r.procs[i].Kill()
		r.procs[i] = r.start()
		return what
	case zombie:
		i, held := r.victim()
		defer r.procs[i].Resume()
		rig.Until(r.t, 90*time.Second, "others take over what the frozen one held", func() string {
			for at, row := range r.p.Positions(r.t) {
				if before, mine := held[at]; mine && (row.Epoch == before.Epoch || row.Next == before.Next) {
					return fmt.Sprintf("%s/%d is at %d, epoch %d, owner %s", at.Topic, at.Partition, row.Next, row.Epoch, row.Owner)
				}
			}
			return ""
		})
		r.last = r.p.Positions(r.t)
		return fmt.Sprintf("%s with %d lagging partitions, all taken over and moved on", r.procs[i].Owner, len(held))
	case database:
		i, held := r.victim()
		r.procs[i].Resume()
		inCommit := r.p.AwaitActive(r.t)
		r.last = r.p.Positions(r.t)
		r.must(r.p.Database.Crash())
		time.Sleep(time.Duration(r.rng.IntN(1500)) * time.Millisecond)
		r.must(r.p.Database.Up())
		return fmt.Sprintf("%s held %d lagging partitions, %d transactions were open", r.procs[i].Owner, len(held), inCommit)
	case broker:
		i, held := r.victim()
		r.procs[i].Resume()
		r.last = r.p.Positions(r.t)
		how := "SIGKILL"
		if r.counts[broker]%2 == 0 {
			r.must(r.p.Broker.Crash())
			r.must(r.p.Broker.Up())
		} else {
			how = "clean"
			r.must(r.p.Broker.Restart())
		}
		return fmt.Sprintf("%s; %s held %d lagging partitions", how, r.procs[i].Owner, len(held))
	}
	panic(f)
}

func (r *chaosRun) must(err error) {
	if err != nil {
		r.t.Fatal(err)
	}
}
