// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

const otherRevision = "fedcba9876"

// second is the orders' contract as another revision, with what change does to it.
func second(change func(*contract.Model)) *contract.Contract {
	c := ordersContract()
	c.Revision, c.DataHash = otherRevision, "1:"+otherRevision
	if change != nil {
		change(&c.Models[0])
	}
	return c
}

type switching struct {
	*world
	adm *Admin
	a   *contract.Contract
}

func newSwitching(t *testing.T, b *contract.Contract) *switching {
	t.Helper()
	s := &switching{world: newWorld(t), a: ordersContract()}
	s.adm = s.admin(s.config())
	for _, c := range []*contract.Contract{s.a, b} {
		if _, err := s.adm.Prepare(t.Context(), c, starts(c, 1)); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *switching) to(revision string) contract.Switch {
	s.Helper()
	facts, err := s.adm.Revisions(context.Background(), s.a.Projection)
	if err != nil {
		s.Fatal(err)
	}
	return contract.Switch{Revision: revision, Active: facts.Active, Sequence: facts.Sequence, DeadlineSeconds: 60}
}

func (s *switching) promote(revision string) {
	s.Helper()
	if _, err := s.adm.Promote(s.Context(), s.a.Projection, s.to(revision)); err != nil {
		s.Fatal(err)
	}
}

func (s *switching) refused(sw contract.Switch, code string) *stores.SwitchError {
	s.Helper()
	_, err := s.adm.Promote(s.Context(), s.a.Projection, sw)
	var e *stores.SwitchError
	if !errors.As(err, &e) || e.Code != code {
		s.Fatalf("got %v, want %s", err, code)
	}
	return e
}

// race lets writers of both revisions apply the same log, neither far ahead of the other.
type race struct {
	mu   sync.Mutex
	turn *sync.Cond
	at   [2]int64
	over bool
}

func (r *race) write(ctx context.Context, t testing.TB, w *Writer, c *contract.Contract, me int) {
	defer r.turn.Broadcast()
	cs, err := w.Claim(ctx, "pod", []event.TopicPartition{orders(0)})
	if err != nil {
		t.Error(err)
		return
	}
	cl := cs[0]
	for {
		r.mu.Lock()
		for !r.over && r.at[me]-r.at[1-me] > 20 {
			r.turn.Wait()
		}
		over := r.over
		r.mu.Unlock()
		if over {
			return
		}
		b, err := oneMore(c)
		if err == nil {
			err = w.Commit(ctx, move(cl, cl.Next+1, b))
		}
		if err != nil {
			t.Error(err)
			r.end()
			return
		}
		cl.Next++
		r.mu.Lock()
		r.at[me] = cl.Next
		r.mu.Unlock()
		r.turn.Broadcast()
	}
}

func (r *race) end() {
	r.mu.Lock()
	r.over = true
	r.mu.Unlock()
	r.turn.Broadcast()
}

func oneMore(c *contract.Contract) (*fold.Batch, error) {
	models, err := fold.ModelsOf(c)
	if err != nil {
		return nil, err
	}
	b := fold.NewBatch(models)
	return b, b.Apply(effect("o1", change(4, fold.OpAdd, int64(1))))
}

// No query fails, no reader goes back, and what a snapshot shows is what one of
// the revisions had applied in that snapshot.
func TestSwitchUnderReaders(t *testing.T) {
	b := second(nil)
	s := newSwitching(t, b)
	r := &race{}
	r.turn = sync.NewCond(&r.mu)
	var writers, readers sync.WaitGroup
	for i, c := range []*contract.Contract{s.a, b} {
		w := s.writer(s.config(), c)
		writers.Go(func() { r.write(t.Context(), t, w, c, i) })
	}
	var reads atomic.Int64
	var over atomic.Bool
	for i := range 4 {
		conn := dial(t, s.ep)
		readers.Go(func() {
			iso := pgx.ReadCommitted
			if i%2 == 1 {
				iso = pgx.RepeatableRead
			}
			if err := follow(t.Context(), conn, iso, &over, &reads); err != nil {
				t.Error(err)
			}
		})
	}
	for n := range 200 {
		revision := otherRevision
		if n%2 == 1 {
			revision = s.a.Revision
		}
		if _, err := s.adm.Promote(t.Context(), s.a.Projection, s.to(revision)); err != nil {
			t.Error(err)
			break
		}
	}
	over.Store(true)
	readers.Wait()
	r.end()
	writers.Wait()
	if got := s.text("SELECT count(*) FROM projectionist.switches WHERE NOT stale AND NOT broke_readers"); got != "200" {
		t.Errorf("%s switches", got)
	}
	t.Logf("%d reads, positions %v", reads.Load(), r.at)
}

func follow(ctx context.Context, conn *pgx.Conn, iso pgx.TxIsoLevel, over *atomic.Bool, reads *atomic.Int64) error {
	const positions = `SELECT max(o.next_position::bigint) FILTER (WHERE o.revision = p.active_revision), array_agg(o.next_position::bigint)
FROM projectionist.projections p JOIN projectionist.positions o ON o.projection = p.id`
	const rows = "SELECT coalesce((SELECT best FROM shop.order_summary WHERE id = 'o1'), 0)"
	var last, lastRows int64
	for !over.Load() {
		var at, n int64
		var all []int64
		err := pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: iso}, func(tx pgx.Tx) error {
			if iso == pgx.ReadCommitted { // one statement, one snapshot
				return tx.QueryRow(ctx, "SELECT x.*, ("+rows+") FROM ("+positions+") x").Scan(&at, &all, &n)
			}
			if err := tx.QueryRow(ctx, positions).Scan(&at, &all); err != nil {
				return err
			}
			return tx.QueryRow(ctx, rows).Scan(&n)
		})
		switch {
		case err != nil:
			return fmt.Errorf("a %s reader's query failed: %w", iso, err)
		case at < last:
			return fmt.Errorf("a %s reader saw position %d after %d", iso, at, last)
		case iso == pgx.ReadCommitted && n < lastRows:
			return fmt.Errorf("a %s reader saw the rows of position %d after those of %d", iso, n, lastRows)
		case len(all) != 2 || n != all[0] && n != all[1]:
			return fmt.Errorf("a %s reader saw the rows of position %d, where the revisions were at %d", iso, n, all)
		}
		last, lastRows = at, n
		reads.Add(1)
	}
	return nil
}

// A reader with a lock on the view: the switch gives way, so that others are not
// held up for longer than the limit, and succeeds when the reader is done.
func TestSwitchGivesWay(t *testing.T) {
	s := newSwitching(t, second(nil))
	s.promote(otherRevision)
	s.promote(s.a.Revision)
	reader := dial(t, s.ep)
	tx, err := reader.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err = tx.Exec(t.Context(), "SELECT FROM shop.order_summary"); err != nil {
		t.Fatal(err)
	}
	sw := s.to(otherRevision)
	sw.LockTimeoutMillis, sw.DeadlineSeconds = 20, 5
	if e := s.refused(sw, stores.ReasonViewLocked); !e.Retryable || !strings.Contains(e.Message, `"order_summary"`) {
		t.Fatalf("%+v", e)
	}
	sw.DeadlineSeconds = 60
	ended := make(chan error, 1)
	go func() {
		_, err := s.adm.Promote(t.Context(), s.a.Projection, sw)
		ended <- err
	}()
	const waits = "SELECT count(*) FROM pg_locks WHERE relation = 'shop.order_summary'::regclass AND NOT granted"
	for _, want := range []string{"1", "0"} { // it waits, and gives way
		for s.text(waits) != want {
			select {
			case err := <-ended:
				t.Fatal("it ended under a reader's lock:", err)
			default:
			}
		}
	}
	s.exec("SELECT FROM shop.order_summary")
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

// While a switch is under way, what would move the old revision on waits: a
// commit, and a partition that is added. Reading does not.
func TestSwitchHoldsUpWriters(t *testing.T) {
	s := newSwitching(t, second(nil))
	w := s.writer(s.config(), s.a)
	cl := claim(t, w, "pod", orders(0))[0]
	more, err := oneMore(s.a)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 2)
	p := &promotion{cfg: s.adm.cfg, owner: s.a.Projection, s: s.to(otherRevision)}
	p.cfg.IdleInTransactionTimeout = 5 * time.Minute // while the writers come
	if err := p.in(t.Context(), s.adm, pgx.ReadWrite, func() error {
		if _, _, err := p.hold(t.Context()); err != nil {
			return err
		}
		go func() { ended <- w.Commit(t.Context(), move(cl, 1, more)) }()
		go func() {
			_, err := w.AddPartitions(t.Context(), stores.Barrier{Topic: "orders", Before: 1, After: 2, Ends: []int64{0}})
			ended <- err
		}()
		for s.text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") != "2" {
			select {
			case err := <-ended:
				return fmt.Errorf("a writer went on in the middle of a switch: %w", err)
			default:
			}
		}
		_, err := w.Peek(t.Context())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
}

func TestSwitchWaitsForOlderSnapshots(t *testing.T) {
	s := newSwitching(t, second(nil))
	reader := dial(t, s.ep)
	for _, q := range []string{"SET application_name = 'report'", "BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT FROM shop.order_summary"} {
		if _, err := reader.Exec(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	sw := s.to(otherRevision)
	sw.DeadlineSeconds = 5
	e := s.refused(sw, stores.ReasonHandoverTimeout)
	if !e.Retryable || !strings.Contains(e.Message, `"report"`) || !strings.Contains(e.Message, fmt.Sprintf("pid %d", reader.PgConn().PID())) {
		t.Fatalf("%+v", e)
	}
	if _, err := reader.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	s.promote(otherRevision)
	if got := s.text("SELECT count(*) FROM pg_index WHERE indrelid = 'projectionist.snapshots'::regclass"); got != "0" {
		t.Fatal(got, "indexes are left behind")
	}
}

// Several projections of a database are switched at once: none waits for good, and none fails.
func TestSwitchesAtOnce(t *testing.T) {
	w := newWorld(t)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			adm := w.admin(w.config())
			a, b := ordersContract(), second(nil)
			for _, c := range []*contract.Contract{a, b} {
				c.Projection.Name, c.Models[0].Name = fmt.Sprintf("p%d", i), fmt.Sprintf("m%d", i)
				if _, err := adm.Prepare(t.Context(), c, starts(c, 1)); err != nil {
					t.Error(err)
					return
				}
			}
			if _, err := adm.Promote(t.Context(), a.Projection, contract.Switch{Revision: b.Revision, Active: a.Revision, Sequence: 1, DeadlineSeconds: 60}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestSwitchKeepsRights(t *testing.T) {
	s := newSwitching(t, second(func(m *contract.Model) {
		m.Columns = append([]contract.Column{{Name: "extra", Type: "text"}}, m.Columns...)
	}))
	reader, clerk := s.role("reader"), s.role("clerk")
	s.exec("ALTER VIEW shop.order_summary SET (security_barrier = true)")
	s.exec("GRANT SELECT ON shop.order_summary TO " + reader + " WITH GRANT OPTION")
	s.exec("GRANT SELECT (id, status) ON shop.order_summary TO " + clerk)
	s.exec("CREATE VIEW public.theirs AS SELECT id, status FROM shop.order_summary")
	const rights = `SELECT c.relacl::text || coalesce((SELECT string_agg(a.attname || a.attacl::text, ',' ORDER BY a.attname) FROM pg_attribute a WHERE a.attrelid = c.oid), '') || c.reloptions::text
FROM pg_class c WHERE c.oid = 'shop.order_summary'::regclass`
	const columns = `SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'shop.order_summary'::regclass AND attnum > 0`
	before := s.text(rights)
	s.promote(otherRevision)
	if after := s.text(rights); after != before {
		t.Fatalf("rights %s, before %s", after, before)
	}
	if got := s.text(columns); got != "id,status,n,total,best,log,extra" {
		t.Fatal(got)
	}
	s.exec("SELECT FROM public.theirs")
	// Rights that new views would get by default are none of this one's.
	s.exec("ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT ALL ON TABLES TO " + clerk)
	sw := s.to(s.a.Revision)
	if e := s.refused(sw, stores.ReasonReadersWouldBreak); e.Retryable || !strings.Contains(e.Message, `"extra" (gone)`) {
		t.Fatalf("%+v", e)
	}
	sw.Allow.BreakReaders = true
	if e := s.refused(sw, stores.ReasonReadersWouldBreak); !strings.Contains(e.Message, "theirs") {
		t.Fatalf("%+v", e)
	}
	s.exec("DROP VIEW public.theirs")
	if _, err := s.adm.Promote(t.Context(), s.a.Projection, sw); err != nil {
		t.Fatal(err)
	}
	if after := s.text(rights); after != before {
		t.Fatalf("rights %s, before %s", after, before)
	}
	if got := s.text("SELECT broke_readers FROM projectionist.switches ORDER BY sequence DESC LIMIT 1"); got != "true" {
		t.Fatal("the consent is not in the history")
	}
}

// slowCommit makes every COMMIT that has changed the table take a while, as one that waits for a standby does: it does not end because
// its client has gone, and what it has done is to be seen afterwards only. The postmaster signals a cancel twice, to the process and to
// its group: the second can come while the first is being handled, and is for the outer block.
func (s *switching) slowCommit(table, event string, d time.Duration) {
	s.Helper()
	s.exec(fmt.Sprintf(`CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE till timestamptz := pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => %f);
BEGIN
  LOOP
    BEGIN
      LOOP
        BEGIN
          WHILE pg_catalog.clock_timestamp() < till LOOP PERFORM pg_catalog.pg_sleep(0.05); END LOOP;
          RETURN NULL;
        EXCEPTION WHEN query_canceled THEN NULL;
        END;
      END LOOP;
    EXCEPTION WHEN query_canceled THEN NULL;
    END;
  END LOOP;
END $$`, d.Seconds()))
	s.exec("CREATE CONSTRAINT TRIGGER slow AFTER " + event + " ON projectionist." + table + " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.slow()")
}

// Who runs out of time in the middle of a COMMIT is told what comes of it, or nothing: never what was before it.
func TestSwitchEndsInCommit(t *testing.T) {
	for name, tc := range map[string]struct {
		takes time.Duration
		told  bool
	}{"soon": {factsTimeout / 2, true}, "late": {2 * factsTimeout, false}} {
		for _, action := range []string{"promote", "discard"} {
			t.Run(action+" "+name, func(t *testing.T) {
				s := newSwitching(t, second(nil))
				do, table, event := s.adm.Promote, "switches", "INSERT"
				if action == "discard" {
					do, table, event = s.adm.Discard, "revisions", "DELETE"
				}
				s.slowCommit(table, event, tc.takes)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				sw := s.to(otherRevision)
				var facts contract.RevisionFacts
				ended := make(chan error, 1)
				go func() {
					var err error
					facts, err = do(ctx, s.a.Projection, sw)
					ended <- err
				}()
				within(t, time.Minute, "it is in its COMMIT", func() bool {
					return s.text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'") == "1"
				})
				cancel()
				err := <-ended
				switch {
				case !tc.told:
					if err == nil || facts.Active != "" {
						t.Fatalf("told %+v (%v), while the COMMIT was under way", facts, err)
					}
				case action == "promote":
					if err != nil || facts.Active != otherRevision || facts.Sequence != sw.Sequence+1 {
						t.Fatalf("told %+v (%v)", facts, err)
					}
				case facts.Active != s.a.Revision || facts.Find(otherRevision) != nil:
					t.Fatalf("told %+v (%v)", facts, err)
				}
				within(t, time.Minute, "it is done", func() bool {
					after, err := s.adm.Revisions(t.Context(), s.a.Projection)
					return err == nil && (after.Active == otherRevision || after.Find(otherRevision) == nil)
				})
			})
		}
	}
}

func TestDiscardNeverCascades(t *testing.T) {
	s := newSwitching(t, second(nil))
	s.exec("CREATE VIEW public.theirs AS SELECT id FROM shop.order_summary__" + otherRevision)
	_, err := s.adm.Discard(t.Context(), s.a.Projection, s.to(otherRevision))
	if e := wantReason(t, err, ReasonDependentObjects); !strings.Contains(e.Message, "theirs") {
		t.Fatal(e)
	}
	if got := s.text("SELECT count(*) FROM projectionist.positions"); got != "2" {
		t.Fatal("the bookkeeping went without the tables")
	}
}
