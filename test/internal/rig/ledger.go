// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/test/oracle"
)

// LedgerSpec is the projection of the oracle's events; see oracle.Fold.
func LedgerSpec(orders, payments int32) Spec {
	zero, empty := "0", "[]"
	money := "0.00"
	return Spec{
		Topics: []contract.Topic{
			{Name: oracle.Orders, KeyedBy: "event.id", EventType: "event.type"},
			{Name: oracle.Payments, KeyedBy: "event.id", EventType: "event.type"},
		},
		Partitions: map[string]int32{oracle.Orders: orders, oracle.Payments: payments},
		Models: []contract.Model{
			{
				Name: oracle.Ledger, Key: []string{"id"},
				Columns: []contract.Column{
					{Name: "id", Type: "text"},
					{Name: "lines", Type: "int64", Default: &zero},
					{Name: "total", Type: "decimal(18,2)", Default: &money},
					{Name: "highest", Type: "int64"},
					{Name: "last", Type: "int64"},
					{Name: "notes", Type: "int64", Default: &zero},
					{Name: "seqs", Type: "int64[]", Default: &empty},
				},
				Handlers: []contract.Handler{
					{
						Name: "line", Topic: oracle.Orders, Events: []string{"line"}, OnAbsent: "Create", Key: map[string]string{"id": "event.id"},
						Add: map[string]string{"lines": "1", "total": "event.amount"}, Max: map[string]string{"highest": "event.n"},
						Set: map[string]string{"last": "event.seq"}, Append: map[string]string{"seqs": "event.seq"},
					},
					{
						Name: "note", Topic: oracle.Orders, Events: []string{"note"}, OnAbsent: "Ignore", Key: map[string]string{"id": "event.id"},
						Add: map[string]string{"notes": "1"}, Append: map[string]string{"seqs": "event.seq"},
					},
					{
						Name: "erased", Topic: oracle.Orders, Events: []string{"erased"}, OnAbsent: "Ignore",
						Key: map[string]string{"id": "event.id"}, Delete: true,
					},
				},
			},
			{
				Name: oracle.Balances, Key: []string{"account"},
				Columns: []contract.Column{
					{Name: "account", Type: "text"},
					{Name: "ordered", Type: "int64", Default: &zero},
					{Name: "paid", Type: "int64", Default: &zero},
					{Name: "balance", Type: "int64", Default: &zero},
					{Name: "events", Type: "int64", Default: &zero},
				},
				Handlers: []contract.Handler{
					{
						Name: "ordered", Topic: oracle.Orders, Events: []string{"line"}, OnAbsent: "Create",
						Key: map[string]string{"account": "event.account"},
						Add: map[string]string{"ordered": "event.n", "balance": "event.delta", "events": "1"},
					},
					{
						Name: "paid", Topic: oracle.Payments, OnAbsent: "Create",
						Key: map[string]string{"account": "event.account"},
						Add: map[string]string{"paid": "event.n", "balance": "event.delta", "events": "1"},
					},
				},
			},
		},
	}
}

// Record gives an event of the oracle as a record of the projection's topic.
func (p *Projection) Record(e oracle.Event) *kgo.Record {
	return &kgo.Record{Topic: p.BrokerTopic(e.Topic), Key: []byte(e.Key), Value: e.Value}
}

// Feed makes events, folds and produces them.
type Feed struct {
	*oracle.Generator
	*oracle.Fold
	p     *Projection
	kafka *Kafka
}

// NewFeed makes a feed of the projection from a seed.
func (p *Projection) NewFeed(seed uint64, keys, accounts int) *Feed {
	return &Feed{Generator: oracle.NewGenerator(seed, keys, accounts), Fold: oracle.NewFold(), p: p, kafka: p.Kafka}
}

// Make makes the next n events as records, which the caller has to produce.
func (f *Feed) Make(t testing.TB, n int) []*kgo.Record {
	t.Helper()
	records, err := f.make(n)
	if err != nil {
		t.Fatal(err)
	}
	return records
}

func (f *Feed) make(n int) ([]*kgo.Record, error) {
	records := make([]*kgo.Record, n)
	for i := range records {
		e := f.Next()
		if err := f.Apply(e); err != nil {
			return nil, err
		}
		records[i] = f.p.Record(e)
	}
	return records, nil
}

// Use produces with another client from now on: one that has fresh metadata.
func (f *Feed) Use(k *Kafka) { f.kafka = k }

// Push is Produce outside of a test's own goroutine. One goroutine at a time may
// use a Feed.
func (f *Feed) Push(n int) error {
	records, err := f.make(n)
	if err != nil {
		return err
	}
	return f.kafka.ProduceAll(records)
}

// Produce makes and produces n events and waits for the broker.
func (f *Feed) Produce(t testing.TB, n int) {
	t.Helper()
	for n > 0 {
		chunk := min(n, 20_000)
		f.kafka.Produce(t, f.Make(t, chunk)...)
		n -= chunk
	}
}

// Verify compares the tables, and the audit where there is one, and fails on any difference.
func (f *Feed) Verify(t testing.TB) *oracle.Result {
	t.Helper()
	r := f.Compare(t)
	if !r.OK() {
		t.Errorf("after %d events: %s", f.Events, r)
	}
	return r
}

// Compare compares the tables with the fold.
func (f *Feed) Compare(t testing.TB) *oracle.Result {
	t.Helper()
	return Retry(t, "compare", f.check)
}

func (f *Feed) check(ctx context.Context) (*oracle.Result, error) {
	return f.Check(ctx, f.p.Pool, f.p.ID)
}
