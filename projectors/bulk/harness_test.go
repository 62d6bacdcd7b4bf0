// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package bulk_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/bulk"
	"github.com/projectionist-dev/projectionist/projectors/engine"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold/naive"
	"github.com/projectionist-dev/projectionist/projectors/handlers"
	sourcemem "github.com/projectionist-dev/projectionist/projectors/sources/memory"
	"github.com/projectionist-dev/projectionist/projectors/stores"
	storemem "github.com/projectionist-dev/projectionist/projectors/stores/memory"
	"github.com/projectionist-dev/projectionist/projectors/stores/storetest"
)

// world is a broker, a store and a revision that nobody has begun to apply events to.
type world struct {
	testing.TB
	broker  *sourcemem.Broker
	store   *storemem.Store
	c       *contract.Contract
	program *handlers.Program
	// feed is what was appended, in that order.
	feed []fed
	// builder is the one that build runs.
	builder *bulk.Builder
}

type fed struct {
	tp  event.TopicPartition
	rec event.Record
}

func newWorld(t testing.TB, c *contract.Contract, n int32) *world {
	t.Helper()
	program, err := handlers.Compile(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{TB: t, broker: sourcemem.NewBroker(), store: storemem.New(), c: c, program: program}
	for _, topic := range c.Topics {
		w.broker.CreateTopic(topic.Name, n)
	}
	w.prepare(c)
	return w
}

func (w *world) prepare(c *contract.Contract) {
	w.Helper()
	log := w.broker.Log()
	defer log.Close() //nolint:errcheck // in memory
	var starts []stores.Start
	for _, topic := range c.Topics {
		infos, err := log.Describe(w.Context(), topic.Name)
		if err != nil {
			w.Fatal(err)
		}
		for i := range infos[topic.Name].Partitions {
			starts = append(starts, stores.Start{TopicPartition: event.TopicPartition{Topic: topic.Name, Partition: i}, TopicID: infos[topic.Name].ID})
		}
	}
	if _, err := w.store.Admin().Prepare(w.Context(), c, starts); err != nil {
		w.Fatal(err)
	}
}

func (w *world) append(tp event.TopicPartition, rec event.Record) {
	if rec.Timestamp == 0 {
		rec.Timestamp = int64(1_700_000_000_000 + len(w.feed))
	}
	rec.Offset = w.broker.Append(tp, rec)
	w.feed = append(w.feed, fed{tp, rec})
}

// config is that of a build of whatever is there.
func (w *world) config(change func(*bulk.Config)) bulk.Config {
	log := w.broker.Log()
	log.MaxRecords, log.MaxWait = 3, time.Millisecond
	w.Cleanup(func() { _ = log.Close() })
	cfg := bulk.Config{
		Contract: w.c, Log: log, Writer: w.store.Writer(w.c), Models: w.program.Models(), Owner: "pod-1",
		NewEvaluator: func() engine.Evaluator { return w.program.NewEvaluator() },
		MinEvents:    1, Workers: 2, Poll: 2 * time.Millisecond, SpillDir: w.TempDir(),
	}
	if change != nil {
		change(&cfg)
	}
	return cfg
}

func (w *world) build(change func(*bulk.Config)) *bulk.Builder {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	defer cancel()
	b := bulk.New(w.config(change))
	w.builder = b
	if err := b.Run(ctx); err != nil {
		w.Fatalf("Run: %v", err)
	}
	return b
}

// expected folds the log naively, partition by partition behind each event that is
// refused; it tells whether one is.
func (w *world) expected(barred func(fed) bool) (*naive.State, bool) {
	w.Helper()
	n, eval, refused := naive.New(w.program.Models()), w.program.NewEvaluator(), map[event.TopicPartition]bool{}
	for _, f := range w.feed {
		if refused[f.tp] || barred != nil && barred(f) {
			continue
		}
		effects, _, err := eval.Handle(f.tp, &f.rec, nil)
		if err == nil {
			err = n.Apply(effects...)
		}
		refused[f.tp] = err != nil
	}
	for _, r := range refused {
		if r {
			return n, true
		}
	}
	return n, false
}

// holds says how the tables differ from a state, "" if they do not.
func (w *world) holds(n *naive.State) string {
	for m := range w.program.Models() {
		model := &w.program.Models()[m]
		got, want := w.store.Rows(w.c, model.Name), n.Rows(m)
		slices.SortFunc(want, func(a, b []value.Value) int {
			for _, k := range model.Key {
				if c := value.Compare(a[k], b[k]); c != 0 {
					return c
				}
			}
			return 0
		})
		if len(got) != len(want) {
			return fmt.Sprintf("model %s has %d rows, want %d", model.Name, len(got), len(want))
		}
		for i := range got {
			for c := range got[i] {
				if !storetest.Equal(got[i][c], want[i][c]) {
					return fmt.Sprintf("model %s, row %v: %v, want %v", model.Name, want[i][0], got[i], want[i])
				}
			}
		}
	}
	return ""
}

func (w *world) claims() []stores.Claim {
	w.Helper()
	out, err := w.store.Writer(w.c).Peek(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	return out
}

// built says what is wrong with a revision that was to be built up to the ends of the log.
func (w *world) built() string {
	log := w.broker.Log()
	defer log.Close() //nolint:errcheck // in memory
	for _, c := range w.claims() {
		b, err := log.Bounds(w.Context(), c.TopicPartition)
		if err != nil {
			return err.Error()
		}
		if c.Next != b[c.TopicPartition].End {
			return fmt.Sprintf("%s is at %d of %d", c.TopicPartition, c.Next, b[c.TopicPartition].End)
		}
		newest := time.Time{}
		for _, f := range w.feed {
			if f.tp == c.TopicPartition && f.rec.Time().After(newest) {
				newest = f.rec.Time()
			}
		}
		if !c.EventTime.Equal(newest) {
			return fmt.Sprintf("%s: the newest event is of %s, want %s", c.TopicPartition, c.EventTime, newest)
		}
	}
	if _, err := w.store.Writer(w.c).(stores.Builder).StartBuild(w.Context(), "other"); !errors.Is(err, stores.ErrBuilt) {
		return fmt.Sprintf("built once more: %v", err)
	}
	return ""
}

// untouched says what a build that was given up has left behind.
func (w *world) untouched() string {
	for _, m := range w.c.Models {
		if n := len(w.store.Rows(w.c, m.Name)); n > 0 {
			return fmt.Sprintf("%d rows in %s", n, m.Name)
		}
	}
	for _, c := range w.claims() {
		if c.Next != 0 || !c.EventTime.IsZero() {
			return fmt.Sprintf("%s is at %d", c.TopicPartition, c.Next)
		}
	}
	return ""
}

func ptr(s string) *string { return &s }

func on(i int32) event.TopicPartition { return event.TopicPartition{Topic: "orders", Partition: i} }

// orders has blind, loading and finished rows, tombstones, and rows of several partitions.
func orders() *contract.Contract {
	key := map[string]string{"customer": "event.customer", "id": "event.id"}
	return &contract.Contract{
		Version: contract.Version, Projection: contract.Identity{Cluster: "test", Namespace: "shop", Name: "orders"},
		Revision: "aaaaaaaaaa", DataHash: "1:aaaaaaaaaa00", Group: "orders",
		Topics: []contract.Topic{{Name: "orders", BrokerTopic: "orders", Format: "JSON", KeyedBy: "event.customer", EventType: "event.type"}},
		Models: []contract.Model{
			{
				Name: "order", Key: []string{"customer", "id"},
				Columns: []contract.Column{
					{Name: "customer", Type: "text"}, {Name: "id", Type: "int64"},
					{Name: "lines", Type: "int32", Default: ptr("0")}, {Name: "total", Type: "decimal(12,2)", Default: ptr("0.00")},
					{Name: "state", Type: "text"}, {Name: "log", Type: "int64[]", Default: ptr("[]")}, {Name: "doc", Type: "json"},
					{Name: "average", Type: "decimal(12,2)", Generated: "row.lines == 0 ? null : row.total / row.lines"},
				},
				Checks:  []contract.Check{{Name: "few", Rule: "row.lines < 1000"}},
				Indexes: []contract.Index{{Columns: []string{"state"}}},
				Handlers: []contract.Handler{
					{Name: "line", Topic: "orders", Events: []string{"line"}, OnAbsent: "Create", Key: key,
						Add: map[string]string{"lines": "1", "total": "event.price"}, Append: map[string]string{"log": "event.n"}, Merge: map[string]string{"doc": "event"}},
					{Name: "shipped", Topic: "orders", Events: []string{"shipped"}, OnAbsent: "Ignore", Key: key,
						Set: map[string]string{"state": "row.state == null ? 'shipped' : row.state + '+'"}},
					{Name: "erased", Topic: "orders", Events: []string{"erased"}, OnAbsent: "Ignore", Key: key, Delete: true},
				},
			},
			{
				Name: "total", Key: []string{"day"},
				Columns: []contract.Column{{Name: "day", Type: "int64"}, {Name: "n", Type: "int64", Default: ptr("0")}, {Name: "worst", Type: "int64"}},
				Handlers: []contract.Handler{
					{Name: "line", Topic: "orders", Events: []string{"line"}, OnAbsent: "Create", Key: map[string]string{"day": "int(event.n) % 7"},
						Add: map[string]string{"n": "1"}, Max: map[string]string{"worst": "event.n"}},
				},
			},
			{
				Name: "address", Key: []string{"customer"},
				Columns:  []contract.Column{{Name: "customer", Type: "text"}, {Name: "version", Type: "int64"}, {Name: "city", Type: "text"}},
				Versions: []contract.VersionGroup{{Column: "version", Columns: []string{"city"}}},
				Handlers: []contract.Handler{
					{Name: "moved", Topic: "orders", Events: []string{"shipped"}, OnAbsent: "Create", Key: map[string]string{"customer": "event.customer"},
						VersionBy: &contract.VersionBy{Column: "version", Value: "int(event.n) % 5"}, Set: map[string]string{"city": "'c' + string(event.n)"}},
					{Name: "gone", Topic: "orders", Events: []string{"erased"}, OnAbsent: "Create", Key: map[string]string{"customer": "event.customer"},
						VersionBy: &contract.VersionBy{Column: "version", Value: "int(event.n) % 5"}, Delete: true},
				},
			},
		},
	}
}

// order is event number n, of one of some customers.
func order(typ string, customers, partitions, n int) (event.TopicPartition, event.Record) {
	c := n % customers
	customer := fmt.Sprintf("c%d", c)
	body := fmt.Sprintf(`{"type": %q, "customer": %q, "id": %d, "price": %d.%02d, "n": %d}`, typ, customer, n%5, n%13, n%100, n)
	return on(int32(c % partitions)), event.Record{Key: []byte(customer), Value: []byte(body), Headers: []event.Header{{Key: "trace", Value: []byte("x")}}}
}

func (w *world) fill(from, n, customers, partitions int) {
	for i := from; i < from+n; i++ {
		typ := "line"
		switch {
		case i%31 == 30:
			typ = "erased"
		case i%5 == 4:
			typ = "shipped"
		}
		w.append(order(typ, customers, partitions, i))
	}
}
