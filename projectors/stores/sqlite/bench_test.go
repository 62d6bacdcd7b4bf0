// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package sqlite_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/apd/v3"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// BenchmarkCommit folds and commits 200,000 small events in batches of 5,000, on
// 50,000 keys and on one key an event, into a file. One iteration is one such run.
func BenchmarkCommit(b *testing.B) {
	const events, batch = 200_000, 5_000
	zero := "0"
	for _, keys := range []int{50_000, events} {
		b.Run(fmt.Sprint(keys, " keys"), func(b *testing.B) {
			for b.Loop() {
				d := open(b, filepath.Join(b.TempDir(), "bench.db"))
				c := &contract.Contract{
					Projection: contract.Identity{Cluster: "c", Namespace: "n", Name: "p"}, Revision: "0123456789", DataHash: "1:0123456789",
					Topics: []contract.Topic{{Name: "orders"}},
					Models: []contract.Model{{Name: "orders", Key: []string{"id"}, Columns: []contract.Column{
						{Name: "id", Type: "text"}, {Name: "n", Type: "int64", Default: &zero}, {Name: "total", Type: "decimal(12,2)"}, {Name: "status", Type: "text"},
					}}},
				}
				tp := event.TopicPartition{Topic: "orders"}
				if _, err := d.Admin().Prepare(b.Context(), c, []stores.Start{{TopicPartition: tp}}); err != nil {
					b.Fatal(err)
				}
				models, err := fold.ModelsOf(c)
				if err != nil {
					b.Fatal(err)
				}
				w, err := d.Writer(c)
				if err != nil {
					b.Fatal(err)
				}
				claims, err := w.Claim(b.Context(), "bench", []event.TopicPartition{tp})
				if err != nil {
					b.Fatal(err)
				}
				rows := fold.NewBatch(models)
				for i := range events {
					if err := rows.Apply(fold.Effect{Key: []value.Value{fmt.Sprintf("order-%08d", i*7919%keys)}, Changes: []fold.Change{
						{Column: 1, Op: fold.OpAdd, Operand: int64(1)}, {Column: 2, Op: fold.OpAdd, Operand: apd.New(int64(i), -2)}, {Column: 3, Op: fold.OpSet, Operand: "placed"},
					}}); err != nil {
						b.Fatal(err)
					}
					if (i+1)%batch > 0 {
						continue
					}
					if err := w.Commit(b.Context(), stores.Commit{Advances: []stores.Advance{{Claim: claims[0], Next: int64(i + 1)}}, Rows: rows}); err != nil {
						b.Fatal(err)
					}
					claims[0].Next = int64(i + 1)
					rows.Reset()
				}
			}
			b.ReportMetric(float64(b.N)*events/b.Elapsed().Seconds(), "events/s")
		})
	}
}
