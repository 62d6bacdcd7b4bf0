// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
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

// preload sends so many, in portions that do not fill the memory.
func (s *stream) preload(events int) {
	s.n.t.Helper()
	const portion = 30_000
	for left := events; left > 0; left -= portion {
		if err := s.send(s.n.t.Context(), min(left, portion)); err != nil {
			s.n.t.Fatal(err)
		}
	}
}

// ends are the offsets of the next events.
func (s *stream) ends() [streamPartitions]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next
}

// behind is how many events a revision has not applied.
func (s *stream) behind(ctx context.Context, revision string) (int64, error) {
	left := int64(0)
	for _, end := range s.ends() {
		left += end
	}
	var done int64
	err := database().QueryRow(ctx, s.n.fill("SELECT coalesce(sum(next_position::int8), 0)::int8 FROM $SCHEMA_books.positions WHERE revision = $1"), revision).Scan(&done)
	return left - done, err
}

// capacity sends events at once to a revision that has caught up, and gives how many a second were applied.
func (s *stream) capacity(revision string, events int) int {
	s.n.t.Helper()
	began := time.Now()
	if err := s.send(s.n.t.Context(), events); err != nil {
		s.n.t.Fatal(err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		left, err := s.behind(s.n.t.Context(), revision)
		if err != nil {
			s.n.t.Fatal(err)
		}
		if left == 0 {
			break
		}
		if took := time.Since(began); took > soon {
			s.n.t.Fatalf("of a burst of %d events %d are not applied after %s", events, left, took)
		}
	}
	return int(float64(events) / time.Since(began).Seconds())
}

// equals waits until a revision has every event, and compares every row that readers see with the fold.
func (s *stream) equals(revision string, factor int) {
	s.n.t.Helper()
	r := &readers{n: s.n, factors: func(string) int { return factor }}
	conn, err := pgx.Connect(s.n.t.Context(), parts()["PG_URL"])
	if err != nil {
		s.n.t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	eventually(s.n.t, soon, "every row is what the fold says at the end of the log", func(ctx context.Context) string {
		a, err := r.ask(ctx, conn, true)
		if err != nil {
			return err.Error()
		}
		if p := a.positions[revision]; a.revision != revision || p == nil || *p != s.ends() {
			return fmt.Sprintf("readers see %s at %v, want %s at %v", a.revision, p, revision, s.ends())
		}
		return r.check(&a, revision, new([streamPartitions]int64))
	})
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
	// down reports whether the database was away at some time between two; nil: it never is.
	down func(from, to time.Time) bool

	mu       sync.Mutex
	met      met
	problems []string
}

// met is what readers met.
type met struct {
	since                                time.Time
	queries, failed, away, wrong, behind int
	took                                 []time.Duration
	// seen counts the answers of each revision.
	seen map[string]int
}

// lap gives what readers met since the last lap.
func (r *readers) lap() met {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.met
	r.met = met{since: time.Now(), seen: map[string]int{}}
	slices.SortFunc(out.took, cmp.Compare)
	return out
}

// at is a quantile of the times that answers took.
func (m met) at(q float64) time.Duration {
	if len(m.took) == 0 {
		return 0
	}
	return m.took[min(len(m.took)-1, int(q*float64(len(m.took))))].Round(100 * time.Microsecond)
}

func (m met) String() string {
	return fmt.Sprintf("%d queries (%.0f/s), %d failed, %d while the database was away, %d wrong, %d of an older snapshot; p50 %s, p99 %s, max %s; answers per revision %v",
		m.queries, float64(m.queries)/time.Since(m.since).Seconds(), m.failed, m.away, m.wrong, m.behind, m.at(0.5), m.at(0.99), m.at(1), m.seen)
}

// fail fails the test for what readers should not have met.
func (r *readers) fail(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, what := range r.problems {
		t.Error(what)
	}
}

func (r *readers) problem(format string, args ...any) {
	const most = 10
	if len(r.problems) < most {
		r.problems = append(r.problems, fmt.Sprintf(format, args...))
	}
}

// read asks at a rate per second until the context ends, with or without a lock on the view.
func (r *readers) read(ctx context.Context, rate int, locks bool) {
	var conn *pgx.Conn
	connect := func() (err error) {
		if conn == nil || conn.IsClosed() {
			conn, err = pgx.Connect(context.WithoutCancel(ctx), parts()["PG_URL"])
		}
		return err
	}
	// Before the first answer, so that it is no part of the time that this takes; an error shows there.
	_ = connect()
	defer func() {
		if conn != nil {
			_ = conn.Close(context.WithoutCancel(ctx))
		}
	}()
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	last := [streamPartitions]int64{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		began := time.Now()
		var a answer
		err := connect()
		if err == nil {
			a, err = r.ask(context.WithoutCancel(ctx), conn, locks)
		}
		r.note(&a, err, began, locks, &last)
	}
}

// note judges one answer. last are the positions that the reader saw before, and then those that it has seen.
func (r *readers) note(a *answer, err error, began time.Time, locks bool, last *[streamPartitions]int64) {
	ended := time.Now()
	what, behind := "", false
	if err == nil {
		if what = r.check(a, a.revision, last); what != "" && !locks {
			behind = r.prefix(a)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.met.queries++
	switch {
	case err != nil && r.down != nil && lostConnection(err) && r.down(began, ended):
		r.met.away++
	case err != nil:
		r.met.failed++
		r.problem("%s: %v", ended.Format(time.TimeOnly), err)
	default:
		r.met.took = append(r.met.took, ended.Sub(began))
		r.met.seen[a.revision]++
		if behind {
			r.met.behind++
		} else if what != "" {
			r.met.wrong++
			r.problem("%s: revision %s: %s", ended.Format(time.TimeOnly), a.revision, what)
		}
	}
}

// lostConnection reports whether an error is one that a query meets when the server ends, and no other.
func lostConnection(err error) bool {
	var answered *pgconn.PgError
	if !errors.As(err, &answered) {
		return true
	}
	const shutdown, connection = "57P", "08"
	return strings.HasPrefix(answered.Code, shutdown) || strings.HasPrefix(answered.Code, connection)
}

// answer is what one snapshot holds.
type answer struct {
	revision string
	// positions are those of every revision, -1 where there is none.
	positions map[string]*[streamPartitions]int64
	// rows are events and last by partition and key.
	rows  [streamPartitions][streamKeys][2]int64
	count int
}

func (r *readers) ask(ctx context.Context, conn *pgx.Conn, locks bool) (answer, error) {
	a := answer{positions: map[string]*[streamPartitions]int64{}}
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
			partition, key, _ := strings.Cut(id, "-")
			p, errP := strconv.Atoi(partition)
			k, errK := strconv.Atoi(key)
			if errP != nil || errK != nil || p < 0 || p >= streamPartitions || k < 0 || k >= streamKeys {
				return fmt.Errorf("a row has the id %q", id)
			}
			a.rows[p][k] = [2]int64{events, last}
			a.count++
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
				a.positions[revision] = &[streamPartitions]int64{-1, -1, -1}
			}
			if partition < 0 || partition >= streamPartitions {
				return fmt.Errorf("revision %s has a position of partition %d", revision, partition)
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
func (r *readers) check(a *answer, revision string, last *[streamPartitions]int64) string {
	factor, positions := r.factors(revision), a.positions[revision]
	if factor == 0 || positions == nil {
		return fmt.Sprintf("nothing is known of it: factor %d, positions %v", factor, positions)
	}
	rows := 0
	for p, next := range positions {
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
			if got := a.rows[p][k]; got != [2]int64{events, n} {
				return fmt.Sprintf("row %d-%d at position %d is %v, the fold says %v", p, k, next, got, [2]int64{events, n})
			}
		}
	}
	if a.count != rows {
		return fmt.Sprintf("%d rows at positions %v, want %d", a.count, *positions, rows)
	}
	return ""
}

// prefix tells whether the rows are another revision's at its positions.
func (r *readers) prefix(a *answer) bool {
	for revision := range a.positions {
		if revision != a.revision && r.factors(revision) > 0 && r.check(a, revision, new([streamPartitions]int64)) == "" {
			return true
		}
	}
	return false
}

// lockWaits is the longest that anybody was seen to wait for a lock on the view, and for which.
type lockWaits struct {
	n       *space
	mu      sync.Mutex
	longest time.Duration
	mode    string
}

// sample looks until the context ends.
func (l *lockWaits) sample(ctx context.Context) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	query := l.n.fill(`SELECT extract(epoch FROM clock_timestamp() - waitstart)::float8, mode FROM pg_locks
WHERE NOT granted AND waitstart IS NOT NULL AND locktype = 'relation' AND relation = to_regclass('$SCHEMA.tally') ORDER BY waitstart LIMIT 1`)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			var seconds float64
			var mode string
			// Nobody waits, mostly: then there is no row.
			if database().QueryRow(context.WithoutCancel(ctx), query).Scan(&seconds, &mode) == nil {
				l.mu.Lock()
				if waited := time.Duration(seconds * float64(time.Second)); waited > l.longest {
					l.longest, l.mode = waited, mode
				}
				l.mu.Unlock()
			}
		}
	}
}

// lap gives the longest wait since the last lap, and the lock that was waited for.
func (l *lockWaits) lap() (longest time.Duration, mode string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	longest, mode = l.longest, l.mode
	l.longest, l.mode = 0, "none"
	return longest, mode
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
