// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package faults

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/compile"
	"github.com/projectionist-dev/projectionist/test/internal/rig"
	"github.com/projectionist-dev/projectionist/test/oracle"
)

// rebuild is a revision beside one that was applied event by event.
type rebuild struct {
	*rig.Projection
	live contract.Contract
	// indexes are those of its tables as they were prepared.
	indexes string
	ends    map[rig.At]int64
}

// newRebuild applies a log to a first revision, and prepares a second one of the same data.
func newRebuild(t *testing.T, r *rig.Rig, seed uint64, tags ...string) (*rebuild, *rig.Feed) {
	t.Helper()
	spec := rig.LedgerSpec(3, 2)
	spec.Bin = rig.Binary(t, tags...)
	spec.Models[0].Indexes = []contract.Index{{Columns: []string{"last"}}}
	p := r.NewProjection(t, spec)
	p.Prepare(t)
	feed := p.NewFeed(seed, 2000, 50)
	feed.Produce(t, 20_000)
	first := p.Start(t, rig.Launch{Owner: "first"})
	p.AwaitEnds(t, 90*time.Second)
	if _, err := first.Terminate(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	b := &rebuild{Projection: p, live: p.Contract, ends: p.Ends(t)}
	compile.Rename(&p.Contract, "again")
	p.Prepare(t)
	b.indexes = b.text(t, "SELECT string_agg(indexdef, ';' ORDER BY indexname) FROM pg_indexes WHERE tablename LIKE '%' || $1", p.Contract.Revision)
	return b, feed
}

func (b *rebuild) text(t *testing.T, sql string, args ...any) string {
	t.Helper()
	return rig.Retry(t, sql, func(ctx context.Context) (s string, err error) {
		err = b.Pool.QueryRow(ctx, "SELECT coalesce((x.v)::text, 'NULL') FROM ("+sql+") AS x(v)", args...).Scan(&s)
		return s, err
	})
}

func (b *rebuild) table(c *contract.Contract, model string) string {
	return pgx.Identifier{b.ID, c.Physical(model)}.Sanitize()
}

// launch starts a projector that builds whatever there is, with hardly any memory.
func (b *rebuild) launch(t *testing.T, owner, failpoints string, args ...string) *rig.Process {
	t.Helper()
	return b.Start(t, rig.Launch{Owner: owner, Failpoints: failpoints, Args: append([]string{
		"--session-timeout", session.String(), "--build-min-events", "1", "--build-memory", "200000", "--spill", t.TempDir()}, args...)})
}

// position sums the positions of the revision.
func (b *rebuild) position(t *testing.T) string {
	t.Helper()
	return b.text(t, "SELECT sum(next_position::bigint) FROM "+pgx.Identifier{b.Book(), "positions"}.Sanitize()+" WHERE revision = $1", b.Contract.Revision)
}

// untouched fails unless the tables are as they were prepared.
func (b *rebuild) untouched(t *testing.T) {
	t.Helper()
	for _, m := range b.Contract.Models {
		if n := b.text(t, "SELECT count(*) FROM "+b.table(&b.Contract, m.Name)); n != "0" {
			t.Fatalf("%s rows in %s", n, m.Name)
		}
	}
	if at := b.position(t); at != "0" {
		t.Fatalf("positions are at %s", at)
	}
	b.indexed(t)
}

func (b *rebuild) indexed(t *testing.T) {
	t.Helper()
	if got := b.text(t, "SELECT string_agg(indexdef, ';' ORDER BY indexname) FROM pg_indexes WHERE tablename LIKE '%' || $1", b.Contract.Revision); got != b.indexes {
		t.Fatalf("indexes %s, prepared were %s", got, b.indexes)
	}
}

// same fails unless all rows are those of the revision that was applied event by event.
func (b *rebuild) same(t *testing.T) {
	t.Helper()
	var want int64
	for _, end := range b.ends {
		want += end
	}
	rig.Until(t, 90*time.Second, "the build", func() string {
		if at := b.position(t); at != fmt.Sprint(want) {
			return fmt.Sprintf("positions are at %s of %d", at, want)
		}
		return ""
	})
	for _, m := range b.Contract.Models {
		one, other := b.table(&b.live, m.Name), b.table(&b.Contract, m.Name)
		if n := b.text(t, "SELECT count(*) FROM ((TABLE "+one+" EXCEPT TABLE "+other+") UNION ALL (TABLE "+other+" EXCEPT TABLE "+one+")) d"); n != "0" {
			t.Errorf("%s rows of %s differ", n, m.Name)
		}
		if n := b.text(t, "SELECT count(*) FROM "+other); n == "0" {
			t.Errorf("no rows in %s", m.Name)
		}
	}
	b.indexed(t)
	times := "SELECT string_agg(event_time::text, ',' ORDER BY topic, partition) FROM " + pgx.Identifier{b.Book(), "positions"}.Sanitize() + " WHERE revision = $1"
	if got, live := b.text(t, times, b.Contract.Revision), b.text(t, times, b.live.Revision); got != live {
		t.Errorf("newest events %s, applied event by event %s", got, live)
	}
}

// A revision that is built in bulk has the rows of one that is applied event by event, and goes on as that does.
func TestBuildEqualsLive(t *testing.T) {
	t.Parallel()
	b, feed := newRebuild(t, calm, 21)
	procs := []*rig.Process{b.launch(t, "one", ""), b.launch(t, "two", "")}
	b.same(t)
	built := procs[0].Metric("projectionist_build_events_total") + procs[1].Metric("projectionist_build_events_total")
	if built != 20_000 {
		t.Errorf("%v events were folded by the two", built)
	}
	feed.Produce(t, 3000)
	b.Contract, b.live = b.live, b.Contract // the first one catches up, too
	b.Start(t, rig.Launch{Owner: "first-again"})
	b.Contract, b.live = b.live, b.Contract
	b.ends = b.Ends(t)
	var sum int64
	for _, end := range b.ends {
		sum += end
	}
	rig.Until(t, 90*time.Second, "the first revision", func() string {
		if at := b.text(t, "SELECT sum(next_position::bigint) FROM "+pgx.Identifier{b.Book(), "positions"}.Sanitize()+" WHERE revision = $1", b.live.Revision); at != fmt.Sprint(sum) {
			return at
		}
		return ""
	})
	b.same(t)
	for _, proc := range procs {
		proc.AwaitStatus(t, 60*time.Second, "follows", func(st contract.ProjectorStatus) string {
			if st.Build != nil {
				return "builds"
			}
			return healthy(st)
		})
	}
}

// Whenever the process dies, the revision is as it was prepared or all built, and the next process brings it to its end.
func TestBuildKilled(t *testing.T) {
	t.Parallel()
	for name, point := range map[string]string{
		"reading": "bulk/die-reading=3", "in copy": "postgres/build-die-in-copy=2", "before index": "postgres/build-die-before-index",
		"before commit": "postgres/build-die-before-commit", "after commit": "postgres/build-die-after-commit",
	} {
		t.Run(name, func(t *testing.T) {
			b, _ := newRebuild(t, calm, 22, "failpoints")
			victim := b.launch(t, "victim", point)
			select {
			case <-victim.Exited():
			case <-time.After(60 * time.Second):
				t.Fatalf("it does not die at %s", point)
			}
			victim.Kill()
			if name != "after commit" {
				b.untouched(t)
			}
			next := b.launch(t, "next", "")
			b.same(t)
			if again := next.Metric("projectionist_build_events_total") > 0; again != (name != "after commit") {
				t.Errorf("it is built once more: %t", again)
			}
		})
	}
}

// The database that crashes during a build costs no more than time, and the process that builds keeps what it has read.
func TestBuildDatabaseCrashes(t *testing.T) {
	b, _ := newRebuild(t, fragile, 23)
	b.Contract.Build = &contract.Build{MaxEventsPerSecond: 1000}
	proc := b.launch(t, "builder", "")
	reads := func(n int64) {
		proc.AwaitStatus(t, 60*time.Second, "reads", func(st contract.ProjectorStatus) string {
			if st.Build == nil || st.Build.Phase != contract.BuildReading || st.Build.Events < n {
				return "not yet"
			}
			if len(st.Partitions) != 5 || rig.Lag(st) != st.Build.Of || st.Partitions[0].CaughtUp {
				return "its lag is not what is missing in the tables"
			}
			return ""
		})
	}
	reads(1000)
	if err := fragile.Database.Crash(); err != nil {
		t.Fatal(err)
	}
	if err := fragile.Database.Up(); err != nil {
		t.Fatal(err)
	}
	b.untouched(t)
	b.same(t)
	if n := proc.Metric("projectionist_build_events_total"); n != 20_000 {
		t.Errorf("%v events were folded: what was read before the crash was thrown away", n)
	}
}

// An event that no row can take stops its partition with its reason, as it does event by event.
func TestBuildLeavesPoisonToTheEngine(t *testing.T) {
	t.Parallel()
	b, _ := newRebuild(t, calm, 24)
	b.Kafka.Produce(t, b.Record(oracle.Event{Topic: oracle.Orders, Key: "bad", Value: []byte(`{"type": "line", "id": "bad"}`)}))
	proc := b.launch(t, "builder", "")
	proc.AwaitStatus(t, 60*time.Second, "stops", func(st contract.ProjectorStatus) string {
		for _, p := range st.Partitions {
			if p.Stopped != nil && p.Stopped.Reason == "HandlerError" && len(st.Partitions) == 5 {
				return ""
			}
		}
		return "no partition is stopped"
	})
	if n := proc.Metric("projectionist_builds_total"); n != 1 {
		t.Errorf("%v decisions", n)
	}
}
