// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"
)

// The events of a stream are a function of partition and offset alone, and so is every row of the projection tally at
// any position: partition p has the keys p-0 to p-99 in turn, and n is the offset.
const (
	streamPartitions = 3
	streamKeys       = 100
)

// tally counts the events of a key, each as many times as the factor says, and keeps the last n.
func tally(factor int, rollout string) string {
	return fmt.Sprintf(`
apiVersion: cqrs.projectionist.dev/v1alpha1
kind: Projection
metadata: {name: tally}
spec:
  storeRef: {name: reads}
  topics: [{name: orders}]
  rollout: {%s}
  models:
  - name: tally
    key: [id]
    columns:
    - {name: id, type: text}
    - {name: events, type: int64, default: "0"}
    - {name: last, type: int64}
    handlers:
    - name: line
      events: [line]
      key: {id: event.id}
      add: {events: "%d"}
      set: {last: event.n}
`, rollout, factor)
}

// wantRow is a row of tally at a position.
func wantRow(factor int, key, next int64) (events, last int64) {
	if next <= key {
		return 0, -1
	}
	count := (next - key + streamKeys - 1) / streamKeys
	return count * int64(factor), key + (count-1)*streamKeys
}

// stream produces such events to the topic orders of a space.
type stream struct {
	n      *space
	client *kgo.Client
	mu     sync.Mutex
	next   [streamPartitions]int64
}

func (n *space) stream() *stream {
	n.t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(parts()["KAFKA_BOOTSTRAP"], ",")...),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(5*time.Millisecond))
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(c.Close)
	return &stream{n: n, client: c}
}

// send produces so many events, spread over the partitions, and returns when the broker has them.
func (s *stream) send(ctx context.Context, events int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	records := make([]*kgo.Record, 0, events)
	for i := range events {
		p := i % streamPartitions
		o := s.next[p]
		s.next[p]++
		id := fmt.Sprintf("%d-%d", p, o%streamKeys)
		records = append(records, &kgo.Record{
			Topic: s.n.name + ".orders", Partition: int32(p), Key: []byte(id), Value: fmt.Appendf(nil, `{"type":"line","id":%q,"n":%d}`, id, o),
		})
	}
	return s.client.ProduceSync(ctx, records...).FirstErr()
}

// flow keeps sending at a rate per second until the context ends.
func (s *stream) flow(ctx context.Context, rate int) error {
	const perSecond = 20
	tick := time.NewTicker(time.Second / perSecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			// What was begun has to reach the broker, or the offsets would not be what the keys say.
			if err := s.send(context.WithoutCancel(ctx), max(rate/perSecond, streamPartitions)); err != nil {
				return err
			}
		}
	}
}

// readers are query code: each asks in one snapshot which revision it sees, where that stands, and for every row.
// Those that lock the view before their snapshot is taken get all three of one revision. Of those that do not, one may
// wait for a switch with its snapshot taken already: it sees the new revision's rows, a complete prefix of the log.
type readers struct {
	n       *space
	factors func(revision string) int

	queries, failed, wrong, between atomic.Int64
	mu                              sync.Mutex
	took                            []time.Duration
	problems                        []string
	// seen counts the answers of each revision.
	seen map[string]int
}

func (r *readers) problem(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.problems) < 10 {
		r.problems = append(r.problems, fmt.Sprintf(format, args...))
	}
}

// read asks at a rate per second until the context ends, with or without a lock on the view.
func (r *readers) read(ctx context.Context, rate int, locks bool) {
	conn, err := pgx.Connect(context.WithoutCancel(ctx), parts()["PG_URL"])
	if err != nil {
		r.failed.Add(1)
		r.problem("connect: %v", err)
		return
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	last := map[int64]int64{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		began := time.Now()
		a, err := r.ask(context.WithoutCancel(ctx), conn, locks)
		took := time.Since(began)
		r.queries.Add(1)
		if err != nil {
			r.failed.Add(1)
			r.problem("%v", err)
			continue
		}
		r.mu.Lock()
		r.took = append(r.took, took)
		r.seen[a.revision]++
		r.mu.Unlock()
		what := r.check(a, a.revision, last)
		if what != "" && !locks && r.prefix(a) {
			r.between.Add(1)
			continue
		}
		if what != "" {
			r.wrong.Add(1)
			r.problem("revision %s: %s", a.revision, what)
		}
	}
}

// answer is what one snapshot holds.
type answer struct {
	revision string
	// positions are those of every revision.
	positions map[string]map[int64]int64
	rows      map[string][2]int64
}

func (r *readers) ask(ctx context.Context, conn *pgx.Conn, locks bool) (answer, error) {
	a := answer{positions: map[string]map[int64]int64{}, rows: map[string][2]int64{}}
	err := pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if locks {
			if _, err := tx.Exec(ctx, r.n.fill("LOCK TABLE $SCHEMA.tally IN ACCESS SHARE MODE")); err != nil {
				return err
			}
		}
		rows, err := tx.Query(ctx, r.n.fill("SELECT id, events, last FROM $SCHEMA.tally"))
		if err != nil {
			return err
		}
		var id string
		var events, last int64
		if _, err = pgx.ForEachRow(rows, []any{&id, &events, &last}, func() error {
			a.rows[id] = [2]int64{events, last}
			return nil
		}); err != nil {
			return err
		}
		if err = tx.QueryRow(ctx, r.n.fill("SELECT active_revision FROM $SCHEMA_books.projections WHERE name = 'tally'")).Scan(&a.revision); err != nil {
			return err
		}
		rows, err = tx.Query(ctx, r.n.fill("SELECT revision, partition::int8, next_position::int8 FROM $SCHEMA_books.positions"))
		if err != nil {
			return err
		}
		var revision string
		var partition, next int64
		_, err = pgx.ForEachRow(rows, []any{&revision, &partition, &next}, func() error {
			if a.positions[revision] == nil {
				a.positions[revision] = map[int64]int64{}
			}
			a.positions[revision][partition] = next
			return nil
		})
		return err
	})
	return a, err
}

// check says what is wrong with an answer if its rows are a revision's, "" if nothing is; last are the positions that
// this reader saw before.
func (r *readers) check(a answer, revision string, last map[int64]int64) string {
	factor := r.factors(revision)
	rows := 0
	positions := a.positions[revision]
	for _, p := range slices.Sorted(maps.Keys(positions)) {
		next := positions[p]
		if next < last[p] {
			return fmt.Sprintf("partition %d fell from %d to %d", p, last[p], next)
		}
		last[p] = next
		for k := range int64(streamKeys) {
			events, n := wantRow(factor, k, next)
			if events == 0 {
				continue
			}
			rows++
			id := strconv.FormatInt(p, 10) + "-" + strconv.FormatInt(k, 10)
			if got := a.rows[id]; got != [2]int64{events, n} {
				return fmt.Sprintf("row %s at position %d is %v, the fold says %v", id, next, got, [2]int64{events, n})
			}
		}
	}
	if len(positions) != streamPartitions || len(a.rows) != rows {
		return fmt.Sprintf("%d positions and %d rows, want %d and %d", len(positions), len(a.rows), streamPartitions, rows)
	}
	return ""
}

// prefix tells whether the rows are another revision's at its positions.
func (r *readers) prefix(a answer) bool {
	for revision := range a.positions {
		if revision != a.revision && r.factors(revision) > 0 && r.check(a, revision, map[int64]int64{}) == "" {
			return true
		}
	}
	return false
}

// report is what all readers met.
func (r *readers) report() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.SortFunc(r.took, cmp.Compare)
	at := func(q float64) time.Duration {
		if len(r.took) == 0 {
			return 0
		}
		return r.took[min(len(r.took)-1, int(q*float64(len(r.took))))].Round(100 * time.Microsecond)
	}
	return fmt.Sprintf("%d queries, %d failed, %d wrong, %d of an older snapshot; p50 %s, p99 %s, max %s; answers per revision %v",
		r.queries.Load(), r.failed.Load(), r.wrong.Load(), r.between.Load(), at(0.5), at(0.99), at(1), r.seen)
}

// lockWaits samples how long anybody waits for a lock on the view, until the context ends, and gives the longest.
func (n *space) lockWaits(ctx context.Context) (longest time.Duration) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	query := n.fill(`SELECT coalesce(max(extract(epoch FROM clock_timestamp() - waitstart)), 0)::float8
FROM pg_locks WHERE NOT granted AND locktype = 'relation' AND relation = to_regclass('$SCHEMA.tally')`)
	for {
		select {
		case <-ctx.Done():
			return longest
		case <-tick.C:
			var seconds float64
			if database().QueryRow(context.WithoutCancel(ctx), query).Scan(&seconds) == nil {
				longest = max(longest, time.Duration(seconds*float64(time.Second)))
			}
		}
	}
}

// TestWantRow holds the closed form to the fold itself.
func TestWantRow(t *testing.T) {
	t.Parallel()
	count, last := [streamKeys]int64{}, [streamKeys]int64{}
	for o := range int64(1_000) {
		for k := range int64(streamKeys) {
			events, n := wantRow(3, k, o)
			if events != 3*count[k] || (events > 0 && n != last[k]) {
				t.Fatalf("key %d at %d: %d, %d; want %d, %d", k, o, events, n, 3*count[k], last[k])
			}
		}
		count[o%streamKeys]++
		last[o%streamKeys] = o
	}
}
