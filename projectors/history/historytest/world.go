// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package historytest

import (
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
)

// World is a broker, a store, and a projector that takes a step when it is told to.
type World struct {
	testing.TB
	Broker *sourcememory.Broker
	Topics *sourcememory.Log
	Admin  stores.Admin
	// Store is where the rows are, unless another one was given.
	Store    *memory.Store
	Contract *contract.Contract
	Program  *handlers.Program
	Writer   stores.Writer
	Claims   map[event.TopicPartition]stores.Claim
	// Feed holds the records that were appended and not applied.
	Feed map[event.TopicPartition][]event.Record
}

// New prepares a contract's tables, its topics having n partitions.
func New(t testing.TB, c *contract.Contract, n int32) *World {
	t.Helper()
	s := memory.New()
	w := NewOn(t, c, n, s.Admin(), s.Writer(c))
	w.Store = s
	return w
}

// NewOn is New on another store than the one in memory.
func NewOn(t testing.TB, c *contract.Contract, n int32, admin stores.Admin, writer stores.Writer) *World {
	t.Helper()
	program, err := handlers.Compile(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &World{
		TB: t, Broker: sourcememory.NewBroker(), Admin: admin, Writer: writer, Contract: c, Program: program,
		Claims: map[event.TopicPartition]stores.Claim{}, Feed: map[event.TopicPartition][]event.Record{},
	}
	for _, topic := range c.Topics {
		w.Broker.CreateTopic(topic.Name, n)
	}
	w.Topics = w.Broker.Log()
	w.Topics.MaxRecords, w.Topics.MaxWait = 3, time.Millisecond
	var starts []stores.Start
	for _, topic := range c.Topics {
		infos, err := w.Topics.Describe(t.Context(), topic.Name)
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
	w.Claim(tps...)
	return w
}

// From prepares another revision of the same projection beside w's, which begins elsewhere, and gives it with a projector of its own.
func (w *World) From(from *contract.From) *World {
	w.Helper()
	c := *w.Contract
	c.Revision, c.Attempt, c.From = "bbbbbbbbbb", "from", from
	infos, err := w.Topics.Describe(w.Context(), "orders")
	if err != nil {
		w.Fatal(err)
	}
	var starts []stores.Start
	var tps []event.TopicPartition
	for i := range infos["orders"].Partitions {
		tps = append(tps, Partition(i))
	}
	bounds, err := w.Topics.Bounds(w.Context(), tps...)
	if err != nil {
		w.Fatal(err)
	}
	at, err := w.Topics.At(w.Context(), from.Time, tps...)
	if err != nil {
		w.Fatal(err)
	}
	for _, tp := range tps {
		b := bounds[tp]
		starts = append(starts, stores.Start{TopicPartition: tp, Next: b.Earliest, End: b.End, At: at[tp], TopicID: infos["orders"].ID})
	}
	if _, err := w.Admin.Prepare(w.Context(), &c, starts); err != nil {
		w.Fatal(err)
	}
	out := &World{
		TB: w.TB, Broker: w.Broker, Topics: w.Topics, Admin: w.Admin, Store: w.Store, Writer: w.Store.Writer(&c), Contract: &c, Program: w.Program,
		Claims: map[event.TopicPartition]stores.Claim{}, Feed: map[event.TopicPartition][]event.Record{},
	}
	out.Claim(tps...)
	for _, tp := range tps {
		results, err := w.Topics.Fetch(w.Context(), []sources.Position{{TopicPartition: tp, Offset: out.Claims[tp].Next, LeaderEpoch: -1}})
		for err == nil && len(results) > 0 && results[0].Err == nil && len(results[0].Batch.Records) > 0 {
			out.Feed[tp] = append(out.Feed[tp], results[0].Batch.Records...)
			results, err = w.Topics.Fetch(w.Context(), []sources.Position{{TopicPartition: tp, Offset: results[0].Batch.Next, LeaderEpoch: -1}})
		}
		if err != nil {
			w.Fatal(err)
		}
	}
	return out
}

// Claim takes partitions, whoever has them.
func (w *World) Claim(tps ...event.TopicPartition) {
	w.Helper()
	claims, err := w.Writer.Claim(w.Context(), "pod", tps)
	if err != nil {
		w.Fatal(err)
	}
	for _, c := range claims {
		w.Claims[c.TopicPartition] = c
	}
}

// Append writes events to the log; nobody applies them yet.
func (w *World) Append(tp event.TopicPartition, records ...event.Record) {
	first := w.Broker.Append(tp, records...)
	for i, r := range records {
		r.Offset, r.Timestamp = first+int64(i), 1
		w.Feed[tp] = append(w.Feed[tp], r)
	}
}

// Apply takes the next n events of a partition, all there are with a negative n, in one commit; what the handlers
// refuse stays, and the error says why.
func (w *World) Apply(tp event.TopicPartition, n int) error {
	if n < 0 || n > len(w.Feed[tp]) {
		n = len(w.Feed[tp])
	}
	batch, eval := fold.NewBatch(w.Program.Models()), w.Program.NewEvaluator()
	claim := w.Claims[tp]
	next := claim.Next
	for i := range w.Feed[tp][:n] {
		effects, _, err := eval.Handle(tp, &w.Feed[tp][i], nil)
		if err == nil {
			err = batch.Apply(effects...)
		}
		if err != nil {
			return err
		}
		next = w.Feed[tp][i].Offset + 1
	}
	if err := w.Writer.Commit(w.Context(), stores.Commit{Advances: []stores.Advance{{Claim: claim, Next: next, TopicID: claim.TopicID}}, Rows: batch}); err != nil {
		return err
	}
	claim.Next = next
	w.Claims[tp], w.Feed[tp] = claim, w.Feed[tp][n:]
	return nil
}

// Applied appends and applies.
func (w *World) Applied(tp event.TopicPartition, records ...event.Record) {
	w.Helper()
	w.Append(tp, records...)
	if err := w.Apply(tp, -1); err != nil {
		w.Fatal(err)
	}
}

func ptr(s string) *string { return &s }

// Orders is a projection of one topic: a row per order, a fan-out over a customer's orders, and totals over all partitions.
func Orders() *contract.Contract {
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

// Partition is one of topic orders.
func Partition(i int32) event.TopicPartition {
	return event.TopicPartition{Topic: "orders", Partition: i}
}

// Order is an event of a customer, who is number n modulo 10, with what only it has.
func Order(typ string, n int) (event.TopicPartition, event.Record) {
	customer := fmt.Sprintf("c%d", n%10)
	body := fmt.Sprintf(`{"type": %q, "customer": %q, "id": %d, "price": %d.%02d, "n": %d}`, typ, customer, n%50, n%13, n%100, n)
	return Partition(int32(n % 10 % 2)), event.Record{Key: []byte(customer), Value: []byte(body)}
}

// Fill applies n events of all kinds.
func (w *World) Fill(n int) {
	w.Helper()
	for i := range n {
		w.Applied(Order(KindOf(i), i))
	}
}

// Profiles is a projection of a compacted topic: a row per key, which each event replaces.
func Profiles() *contract.Contract {
	return &contract.Contract{
		Version: contract.Version, Projection: contract.Identity{Cluster: "test", Namespace: "shop", Name: "profiles"},
		Revision: "cccccccccc", DataHash: "1:cccccccccc00",
		Topics: []contract.Topic{{Name: "orders", BrokerTopic: "orders", Format: "JSON", KeyedBy: "event.id"}},
		Models: []contract.Model{{
			Name: "profile", Key: []string{"id"}, Columns: []contract.Column{{Name: "id", Type: "text"}, {Name: "n", Type: "int64"}},
			Handlers: []contract.Handler{{Name: "set", Topic: "orders", OnAbsent: "Create", Key: map[string]string{"id": "event.id"}, Set: map[string]string{"n": "event.n"}}},
		}},
	}
}

// Profile is an event of Profiles.
func Profile(id string, n int) event.Record {
	return event.Record{Key: []byte(id), Value: fmt.Appendf(nil, `{"id": %q, "n": %d}`, id, n)}
}

// KindOf mixes the kinds of events, by their number.
func KindOf(i int) string {
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

// Meddle changes a row by hand.
func (w *World) Meddle(key []value.Value, fn func(row []value.Value) []value.Value) {
	w.Store.Meddle(w.Contract, 0, key, fn)
}
