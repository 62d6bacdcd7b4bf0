// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package postgres

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/apd/v3"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
)

// benchContract has eight columns, as an order summary would.
func benchContract() *contract.Contract {
	c := ordersContract()
	c.Models = []contract.Model{{
		Name: "bench", Key: []string{"id"},
		Columns: []contract.Column{
			{Name: "id", Type: "text"}, {Name: "customer", Type: "text"}, {Name: "status", Type: "text"}, {Name: "n", Type: "int64", Default: ptr("0")},
			{Name: "total", Type: "decimal(12,2)"}, {Name: "last", Type: "timestamp"}, {Name: "worst", Type: "int32"}, {Name: "info", Type: "json"},
		},
		Indexes: []contract.Index{{Columns: []string{"customer"}}},
	}}
	return c
}

const benchKeys = 200_000

func benchEffect(r *rand.Rand, onlyAdds bool) fold.Effect {
	k := r.IntN(benchKeys)
	d := apd.New(r.Int64N(100_000), -2)
	e := effect(fmt.Sprintf("order-%08d", k), change(3, fold.OpAdd, int64(1)), change(4, fold.OpAdd, d), change(6, fold.OpMax, r.Int64N(1000)))
	if onlyAdds {
		return e
	}
	e.Changes = append([]fold.Change{
		change(1, fold.OpSet, fmt.Sprintf("customer-%05d", k%20_000)), change(2, fold.OpSet, "shipped"),
		change(5, fold.OpSet, time.UnixMicro(1_700_000_000_000_000+r.Int64N(1e12)).UTC()),
	}, append(e.Changes, change(7, fold.OpSet, value.JSON(`{"a":1,"b":"some text"}`)))...)
	return e
}

func benchmarkCommit(b *testing.B, rows int, mode string) {
	w, c := newWorld(b), benchContract()
	wr := w.prepared(c, 1)
	w.exec(`INSERT INTO shop.bench__0123456789 (id, customer, n)
SELECT 'order-' || lpad(g::text, 8, '0'), 'customer-' || lpad((g % 20000)::text, 5, '0'), 1 FROM generate_series(0, $1::int - 1) g`, benchKeys/2)
	w.exec("VACUUM ANALYZE shop.bench__0123456789")
	models, err := fold.ModelsOf(c)
	if err != nil {
		b.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	cl := claim(b, wr, "bench", orders(0))[0]
	made := 0
	b.ResetTimer()
	var inCommit time.Duration
	for range b.N {
		fb := fold.NewBatch(models)
		for fb.Len() < rows {
			e := benchEffect(r, mode == "adds")
			e.IgnoreAbsent = mode == "update"
			if mode == "load" {
				e.Changes = append(e.Changes[:0:0], change(3, fold.OpAdd, int64(5)))
				if err := fb.Apply(e); err != nil {
					b.Fatal(err)
				}
				e.Changes = []fold.Change{change(3, fold.OpAdd, int64(-3))}
			}
			if err := fb.Apply(e); err != nil {
				b.Fatal(err)
			}
		}
		begin := time.Now()
		if err := wr.Commit(b.Context(), move(cl, cl.Next+int64(rows), fb)); err != nil {
			b.Fatal(err)
		}
		inCommit += time.Since(begin)
		cl.Next += int64(rows)
		made += fb.Len()
	}
	b.StopTimer()
	b.ReportMetric(float64(made)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(made)/inCommit.Seconds(), "rows/s-commit")
	b.ReportMetric(0, "ns/op")
}

func BenchmarkCommit(b *testing.B) {
	for _, mode := range []string{"upsert", "adds", "update", "load"} {
		for _, rows := range []int{1000, 5000} {
			b.Run(fmt.Sprintf("%s/%d", mode, rows), func(b *testing.B) { benchmarkCommit(b, rows, mode) })
		}
	}
}
