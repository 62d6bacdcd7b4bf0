// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/handlers"
	"github.com/projectionist-dev/projectionist/projectors/sources"
	sourcememory "github.com/projectionist-dev/projectionist/projectors/sources/memory"
	"github.com/projectionist-dev/projectionist/projectors/stores"
	"github.com/projectionist-dev/projectionist/projectors/stores/memory"
	"github.com/projectionist-dev/projectionist/projectors/verify"
)

// world is a broker, a store, and a projector that takes a step when it is told to.
type world struct {
	testing.TB
	broker *sourcememory.Broker
	log    *sourcememory.Log
	admin  stores.Admin
	// store is where the rows are, unless another one was given.
	store   *memory.Store
	c       *contract.Contract
	program *handlers.Program
	writer  stores.Writer
	claims  map[event.TopicPartition]stores.Claim
	// feed holds the records that were appended and not applied.
	feed map[event.TopicPartition][]event.Record
}

// newWorld prepares a contract's tables, its topics having n partitions.
func newWorld(t testing.TB, c *contract.Contract, n int32) *world {
	t.Helper()
	s := memory.New()
	w := newWorldOn(t, c, n, s.Admin(), s.Writer(c))
	w.store = s
	return w
}

// newWorldOn is newWorld on another store than the one in memory.
func newWorldOn(t testing.TB, c *contract.Contract, n int32, admin stores.Admin, writer stores.Writer) *world {
	t.Helper()
	program, err := handlers.Compile(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		TB: t, broker: sourcememory.NewBroker(), admin: admin, writer: writer, c: c, program: program,
		claims: map[event.TopicPartition]stores.Claim{}, feed: map[event.TopicPartition][]event.Record{},
	}
	for _, topic := range c.Topics {
		w.broker.CreateTopic(topic.Name, n)
	}
	w.log = w.broker.Log()
	w.log.MaxRecords, w.log.MaxWait = 3, time.Millisecond
	var starts []stores.Start
	for _, topic := range c.Topics {
		infos, err := w.log.Describe(t.Context(), topic.Name)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			starts = append(starts, stores.Start{TopicPartition: event.TopicPartition{Topic: topic.Name, Partition: i}, TopicID: infos[topic.Name].ID})
		}
	}
	if _, err := admin.Prepare(t.Context(), c, starts); err != nil {
		t.Fatal(err)
	}
	var tps []event.TopicPartition
	for _, s := range starts {
		tps = append(tps, s.TopicPartition)
	}
	w.claim(tps...)
	return w
}

func (w *world) claim(tps ...event.TopicPartition) {
	w.Helper()
	claims, err := w.writer.Claim(w.Context(), "pod", tps)
	if err != nil {
		w.Fatal(err)
	}
	for _, c := range claims {
		w.claims[c.TopicPartition] = c
	}
}

// append writes events to the log; nobody applies them yet.
func (w *world) append(tp event.TopicPartition, records ...event.Record) {
	first := w.broker.Append(tp, records...)
	for i, r := range records {
		r.Offset, r.Timestamp = first+int64(i), 1
		w.feed[tp] = append(w.feed[tp], r)
	}
}

// apply takes the next n events of a partition, all there are with a negative n, in one commit; what the handlers
// refuse stays, and the error says why.
func (w *world) apply(tp event.TopicPartition, n int) error {
	if n < 0 || n > len(w.feed[tp]) {
		n = len(w.feed[tp])
	}
	batch, eval := fold.NewBatch(w.program.Models()), w.program.NewEvaluator()
	claim := w.claims[tp]
	next := claim.Next
	for i := range w.feed[tp][:n] {
		effects, _, err := eval.Handle(tp, &w.feed[tp][i], nil)
		if err == nil {
			err = batch.Apply(effects...)
		}
		if err != nil {
			return err
		}
		next = w.feed[tp][i].Offset + 1
	}
	if err := w.writer.Commit(w.Context(), stores.Commit{Advances: []stores.Advance{{Claim: claim, Next: next, TopicID: claim.TopicID}}, Rows: batch}); err != nil {
		return err
	}
	claim.Next = next
	w.claims[tp], w.feed[tp] = claim, w.feed[tp][n:]
	return nil
}

// applied appends and applies.
func (w *world) applied(tp event.TopicPartition, records ...event.Record) {
	w.Helper()
	w.append(tp, records...)
	if err := w.apply(tp, -1); err != nil {
		w.Fatal(err)
	}
}

func (w *world) options() verify.Options {
	return verify.Options{
		Log: w.log, Store: w.admin.(stores.Snapshotter), Contract: w.c, Program: w.program, Differences: 10, Patience: 5 * time.Second,
	}
}

func (w *world) verify(change ...func(*verify.Options)) *verify.Result {
	w.Helper()
	o := w.options()
	for _, f := range change {
		f(&o)
	}
	r, err := verify.Run(w.Context(), o)
	if err != nil {
		w.Fatal(err)
	}
	return r
}

// hooked does things between the steps of a comparison.
type hooked struct {
	sources.Log
	stores.Snapshotter
	// beforeFetch runs before each Fetch, beforeSnapshot before each Snapshot, with its number.
	beforeFetch    func()
	beforeSnapshot func(n int)
	snapshots      int
}

func (h *hooked) Fetch(ctx context.Context, positions []sources.Position) ([]sources.Result, error) {
	if h.beforeFetch != nil {
		h.beforeFetch()
	}
	return h.Log.Fetch(ctx, positions)
}

func (h *hooked) Snapshot(ctx context.Context, c *contract.Contract, v stores.Visit) error {
	if h.beforeSnapshot != nil {
		h.beforeSnapshot(h.snapshots)
	}
	h.snapshots++
	return h.Snapshotter.Snapshot(ctx, c, v)
}

// hook puts hooks between the comparison and the world.
func (w *world) hook(h *hooked) func(*verify.Options) {
	return func(o *verify.Options) {
		h.Log, h.Snapshotter = o.Log, o.Store
		o.Log, o.Store = h, h
	}
}

func ptr(s string) *string { return &s }

// orders is a projection of one topic: a row per order, a fan-out over a customer's orders, and totals over all partitions.
func orders() *contract.Contract {
	key := map[string]string{"customer": "event.customer", "id": "event.id"}
	return &contract.Contract{
		Version: contract.Version, Projection: contract.Identity{Cluster: "test", Namespace: "shop", Name: "orders"},
		Revision: "aaaaaaaaaa", DataHash: "1:aaaaaaaaaa00",
		Topics: []contract.Topic{{Name: "orders", BrokerTopic: "orders", Format: "JSON", KeyedBy: "event.customer", EventType: "event.type"}},
		Models: []contract.Model{
			{
				Name: "order", Key: []string{"customer", "id"},
				Columns: []contract.Column{
					{Name: "customer", Type: "text"}, {Name: "id", Type: "int64"},
					{Name: "lines", Type: "int64", Default: ptr("0")}, {Name: "total", Type: "decimal(12,2)", Default: ptr("0.00")},
					{Name: "state", Type: "text"}, {Name: "log", Type: "int64[]", Default: ptr("[]")}, {Name: "doc", Type: "json"},
				},
				Handlers: []contract.Handler{
					{Name: "line", Topic: "orders", Events: []string{"line"}, OnAbsent: "Create", Key: key,
						Add: map[string]string{"lines": "1", "total": "event.price"}, Append: map[string]string{"log": "event.n"}, Set: map[string]string{"doc": "event"}},
					{Name: "shipped", Topic: "orders", Events: []string{"shipped"}, OnAbsent: "Ignore", Key: key,
						Set: map[string]string{"state": "row.state == null ? 'shipped' : row.state"}},
					{Name: "closed", Topic: "orders", Events: []string{"closed"}, Where: map[string]string{"customer": "event.customer"},
						Set: map[string]string{"state": "'closed'"}},
					{Name: "erased", Topic: "orders", Events: []string{"erased"}, OnAbsent: "Ignore", Key: key, Delete: true},
				},
			},
			{
				Name: "total", Key: []string{"day"},
				Columns: []contract.Column{{Name: "day", Type: "int64"}, {Name: "n", Type: "int64", Default: ptr("0")}},
				Handlers: []contract.Handler{
					{Name: "line", Topic: "orders", Events: []string{"line"}, OnAbsent: "Create", Key: map[string]string{"day": "int(event.n) % 7"}, Add: map[string]string{"n": "1"}},
				},
			},
		},
	}
}

func partition(i int32) event.TopicPartition {
	return event.TopicPartition{Topic: "orders", Partition: i}
}

// order is an event of a customer, who is number n modulo 10, with what only it has.
func order(typ string, n int) (event.TopicPartition, event.Record) {
	customer := fmt.Sprintf("c%d", n%10)
	body := fmt.Sprintf(`{"type": %q, "customer": %q, "id": %d, "price": %d.%02d, "n": %d}`, typ, customer, n%50, n%13, n%100, n)
	return partition(int32(n % 10 % 2)), event.Record{Key: []byte(customer), Value: []byte(body)}
}

// fill applies n events of all kinds.
func (w *world) fill(n int) {
	w.Helper()
	for i := range n {
		w.applied(order(kindOf(i), i))
	}
}

func kindOf(i int) string {
	switch {
	case i%31 == 30:
		return "erased"
	case i%17 == 16:
		return "closed"
	case i%5 == 4:
		return "shipped"
	}
	return "line"
}

// meddle changes a row by hand.
func (w *world) meddle(key []value.Value, fn func(row []value.Value) []value.Value) {
	w.store.Meddle(w.c, 0, key, fn)
}
