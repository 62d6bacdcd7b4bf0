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
	"testing"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// loader is a fold.Loader by a function.
type loader func(row []value.Value) (fold.Step, error)

func (l loader) Load(row []value.Value) (fold.Step, error) { return l(row) }

func (l loader) Bytes() int { return 100 }

// increments adds to n through the row, and calls meddle before, with how often it was called.
func increments(id string, meddle func(call int)) fold.Effect {
	calls := 0
	return fold.Effect{Key: key(id), Load: loader(func(row []value.Value) (fold.Step, error) {
		calls++
		meddle(calls)
		n := int64(0)
		if row != nil {
			n = row[2].(int64)
		}
		return fold.Step{Changes: []fold.Change{change(2, fold.OpSet, n+1)}}, nil
	})}
}

const onTable = " shop.order_summary__0123456789 "

// A row that was read as absent may be there when it is written: the loader runs
// again, and finds it. Without the check the other's row, or this effect, would be lost.
func TestAbsentRowAppears(t *testing.T) {
	w, c := newWorld(t), ordersContract()
	wr := w.prepared(c, 1)
	cl := claim(t, wr, "a", orders(0))[0]
	calls := 0
	e := increments("o1", func(call int) {
		if calls = call; call == 1 {
			w.exec("INSERT INTO" + onTable + "(id, n) VALUES ('o1', 40)")
		}
	})
	if err := wr.Commit(t.Context(), move(cl, 1, batch(t, c, e))); err != nil {
		t.Fatal(err)
	}
	if got := w.text("SELECT n FROM" + onTable); got != "41" || calls != 2 {
		t.Fatalf("n is %s after %d calls, want 41 after 2", got, calls)
	}
}

// A row that was read stays locked until the commit, also one that a fan-out has found.
func TestReadRowsAreLocked(t *testing.T) {
	w, c := newWorld(t), ordersContract()
	wr := w.prepared(c, 1)
	cl := claim(t, wr, "a", orders(0))[0]
	if err := wr.Commit(t.Context(), move(cl, 1, batch(t, c, effect("o1", change(1, fold.OpSet, "s"))))); err != nil {
		t.Fatal(err)
	}
	cl.Next = 1
	tried := 0
	locked := increments("o1", func(int) {
		tried++
		if _, err := w.sql.Exec(t.Context(), "SELECT FROM"+onTable+"FOR UPDATE NOWAIT"); err == nil {
			t.Error("the row is not locked")
		} else if _, code := sqlState(err); code != stateLockNotAvailable {
			t.Error(err)
		}
	})
	byWhere := locked
	byWhere.Key, byWhere.Where = nil, []fold.Match{{Column: 1, Value: "s"}}
	for _, e := range []fold.Effect{locked, byWhere} {
		if err := wr.Commit(t.Context(), move(cl, cl.Next+1, batch(t, c, e))); err != nil {
			t.Fatal(err)
		}
		cl.Next++
	}
	if got := w.text("SELECT n FROM" + onTable); got != "12" || tried != 2 {
		t.Fatalf("n is %s after %d tries", got, tried)
	}
}

// Fan-outs that touch the same rows in opposite orders wait for each other, and
// for the commits without any: none is ended as a deadlock.
func TestFanOutsDoNotDeadlock(t *testing.T) {
	w, c := newWorld(t), ordersContract()
	c.Models[0].Handlers = []contract.Handler{{Name: "moved", Where: map[string]string{"status": "event.status"}}}
	const writers, rounds = 3, 10
	w.prepared(c, writers)
	models, err := fold.ModelsOf(c)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for p := range writers {
		wr := w.writer(w.config(), c)
		cl := claim(t, wr, "a", orders(int32(p)))[0]
		wg.Go(func() {
			for round := range rounds {
				b := fold.NewBatch(models)
				for i := range 6 {
					id := fmt.Sprint((i*(1+2*p) + round) % 7)
					where := fold.Effect{Where: []fold.Match{{Column: 1, Value: fmt.Sprint((i + p) % 3)}}, Changes: []fold.Change{change(2, fold.OpAdd, int64(1))}}
					effects := []fold.Effect{effect(id, change(1, fold.OpSet, fmt.Sprint(i%3))), where}
					if p == 0 {
						effects = effects[:1] // one that has none
					}
					if err := errors.Join(b.Apply(effects[0]), b.Apply(effects[1:]...)); err != nil {
						t.Error(err)
					}
				}
				if err := wr.Commit(context.WithoutCancel(t.Context()), move(cl, cl.Next+1, b)); err != nil {
					t.Error(err)
					return
				}
				cl.Next++
			}
		})
	}
	wg.Wait()
	if got := w.text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"); got != "0" {
		t.Fatal(got, "deadlocks")
	}
}

// A unique value that two processes take at once is one's; the other hears of it as a fault of its event.
func TestUniqueAcrossProcesses(t *testing.T) {
	w, c := newWorld(t), ordersContract()
	c.Models[0].Indexes = []contract.Index{{Columns: []string{"status"}, Unique: true}}
	w.prepared(c, 2)
	errs := make([]error, 2)
	var wg sync.WaitGroup
	for p := range errs {
		wr := w.writer(w.config(), c)
		cl := claim(t, wr, "a", orders(int32(p)))[0]
		b := batch(t, c, effect(fmt.Sprint(p), change(1, fold.OpSet, "canary")))
		wg.Go(func() { errs[p] = wr.Commit(context.WithoutCancel(t.Context()), move(cl, 1, b)) })
	}
	wg.Wait()
	if (errs[0] == nil) == (errs[1] == nil) {
		t.Fatal(errs)
	}
	err := errors.Join(errs...)
	var data *stores.DataError
	if !errors.As(err, &data) || data.Column != "status" || data.Path != "models[order_summary].indexes[status]" || strings.Contains(err.Error(), "canary") {
		t.Fatal(err)
	}
	if got := w.text("SELECT count(*) FROM" + onTable); got != "1" {
		t.Fatal(got, "rows")
	}
}
