// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"

	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// worker commits to one partition as a process of its own.
type worker struct {
	f     *fixture
	w     stores.Writer
	claim stores.Claim
}

func (f *fixture) worker(p event.TopicPartition) *worker {
	w := f.db.Writer(f, f.c)
	f.Cleanup(w.Close)
	return &worker{f: f, w: w, claim: f.claims[p]}
}

func (w *worker) commit(effects ...fold.Effect) error {
	b := fold.NewBatch(w.f.models)
	for _, e := range effects {
		if err := b.Apply(e); err != nil {
			return err
		}
	}
	a := stores.Advance{Claim: w.claim, Next: w.claim.Next + int64(len(effects)), LeaderEpoch: 1}
	if err := w.w.Commit(w.f.ctx, stores.Commit{Advances: []stores.Advance{a}, Rows: b}); err != nil {
		return err
	}
	w.claim.Next = a.Next
	return nil
}

// concurrentAdds: partitions that write the same rows in opposite orders and
// all shapes: every effect counts once, and no deadlock or contention comes out.
func concurrentAdds(t *testing.T, h Harness) {
	const rounds, keys = 25, 30
	f := h.open(t, one())
	var wg sync.WaitGroup
	errs := make([]error, len(allPartitions()))
	sums := make([][keys]int64, len(allPartitions()))
	for i, p := range allPartitions() {
		w := f.worker(p)
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 7))
			for round := range rounds {
				var effects []fold.Effect
				for _, k := range rng.Perm(keys) {
					id := fmt.Sprintf("k%02d", k)
					switch n := rng.IntN(6); {
					case n == 0:
						continue
					case n == 1: // read, fold, write back
						effects = append(effects, ignore(on(id)), ignore(on(id, push(2, "x"))), on(id, add(1, int64(1))))
						sums[i][k]++
					case n == 2: // more on the way than in the end
						effects = append(effects, on(id, add(1, int64(50))), on(id, add(1, int64(-49))))
						sums[i][k]++
					case n == 3 && round > 0:
						effects = append(effects, ignore(on(id, add(1, int64(0)))))
					default:
						effects = append(effects, on(id, add(1, int64(2))))
						sums[i][k] += 2
					}
				}
				if err := w.commit(effects...); err != nil {
					errs[i] = fmt.Errorf("%s, round %d: %w", p, round, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	rows := f.db.Rows(t, f.c, 0)
	if len(rows) != keys {
		t.Fatalf("%d rows", len(rows))
	}
	for k, row := range rows {
		var want int64
		for i := range sums {
			want += sums[i][k]
		}
		if row[0] != fmt.Sprintf("k%02d", k) || row[1] != want {
			t.Fatalf("row %v, want a sum of %d", row[:2], want)
		}
	}
}

// concurrentLoads: partitions whose effects read overlapping rows, many of them
// absent at first or deleted again, in opposite orders: no effect is lost, though a
// transaction that read a row as absent may find it there.
func concurrentLoads(t *testing.T, h Harness) {
	const rounds, keys = 20, 12
	f := h.open(t, one())
	var wg sync.WaitGroup
	errs := make([]error, len(allPartitions()))
	counts := make([][keys]int64, len(allPartitions()))
	for i, p := range allPartitions() {
		w := f.worker(p)
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 11))
			for round := range rounds {
				var effects []fold.Effect
				// In later rounds keys that nobody has touched come into play.
				for _, k := range rng.Perm(min(keys, 2+round)) {
					id := fmt.Sprintf("k%02d", k)
					counts[i][k] += 2
					effects = append(effects, counting(id), counting(id))
					if rng.IntN(4) == 0 {
						effects = append(effects, on(id, add(1, int64(1))))
						counts[i][k]++
					}
				}
				if err := w.commit(effects...); err != nil {
					errs[i] = fmt.Errorf("%s, round %d: %w", p, round, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for k, row := range f.db.Rows(t, f.c, 0) {
		var want int64
		for i := range counts {
			want += counts[i][k]
		}
		if row[1] != want {
			t.Fatalf("row %v, want a count of %d: an effect is lost", row[:2], want)
		}
	}
}

// concurrentFanOuts: partitions whose fan-outs and loads touch the same rows in
// different orders. What deadlocks is tried again, and each effect counts once.
func concurrentFanOuts(t *testing.T, h Harness) {
	const rounds, keys = 8, 20
	f := h.open(t, grouped())
	id := func(k int) string { return fmt.Sprintf("k%02d", k) }
	var all []fold.Effect
	for k := range keys {
		all = append(all, on(id(k), set(groupColumn, []value.Value{"g", "h"}[k%2])))
	}
	f.commit(all...)
	var wg sync.WaitGroup
	errs := make([]error, len(allPartitions()))
	counts := make([][keys]int64, len(allPartitions()))
	for i, p := range allPartitions()[:4] {
		w := f.worker(p)
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 13))
			for round := range rounds {
				var effects []fold.Effect
				for range 3 {
					k, g := rng.IntN(keys), rng.IntN(2)
					counts[i][k]++
					effects = append(effects, counting2(id(k)), in([]value.Value{"g", "h"}[g], changing(add(countColumn, int64(1)))))
					for k := g; k < keys; k += 2 {
						counts[i][k]++
					}
				}
				if err := w.commit(effects...); err != nil {
					errs[i] = fmt.Errorf("%s, round %d: %w", p, round, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for k, row := range f.db.Rows(t, f.c, 0) {
		var want int64
		for i := range counts {
			want += counts[i][k]
		}
		if row[countColumn] != want {
			t.Fatalf("row %v, want a count of %d: an effect is lost", row, want)
		}
	}
}

// concurrentTakeover: processes claim one partition from each other while they
// commit. What one of them was told is committed, and nothing else, is there.
func concurrentTakeover(t *testing.T, h Harness) {
	const processes, commits = 4, 40
	f := h.open(t, one())
	p := tp("orders", 0)
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		done int64
		errs []error
	)
	for i := range processes {
		w := f.worker(p)
		wg.Go(func() {
			for {
				got, err := w.w.Claim(f.ctx, fmt.Sprint("pod-", i), []event.TopicPartition{p})
				if err != nil {
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
					return
				}
				for w.claim = got[0]; ; {
					if w.claim.Next >= 100+commits {
						return
					}
					err := w.commit(on("sum", add(1, int64(1)), push(2, strconv.FormatInt(w.claim.Next, 10))))
					var fenced *stores.FencedError
					if errors.As(err, &fenced) {
						break
					}
					mu.Lock()
					if err != nil {
						errs = append(errs, err)
						mu.Unlock()
						return
					}
					done++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	var log []value.Value
	for n := range int64(commits) {
		log = append(log, strconv.FormatInt(100+n, 10))
	}
	if done != commits {
		t.Fatalf("%d commits were acknowledged, want %d", done, commits)
	}
	f.wants(0, []value.Value{"sum", int64(commits), log})
}
