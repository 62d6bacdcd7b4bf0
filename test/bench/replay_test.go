// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build bench

package bench

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/semaphore"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/compile"
	"github.com/projectionist-dev/projectionist/contract/jsondoc"
	"github.com/projectionist-dev/projectionist/projectors/codecs"
	"github.com/projectionist-dev/projectionist/projectors/connect"
	"github.com/projectionist-dev/projectionist/projectors/credentials"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/sources"
	"github.com/projectionist-dev/projectionist/projectors/sources/kafka"
	"github.com/projectionist-dev/projectionist/test/internal/rig"
)

// replaySpec has four columns and one secondary index.
func replaySpec() rig.Spec {
	s := orderSummary()
	m := &s.Models[0]
	m.Columns = m.Columns[:4]
	m.Handlers[0].Max = nil
	return s
}

// replay times rebuilds of one topic in turn with what a rebuild cannot do without.
type replay struct {
	*bench
	// rows is a file with the final rows, as COPY writes them.
	rows string
	took map[string][]time.Duration
	peak float64
	// cpuTime is that of all projectors of a kind, in seconds.
	cpuTime map[string]float64
}

// TestReplay: a revision is built in bulk, and live, beside the cost of reading
// the same log and of copying the final rows. The runs are interleaved, so that a
// machine that changes its speed changes it for all.
func TestReplay(t *testing.T) {
	r := realParts(t)
	b := &bench{t: t, p: r.NewProjection(t, replaySpec()), events: number(t, "BENCH_REPLAY_EVENTS", 2_000_000), keys: number(t, "BENCH_REPLAY_KEYS", 200_000)}
	x := &replay{bench: b, took: map[string][]time.Duration{}, cpuTime: map[string]float64{}}
	b.p.Prepare(t) // what readers see; the others are built beside it
	b.fill()
	b.warm()
	x.build("first", 0, &contract.Build{}) // for the final rows; it counts for nothing
	x.took = map[string][]time.Duration{}
	x.keepRows()
	for run := range number(t, "BENCH_REPLAY_RUNS", 5) {
		x.copyRows(run)
		x.readLog()
		x.build("bulk", run, &contract.Build{})
		x.build("live", run, &contract.Build{Mode: contract.BuildLive})
	}
	x.table()
}

func (x *replay) note(what string, d time.Duration) {
	x.t.Logf("%s: %v", what, d.Round(time.Millisecond))
	x.took[what] = append(x.took[what], d)
}

func (x *replay) exec(sql string) {
	x.t.Helper()
	if _, err := x.p.Pool.Exec(context.Background(), sql); err != nil {
		x.t.Fatalf("%s: %v", sql, err)
	}
}

// build times a rebuild from the start of the process to the commit of the last position.
func (x *replay) build(kind string, run int, how *contract.Build) {
	t := x.t
	compile.Rename(&x.p.Contract, fmt.Sprintf("%s-%d", kind, run))
	x.p.Contract.Build = how
	x.p.Prepare(t)
	ends := int64(x.events)
	x.exec("CHECKPOINT")
	positions := fmt.Sprintf("SELECT sum(next_position::bigint) FROM %s WHERE revision = '%s'",
		pgx.Identifier{x.p.Book(), "positions"}.Sanitize(), x.p.Contract.Revision)
	begin := time.Now()
	x.proc = x.p.Start(t, rig.Launch{Owner: kind, Args: []string{"--spill", t.TempDir()}})
	for {
		var at int64
		if err := x.p.Pool.QueryRow(t.Context(), positions).Scan(&at); err != nil {
			t.Fatal(err)
		}
		if at >= ends {
			break
		}
		if time.Since(begin) > 10*time.Minute {
			t.Fatalf("%s is at %d of %d", kind, at, ends)
		}
		time.Sleep(10 * time.Millisecond)
	}
	x.note(kind, time.Since(begin))
	if kind != "first" {
		x.cpuTime[kind] += x.cpu()
	}
	if kind == "bulk" {
		x.peak = max(x.peak, x.memory("VmHWM"))
		t.Logf("its log:\n%s", x.proc.Tail(4000))
	}
	if built := x.proc.Metric("projectionist_build_events_total") == float64(x.events); built != (kind != "live") {
		t.Fatalf("%s: built in bulk: %t", kind, built)
	}
	var rows, lines int
	var cents int64
	if err := x.p.Pool.QueryRow(t.Context(), "SELECT count(*), sum(lines), (sum(total)*100)::bigint FROM "+x.physical()).Scan(&rows, &lines, &cents); err != nil {
		t.Fatal(err)
	}
	if lines != x.events || cents != x.cents {
		t.Fatalf("%s: %d lines and %d cents in the table, want %d and %d", kind, lines, cents, x.events, x.cents)
	}
	if _, err := x.proc.Terminate(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	if kind != "first" {
		x.exec("TRUNCATE " + x.physical())
	}
}

func (x *replay) physical() string {
	return pgx.Identifier{x.p.ID, x.p.Contract.Physical("order_summary")}.Sanitize()
}

// psql runs commands of psql, each an argument of its own.
func (x *replay) psql(commands ...string) {
	x.t.Helper()
	args := []string{x.p.Database.Env("PG_URL_SUPERUSER"), "-X", "-q", "-v", "ON_ERROR_STOP=1"}
	for _, c := range commands {
		args = append(args, "-c", c)
	}
	if out, err := exec.Command("psql", args...).CombinedOutput(); err != nil {
		x.t.Fatalf("psql: %v\n%s", err, out)
	}
}

func (x *replay) keepRows() {
	x.rows = filepath.Join(x.t.TempDir(), "rows.tsv")
	x.psql("\\copy " + x.physical() + " to '" + x.rows + "'")
	x.exec("CREATE TABLE " + x.copied() + " (LIKE " + x.physical() + " INCLUDING DEFAULTS INCLUDING CONSTRAINTS) WITH (fillfactor = 85)")
}

func (x *replay) copied() string { return pgx.Identifier{x.p.ID, "copied"}.Sanitize() }

// copyRows is the one half: psql writes the final rows and the server makes key and index.
func (x *replay) copyRows(run int) {
	x.exec("TRUNCATE " + x.copied())
	x.exec("CHECKPOINT")
	begin := time.Now()
	x.psql("\\copy "+x.copied()+" from '"+x.rows+"'",
		fmt.Sprintf("ALTER TABLE %s ADD CONSTRAINT copied_key_%d PRIMARY KEY (order_id)", x.copied(), run),
		fmt.Sprintf("CREATE INDEX copied_customer_%d ON %s (customer_id)", run, x.copied()))
	x.note("copy", time.Since(begin))
	x.exec(fmt.Sprintf("ALTER TABLE %s DROP CONSTRAINT copied_key_%d", x.copied(), run))
	x.exec(fmt.Sprintf("DROP INDEX %s", pgx.Identifier{x.p.ID, fmt.Sprintf("copied_customer_%d", run)}.Sanitize()))
}

// readLog is the other half: the project's own fetch and its decoder, for the members that the handlers read, on all cores.
func (x *replay) readLog() {
	t := x.t
	cfg, err := connect.Kafka(credentials.Mounts{}, x.p.Contract.Broker, x.p.Contract.Topics, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	cfg.ClientID = "bench"
	begin := time.Now()
	log, err := kafka.NewLog(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close() //nolint:errcheck // it is over
	next := make([]int64, partitions)
	var total int64
	var mu sync.Mutex
	var workers sync.WaitGroup
	budget := semaphore.NewWeighted(32 << 20)
	channels := make([]chan *event.Batch, runtime.GOMAXPROCS(0))
	for i := range channels {
		channels[i] = make(chan *event.Batch, 64)
		workers.Go(func() {
			var members jsondoc.Paths
			for _, name := range []string{"orderId", "customerId", "type", "price", "quantity", "at"} {
				members.Add(name)
			}
			d, err := codecs.NewOf(&x.p.Contract.Topics[0], nil, &members)
			if err != nil {
				t.Error(err)
			}
			for b := range channels[i] {
				for r := range b.Records {
					if _, err := d.Decode(&b.Records[r]); err != nil {
						t.Error(err)
					}
				}
				mu.Lock()
				total += int64(len(b.Records))
				mu.Unlock()
				n := int64(b.Bytes)
				b.Release()
				budget.Release(n)
			}
		})
	}
	ends := x.p.Kafka.Ends(t, x.p.BrokerTopic(topic), partitions)
	for !slices.Equal(next, ends) {
		var ask []sources.Position
		for p := range next {
			if next[p] < ends[p] {
				ask = append(ask, sources.Position{TopicPartition: event.TopicPartition{Topic: topic, Partition: int32(p)}, Offset: next[p], LeaderEpoch: -1})
			}
		}
		results, err := log.Fetch(t.Context(), ask)
		if err != nil {
			t.Fatal(err)
		}
		for i := range results {
			b := results[i].Batch
			if results[i].Err != nil {
				t.Fatal(results[i].Err)
			}
			next[b.Partition] = b.Next
			if err := budget.Acquire(t.Context(), int64(b.Bytes)); err != nil {
				t.Fatal(err)
			}
			channels[int(b.Partition)%len(channels)] <- &b
		}
	}
	for _, ch := range channels {
		close(ch)
	}
	workers.Wait()
	if total != int64(x.events) {
		t.Fatalf("%d events were read", total)
	}
	x.note("read", time.Since(begin))
}

func (x *replay) table() {
	line := func(what, name string) time.Duration {
		d := slices.Sorted(slices.Values(x.took[name]))
		median := d[len(d)/2]
		x.out.add(what, "**%.2f s** (%.2f to %.2f): %.0f events/s", median.Seconds(), d[0].Seconds(), d[len(d)-1].Seconds(), float64(x.events)/median.Seconds())
		return median
	}
	a := line(fmt.Sprintf("(a) `psql \\copy` of the %d final rows, primary key and index", x.keys), "copy")
	b := line("(b) reading the topic with the project's fetch, and decoding it", "read")
	c := line("(c) the live path", "live")
	built := line("the bulk build, from the start of the process to its commit", "bulk")
	x.out.add("Speed of the build, (a) and (b) in sequence being 1 (target: at least 0.5)", "**%.2f**", (a+b).Seconds()/built.Seconds())
	x.out.add("Speed of the build, the live path being 1", "**%.1f**", c.Seconds()/built.Seconds())
	per := 1e6 / float64(x.events) / float64(len(x.took["bulk"]))
	x.out.add("CPU time of the projector per event: build, live path", "%.2f µs, %.2f µs", x.cpuTime["bulk"]*per, x.cpuTime["live"]*per)
	x.out.add("Resident memory of the build at its peak, GOMEMLIMIT "+os.Getenv("GOMEMLIMIT"), "%.0f MiB", x.peak)
	fmt.Printf("\nA replay of %d events (%d MB of JSON) into rows of four columns with one secondary index; median (least to greatest) of %d interleaved runs.\n",
		x.events, x.bytes>>20, len(x.took["bulk"]))
	x.print()
}
