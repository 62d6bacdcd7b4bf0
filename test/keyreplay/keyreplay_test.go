// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package keyreplay

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/test/internal/rig"
	"github.com/projectionist-dev/projectionist/test/oracle"
)

const (
	rows    = 200_000
	altered = 40
	deleted = 30
	added   = 30
)

// world is a table of many rows whose topics move.
type world struct {
	*rig.Projection
	t     *testing.T
	feed  *rig.Feed
	table string

	mu sync.Mutex
	// touched are the ids of events that were made since the table was looked at.
	touched map[string]bool
	seq     int64
}

func id(n int) string { return fmt.Sprintf("k%06d", n) }

// line makes an event that adds to a row.
func (w *world) line(key string) *kgo.Record {
	w.mu.Lock()
	w.seq++
	n := w.seq
	w.touched[key] = true
	w.mu.Unlock()
	value, err := json.Marshal(oracle.Payload{Type: "line", ID: key, Account: "a000", Seq: 1_000_000 + n, Amount: "1.25", N: n % 1000, Delta: 3})
	if err != nil {
		w.t.Fatal(err)
	}
	e := oracle.Event{Topic: oracle.Orders, Key: key, Value: value}
	if err := w.feed.Apply(e); err != nil {
		w.t.Error(err)
	}
	return w.Record(e)
}

func (w *world) exec(want int64, sql string, args ...any) {
	w.t.Helper()
	tag, err := w.Pool.Exec(w.t.Context(), fmt.Sprintf(sql, w.table), args...)
	if err != nil || tag.RowsAffected() != want {
		w.t.Fatalf("%s: %d rows, want %d (%v)", sql, tag.RowsAffected(), want, err)
	}
}

// TestHundredRows: of 200,000 rows, 100 that were altered, deleted or added by hand are made anew by a Job's action
// while their topic moves under a projector; no other row is written but by events, and in the end all is as the oracle says.
func TestHundredRows(t *testing.T) {
	instance := os.Getenv("PROJECTIONIST_INSTANCE")
	var parts []*rig.Part
	for _, name := range []string{"kafka", "postgres"} {
		p, err := rig.StartPart(name, instance)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := p.Down(); err != nil {
				t.Error(err)
			}
		})
		parts = append(parts, p)
	}
	r, err := rig.New(parts[0], parts[1])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	t.Cleanup(rig.RemoveBinaries)
	p := r.NewProjection(t, rig.LedgerSpec(4, 1))
	t.Cleanup(func() { p.Drop(t) })
	p.Prepare(t)
	p.Audit(t)
	w := &world{Projection: p, t: t, feed: p.NewFeed(7, rows, 20), touched: map[string]bool{}}
	w.table = pgx.Identifier{p.ID, p.Contract.Physical(oracle.Ledger)}.Sanitize()

	for n := 0; n < rows; {
		var batch []*kgo.Record
		for range 20_000 {
			batch = append(batch, w.line(id(n)))
			n++
		}
		p.Kafka.Produce(t, batch...)
	}
	proc := p.Start(t, rig.Launch{Owner: "projector"})
	p.AwaitEnds(t, 3*time.Minute)

	// Of those that are made anew, every key from 0 on has events meanwhile.
	var keys []string
	for n := range altered + deleted {
		keys = append(keys, id(n*1000))
	}
	for n := range added {
		keys = append(keys, fmt.Sprintf("x%06d", n))
	}
	w.touched = map[string]bool{}
	w.exec(rows, "CREATE TABLE "+pgx.Identifier{p.ID, "before"}.Sanitize()+" AS SELECT id, xmin::text AS was FROM %s")
	w.exec(altered, "UPDATE %s SET total = total + 1, lines = 77, notes = -1, seqs = '{1}' WHERE id = ANY ($1)", keys[:altered])
	w.exec(deleted, "DELETE FROM %s WHERE id = ANY ($1)", keys[altered:altered+deleted])
	w.exec(added, "INSERT INTO %s (id, lines) SELECT unnest($1::text[]), 5", keys[altered+deleted:])

	stop, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- w.load(stop, keys[:altered+deleted]) }()
	moving := func(n int64) {
		t.Helper()
		began := total(p.Positions(t))
		rig.Until(t, time.Minute, "progress", func() string {
			if by := total(p.Positions(t)) - began; by < n {
				return fmt.Sprintf("moved by %d, want %d", by, n)
			}
			return ""
		})
	}
	moving(500)
	began := time.Now()
	res, said := p.Act(t, 2*time.Minute, contract.Request{Action: contract.ActionReplayKeys, Replay: &contract.KeyReplay{Model: oracle.Ledger, Keys: keys}})
	if !res.OK {
		t.Fatalf("%s", said)
	}
	t.Logf("in %v: %s", time.Since(began), said)
	moving(500)
	close(stop)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}

	f := res.Replay
	if f.Written+f.Deleted+f.Equal != int64(len(keys)) || f.Deleted < added || f.Written < altered || f.Events < rows || len(f.Positions[oracle.Orders]) != 4 {
		t.Errorf("%+v", f)
	}
	at := int64(0)
	for _, positions := range f.Positions {
		for _, p := range positions {
			n, err := p.Offset()
			if err != nil {
				t.Fatal(err)
			}
			at += n
		}
	}
	if end := total(p.Positions(t)); at <= rows || at >= end {
		t.Errorf("the rows were replaced at %d, and the table is at %d: nothing moved", at, end)
	}
	p.AwaitEnds(t, time.Minute)
	w.feed.Verify(t)
	audit := p.ReadAudit(t)
	audit.Reached(p.AuditEnds(t))
	if !audit.OK() {
		t.Error(audit)
	}
	w.untouched(keys)
	if err := proc.Unexpected(); err != nil {
		t.Error(err)
	}
	// Once more, with nothing to do.
	again, said := p.Act(t, 2*time.Minute, contract.Request{Action: contract.ActionReplayKeys, Replay: &contract.KeyReplay{Model: oracle.Ledger, Keys: keys}})
	if !again.OK || again.Replay.Equal != int64(len(keys)) {
		t.Errorf("%s", said)
	}
	w.feed.Produce(t, 100)
	p.AwaitEnds(t, time.Minute)
	w.feed.Verify(t)
}

// load produces events of all keys, and of each of some in every chunk, until it is told to end.
func (w *world) load(stop <-chan struct{}, keys []string) error {
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		records := w.feed.Make(w.t, 200)
		w.mu.Lock()
		for _, r := range records {
			w.touched[string(r.Key)] = true
		}
		w.mu.Unlock()
		for _, key := range keys {
			records = append(records, w.line(key))
		}
		if err := w.Kafka.ProduceAll(records); err != nil {
			return err
		}
	}
}

// untouched tells whether rows were written that no event and no replay is for.
func (w *world) untouched(keys []string) {
	w.t.Helper()
	for _, key := range keys {
		w.touched[key] = true
	}
	found, err := w.Pool.Query(context.Background(), "SELECT coalesce(n.id, b.id) FROM "+w.table+" n FULL JOIN "+pgx.Identifier{w.ID, "before"}.Sanitize()+
		" b ON b.id = n.id WHERE n.xmin::text IS DISTINCT FROM b.was")
	if err != nil {
		w.t.Fatal(err)
	}
	written, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		w.t.Fatal(err)
	}
	others := 0
	for _, key := range written {
		if !w.touched[key] {
			others++
		}
	}
	w.t.Logf("%d rows were written since, %d were touched by events or made anew", len(written), len(w.touched))
	if others > 0 || len(written) == 0 {
		w.t.Errorf("%d of %d rows that were written have neither an event nor were they to be made anew", others, len(written))
	}
}

func total(rows map[rig.At]rig.PositionRow) (n int64) {
	for _, r := range rows {
		n += r.Next
	}
	return n
}
