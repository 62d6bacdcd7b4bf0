// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build bench

package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/test/internal/rig"
)

const topic, partitions = "orders", 8

// operatorsLimit is what the operator gives the Go runtime of a projector whose
// resources the user leaves alone: nine tenths of 512 MiB.
const operatorsLimit = "460MiB"

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

// orderSummary is a projection as people write them: a few columns of several
// types, a condition by event type, and a secondary index.
func orderSummary() rig.Spec {
	zero, money := "0", "0.00"
	return rig.Spec{
		Topics:     []contract.Topic{{Name: topic, KeyedBy: "event.orderId", EventType: "event.type", EventTime: "timestamp(event.at)"}},
		Partitions: map[string]int32{topic: partitions},
		Models: []contract.Model{{
			Name: "order_summary", Key: []string{"order_id"},
			Columns: []contract.Column{
				{Name: "order_id", Type: "text"},
				{Name: "customer_id", Type: "text"},
				{Name: "total", Type: "decimal(12,2)", Default: &money},
				{Name: "lines", Type: "int32", Default: &zero},
				{Name: "last_at", Type: "timestamp"},
			},
			Indexes: []contract.Index{{Columns: []string{"customer_id"}}},
			Handlers: []contract.Handler{{
				Name: "line", Topic: topic, Events: []string{"LineAdded"}, OnAbsent: "Create", Key: map[string]string{"order_id": "event.orderId"},
				Set: map[string]string{"customer_id": "event.customerId"}, Max: map[string]string{"last_at": "meta.time"},
				Add: map[string]string{"lines": "1", "total": "event.price*event.quantity"},
			}},
		}},
	}
}

func order(p *rig.Projection, id string, customer, quantity, cents int, at time.Time) *kgo.Record {
	return &kgo.Record{
		Topic: p.BrokerTopic(topic), Key: []byte(id),
		Value: fmt.Appendf(nil, `{"type":"LineAdded","orderId":"%s","customerId":"c%05d","sku":"sku-%06d","quantity":%d,"price":%d.%02d,"at":"%s"}`,
			id, customer, customer*7, quantity, cents/100, cents%100, at.UTC().Format("2006-01-02T15:04:05.000Z")),
	}
}

// figures are lines of the table.
type figures [][2]string

func (f *figures) add(what, format string, args ...any) {
	*f = append(*f, [2]string{what, fmt.Sprintf(format, args...)})
}

// realParts is the broker and the database of the benches, and the memory limit that the operator gives a projector.
func realParts(t *testing.T) *rig.Rig {
	t.Helper()
	if os.Getenv("GOMEMLIMIT") == "" {
		t.Setenv("GOMEMLIMIT", operatorsLimit)
	}
	broker, err := rig.StartPart("kafka", rig.Instance("bench"))
	if err != nil {
		t.Fatal(err)
	}
	database, err := rig.StartPart("postgres", rig.Instance("bench"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := rig.New(broker, database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func TestBench(t *testing.T) {
	r := realParts(t)
	b := &bench{t: t, p: r.NewProjection(t, orderSummary()), events: number(t, "BENCH_EVENTS", 1_000_000), keys: number(t, "BENCH_KEYS", 100_000)}
	b.p.Prepare(t)
	b.fill()
	b.warm()
	b.backlog()
	b.latency(number(t, "BENCH_RATE", 1000), number(t, "BENCH_SECONDS", 30))
	b.idle()
	b.print()
}

type bench struct {
	t            *testing.T
	p            *rig.Projection
	proc         *rig.Process
	events, keys int
	cents        int64 // total of all orders
	bytes        int64
	out          figures
}

// fill produces the backlog.
func (b *bench) fill() {
	rng := rand.New(rand.NewPCG(1, 2))
	begin := time.Now()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for made := 0; made < b.events; {
		var records []*kgo.Record
		for ; len(records) < 20_000 && made < b.events; made++ {
			k, quantity, cents := rng.IntN(b.keys), 1+rng.IntN(9), rng.IntN(20_000)
			b.cents += int64(quantity * cents)
			rec := order(b.p, fmt.Sprintf("o%07d", k), k%5000, quantity, cents, at.Add(time.Duration(made)*time.Millisecond))
			b.bytes += int64(len(rec.Value))
			records = append(records, rec)
		}
		b.p.Kafka.Produce(b.t, records...)
	}
	b.t.Logf("%d events produced in %v", b.events, time.Since(begin).Round(time.Millisecond))
}

// warm lets the broker make what it makes for the first consumer group of its life.
func (b *bench) warm() {
	k, err := b.p.Kafka.Dial(kgo.ConsumerGroup(b.p.ID+"-warm"), kgo.ConsumeTopics(b.p.BrokerTopic(topic)))
	if err != nil {
		b.t.Fatal(err)
	}
	defer k.Close()
	k.PollFetches(b.t.Context())
}

// backlog starts the projector and lets it catch up.
func (b *bench) backlog() {
	t := b.t
	l := rig.Launch{Owner: "bench"}
	if file := os.Getenv("BENCH_PROFILE"); file != "" {
		l.Args = []string{"--cpu-profile", file}
	}
	begin := time.Now()
	b.proc = b.p.Start(t, l)
	view := pgx.Identifier{b.p.ID, "order_summary"}.Sanitize()
	answers := since(t, begin, "the projector answers", func() bool { _, err := b.proc.Get("/healthz"); return err == nil })
	first := since(t, begin, "the first row", func() bool {
		var there bool
		err := b.p.Pool.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM "+view+")").Scan(&there)
		return err == nil && there
	})
	b.p.AwaitEnds(t, 10*time.Minute)
	all := time.Since(begin)
	var lines, cents int64
	var rows int
	if err := b.p.Pool.QueryRow(t.Context(), "SELECT count(*), sum(lines), (sum(total)*100)::bigint FROM "+view).Scan(&rows, &lines, &cents); err != nil {
		t.Fatal(err)
	}
	if lines != int64(b.events) || cents != b.cents {
		t.Fatalf("%d lines and %d cents in the table, want %d and %d", lines, cents, b.events, b.cents)
	}
	b.out.add("Start of the process to its first answer", "%d ms", answers.Milliseconds())
	b.out.add("Start of the process to the first row", "%d ms", first.Milliseconds())
	b.out.add(fmt.Sprintf("Backlog of %d events (%d MB of JSON) into %d rows with one more index", b.events, b.bytes>>20, rows),
		"**%.0f events/s** (%.1f s from the start of the process, %.0f commits)", float64(b.events)/all.Seconds(), all.Seconds(),
		b.proc.Metric("projectionist_commits_total"))
	b.out.add("CPU time of the projector for it", "%.1f s: %.1f µs per event", b.cpu(), b.cpu()*1e6/float64(b.events))
	b.out.add("Resident memory at its peak, GOMEMLIMIT "+os.Getenv("GOMEMLIMIT"), "%.0f MiB", b.memory("VmHWM"))
}

// since polls without a pause that would show in the figure.
func since(t *testing.T, begin time.Time, what string, ok func() bool) time.Duration {
	t.Helper()
	for !ok() {
		if time.Since(begin) > time.Minute {
			t.Fatalf("%s: not within a minute", what)
		}
		time.Sleep(time.Millisecond)
	}
	return time.Since(begin)
}

// latency produces at a steady rate and asks all the time for the rows that are
// not there yet.
func (b *bench) latency(rate, seconds int) {
	at := b.visible("l", rate, seconds)
	b.out.add(fmt.Sprintf("Produce to visible row at %d events/s for %d s", rate, seconds),
		"p50 **%.1f ms**, p99 **%.1f ms**, p99.9 %.1f ms", at(0.5), at(0.99), at(0.999))
}

// visible gives quantiles, in milliseconds, of the time from the producer to the visible row, for rows of their own with
// this prefix.
func (b *bench) visible(prefix string, rate, seconds int) (quantile func(float64) float64) {
	t := b.t
	k, err := b.p.Kafka.Dial(kgo.ProducerLinger(0))
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	type sent struct {
		id string
		at time.Time
	}
	total := rate * seconds
	sends := make(chan sent, total)
	go func() {
		defer close(sends)
		begin := time.Now()
		for i := range total {
			time.Sleep(time.Until(begin.Add(time.Duration(i) * time.Second / time.Duration(rate))))
			s := sent{id: fmt.Sprintf("%s%07d", prefix, i), at: time.Now()}
			k.Produce(context.Background(), order(b.p, s.id, i%5000, 1, 100, s.at), func(_ *kgo.Record, err error) {
				if err != nil {
					t.Errorf("produce: %v", err)
				}
			})
			sends <- s
		}
	}()
	waiting := map[string]time.Time{}
	var took []time.Duration
	sql := "SELECT order_id FROM " + pgx.Identifier{b.p.ID, "order_summary"}.Sanitize() + " WHERE order_id = ANY($1)"
	open := true
	for end := time.Now().Add(time.Duration(seconds+60) * time.Second); open || len(waiting) > 0; {
		if time.Now().After(end) {
			t.Fatalf("%d rows have not come", len(waiting))
		}
	drain:
		for open {
			select {
			case s, ok := <-sends:
				if !ok {
					open = false
				} else {
					waiting[s.id] = s.at
				}
			default:
				break drain
			}
		}
		ids := make([]string, 0, len(waiting))
		for id := range waiting {
			ids = append(ids, id)
		}
		rows, err := b.p.Pool.Query(t.Context(), sql, ids)
		if err != nil {
			t.Fatal(err)
		}
		seen, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		for _, id := range seen {
			took = append(took, now.Sub(waiting[id]))
			delete(waiting, id)
		}
		time.Sleep(time.Millisecond)
	}
	slices.Sort(took)
	return func(q float64) float64 {
		return float64(took[min(len(took)-1, int(q*float64(len(took))))].Microseconds()) / 1000
	}
}

// idle measures memory after a while without events, when the runtime has given back what it can.
func (b *bench) idle() {
	time.Sleep(20 * time.Second)
	b.out.add("Resident memory 20 s after the last event", "%.0f MiB", b.memory("VmRSS"))
	before := b.cpu()
	time.Sleep(10 * time.Second)
	b.out.add("CPU when caught up", "%.1f %% of a core", (b.cpu()-before)*10)
	if _, err := b.proc.Terminate(20 * time.Second); err != nil {
		b.t.Error(err)
	}
}

// memory reads a field of /proc/PID/status in MiB.
func (b *bench) memory(field string) float64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.proc.Pid()))
	if err != nil {
		b.t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			kb, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb / 1024
		}
	}
	b.t.Fatalf("no %s in /proc", field)
	return 0
}

// cpu is the processor time that the projector has used, in seconds.
func (b *bench) cpu() float64 { return b.proc.Metric("process_cpu_seconds_total") }

func (b *bench) print() {
	model := "unknown processor"
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(data)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	memory := ""
	if out, err := exec.Command("sh", "-c", "awk '/MemTotal/ {printf \"%d GiB\", $2/1048576}' /proc/meminfo").Output(); err == nil {
		memory = string(out)
	}
	var version string
	_ = b.p.Pool.QueryRow(context.Background(), "SHOW server_version").Scan(&version)
	fmt.Printf("\nOne projector, Kafka, PostgreSQL %s and the producer share %d cores of %s, %s; fsync and synchronous_commit are on.\n\n",
		strings.Fields(version + " ?")[0], runtime.NumCPU(), model, memory)
	fmt.Println("| What | Figure |\n| --- | --- |")
	for _, f := range b.out {
		fmt.Printf("| %s | %s |\n", f[0], f[1])
	}
	fmt.Println()
}
