// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package postgres

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// beside prepares a revision that readers see, and gives the contract of another one, prepared, too.
func (w *world) beside() *contract.Contract {
	w.Helper()
	first, c := ordersContract(), ordersContract()
	c.Revision, c.DataHash = "bbbbbbbbbb", "1:bbbbbbbbbb000000"
	for _, c := range []*contract.Contract{first, c} {
		if _, err := w.admin(w.config()).Prepare(w.Context(), c, starts(c, 2)); err != nil {
			w.Fatal(err)
		}
	}
	return c
}

const built = "shop.order_summary__bbbbbbbbbb"

// building is a build under way, with two rows to write.
type building struct {
	*world
	stores.Build
	advances []stores.Advance
}

func (w *world) building(wr *Writer) *building {
	w.Helper()
	b, err := wr.StartBuild(w.Context(), "pod-1")
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(b.Close)
	out := &building{world: w, Build: b}
	for _, c := range b.Claims() {
		out.advances = append(out.advances, stores.Advance{Claim: c, Next: 7})
	}
	return out
}

// write calls during when the first row is on its way.
func (b *building) write(during, indexing func()) error {
	return b.Write(b.Context(), b.advances, func(load func(int, iter.Seq2[[]value.Value, error]) error) error {
		return load(0, func(yield func([]value.Value, error) bool) {
			for i := range 2 {
				if !yield([]value.Value{fmt.Sprint("o", i), "s", int64(i), nil, nil, []value.Value{"made", nil, "x"}}, nil) {
					return
				}
				if i == 0 {
					during()
				}
			}
		})
	}, indexing)
}

func (b *building) holds(rows string) {
	b.Helper()
	if got := b.text("SELECT count(*) FROM " + built); got != rows {
		b.Fatalf("%s rows, want %s", got, rows)
	}
	want := "0,0"
	if rows != "0" {
		want = "7,7"
	}
	if got := b.text("SELECT string_agg(next_position, ',') FROM projectionist.positions WHERE revision = 'bbbbbbbbbb'"); got != want {
		b.Fatalf("positions %s, want %s", got, want)
	}
}

// indexes are definitions of what the tables of the revision have.
func (w *world) indexes() string {
	return w.text("SELECT string_agg(indexdef, ';' ORDER BY indexname) FROM pg_indexes WHERE schemaname = 'shop' AND tablename = 'order_summary__bbbbbbbbbb'")
}

func nothing() {}

// A connection that is lost at COMMIT leaves no answer: the next Write finds out, and the rows are there once.
func TestBuildLosesTheAnswer(t *testing.T) {
	for _, where := range []cut{cutBeforeCommit, cutAfterCommit} {
		t.Run(where.String(), func(t *testing.T) {
			w := newWorld(t)
			c := w.beside()
			p := newProxy(t, w.ep)
			b := w.building(w.writer(w.throughProxy(p), c))
			err := b.write(nothing, func() { p.cutNext(where) })
			if !stores.Transient(err) || p.cuts.Load() != 1 {
				t.Fatalf("%v, %d cuts", err, p.cuts.Load())
			}
			loaded := false
			if err := b.write(func() { loaded = true }, nothing); err != nil {
				t.Fatal(err)
			}
			if loaded != (where == cutBeforeCommit) {
				t.Errorf("rows were written again: %t", loaded)
			}
			b.holds("2")
			if n := w.text("SELECT cardinality(log) FROM " + built + " LIMIT 1"); n != "3" {
				t.Errorf("the list has %s elements", n)
			}
		})
	}
}

// A session that ends in the middle leaves everything as it was.
func TestBuildSessionEnds(t *testing.T) {
	w := newWorld(t)
	c := w.beside()
	before := w.indexes()
	b := w.building(w.writer(w.config(), c))
	kill := func() {
		w.exec("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation = '" + built + "'::regclass")
	}
	for _, err := range []error{b.write(kill, nothing), b.write(nothing, kill)} {
		if !stores.Transient(err) {
			t.Fatalf("%v", err)
		}
		b.holds("0")
		if after := w.indexes(); after != before {
			t.Fatalf("indexes %s, before %s", after, before)
		}
	}
	if err := b.write(nothing, nothing); err != nil {
		t.Fatal(err)
	}
	b.holds("2")
	if after := w.indexes(); after != before {
		t.Fatalf("indexes %s, before %s", after, before)
	}
}

// Keys and indexes are dropped while rows are copied where no reader waits for
// it, the role may, and nothing depends on them.
func TestBuildStripsTables(t *testing.T) {
	exclusive := "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation = '%s'::regclass"
	t.Run("beside", func(t *testing.T) {
		w := newWorld(t)
		b := w.building(w.writer(w.config(), w.beside()))
		locked := ""
		if err := b.write(func() { locked = w.text(fmt.Sprintf(exclusive, built)) }, nothing); err != nil || locked != "1" {
			t.Fatalf("%v, %s locks", err, locked)
		}
		if n := w.text("SELECT reltuples FROM pg_class WHERE oid = '" + built + "'::regclass"); n != "2" {
			t.Errorf("the planner knows of %s rows", n)
		}
	})
	t.Run("what readers see", func(t *testing.T) {
		w, c := newWorld(t), ordersContract()
		b := w.building(w.prepared(c, 2))
		seen := ""
		if err := b.write(func() { seen = w.text("SELECT count(*) FROM shop.order_summary") }, nothing); err != nil || seen != "0" {
			t.Fatalf("%v, readers see %s rows", err, seen)
		}
		if seen = w.text("SELECT count(*) FROM shop.order_summary"); seen != "2" {
			t.Fatalf("readers see %s rows", seen)
		}
	})
	t.Run("something depends on the key", func(t *testing.T) {
		w := newWorld(t)
		c := w.beside()
		w.exec("CREATE VIEW shop.mine AS SELECT id, status, count(*) FROM " + built + " GROUP BY id")
		b := w.building(w.writer(w.config(), c))
		if err := b.write(nothing, nothing); err != nil {
			t.Fatal(err)
		}
		b.holds("2")
	})
	t.Run("another role's tables", func(t *testing.T) {
		w := newWorld(t)
		c := w.beside()
		cfg := w.as(w.role("builder"))
		a, err := OpenAdmin(AdminConfig{Config: w.config(), Projector: cfg.Resolve})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		if _, err := a.Prepare(t.Context(), c, starts(c, 2)); err != nil {
			t.Fatal(err)
		}
		b := w.building(w.writer(cfg, c))
		locked := ""
		if err := b.write(func() { locked = w.text(fmt.Sprintf(exclusive, built)) }, nothing); err != nil || locked != "0" {
			t.Fatalf("%v, %s locks", err, locked)
		}
		b.holds("2")
	})
}

// A builder that is killed while keys and indexes are made lets go of the tables: its session does not work on for nobody.
func TestBuilderIsGone(t *testing.T) {
	w := newWorld(t)
	c := w.beside()
	w.exec("CREATE FUNCTION public.slow() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_catalog.pg_sleep(600); END'")
	w.exec("CREATE EVENT TRIGGER slow ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION public.slow()")
	p := newProxy(t, w.ep)
	b := w.building(w.writer(w.throughProxy(p), c))
	ended := make(chan error, 1)
	go func() { ended <- b.write(nothing, nothing) }()
	const working = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
	within(t, time.Minute, "the index is being made", func() bool { return w.text(working) == "1" })
	p.vanish()
	if err := <-ended; !stores.Transient(err) {
		t.Fatalf("%v", err)
	}
	within(t, 6*clientCheck, "the session has ended", func() bool { return w.text(working) == "0" })
	b.holds("0")
}

// A definition that is to change in the middle of a build does not wait for its end: everybody else's would wait with it.
func TestPrepareDuringBuild(t *testing.T) {
	w := newWorld(t)
	c := w.beside()
	b := w.building(w.writer(w.config(), c))
	more := *c
	more.Models = slices.Clone(c.Models)
	more.Models[0].Indexes = append(slices.Clone(c.Models[0].Indexes), contract.Index{Columns: []string{"n"}})
	cfg := w.config()
	cfg.LockTimeout = 5 * time.Minute
	a := w.admin(cfg)
	var refused error
	if err := b.write(func() { _, refused = a.Prepare(t.Context(), &more, starts(c, 2)) }, nothing); err != nil {
		t.Fatal(err)
	}
	if e := wantReason(t, refused, ReasonContention); !strings.Contains(e.Message, "being built") {
		t.Fatal(e)
	}
	b.holds("2")
	if _, err := a.Prepare(t.Context(), &more, starts(c, 2)); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(w.indexes(), "CREATE"); n != 3 {
		t.Fatal(w.indexes())
	}
}

// within waits for what comes about sooner or later.
func within(t *testing.T, limit time.Duration, what string, reached func() bool) {
	t.Helper()
	for began := time.Now(); !reached(); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > limit {
			t.Fatalf("within %s, it did not come about that %s", limit, what)
		}
	}
}

// A holder whose session has ended takes its right again, unless somebody has claimed meanwhile.
func TestBuildKeepsItsRight(t *testing.T) {
	const holder = " FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
	w := newWorld(t)
	c := w.beside()
	cfg := w.config()
	cfg.NetworkTimeout = 400 * time.Millisecond
	b := w.building(w.writer(cfg, c))
	if n := w.text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_xmin IS NOT NULL"); n != "0" {
		t.Fatalf("%s sessions have a snapshot, which vacuum and the switches of others wait for", n)
	}
	other := w.writer(w.config(), c)
	if _, err := other.StartBuild(t.Context(), "pod-2"); !errors.Is(err, stores.ErrBuilding) {
		t.Fatalf("%v", err)
	}
	held := func() string { return w.text("SELECT coalesce(string_agg(pid::text, ' '), 'nobody')" + holder) }
	end := func() { w.exec("SELECT pg_terminate_backend(pid)" + holder) }
	// A session ends a little after it was told to.
	was, began := held(), time.Now()
	end()
	for now := was; now == was || now == "nobody"; now = held() {
		if time.Since(began) > time.Minute {
			t.Fatalf("the right is held by %s, as before", now)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if _, err := other.StartBuild(t.Context(), "pod-2"); !errors.Is(err, stores.ErrBuilding) {
		t.Fatalf("it has not taken its right again: %v", err)
	}
	if _, err := other.Claim(t.Context(), "pod-2", []event.TopicPartition{orders(0)}); err != nil {
		t.Fatal(err)
	}
	end()
	select {
	case <-b.Lost():
	case <-time.After(20 * time.Second):
		t.Fatal("it does not notice that another one has claimed")
	}
	wantFenced(t, b.write(nothing, nothing), orders(0))
	b.holds("0")
}
