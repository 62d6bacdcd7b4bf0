// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/engine"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/handlers"
	sourcemem "github.com/projectionist-dev/projectionist/projectors/sources/memory"
	"github.com/projectionist-dev/projectionist/projectors/stores"
	storemem "github.com/projectionist-dev/projectionist/projectors/stores/memory"
)

// world is a broker and a store in virtual time, and the projectors between them.
type world struct {
	t        *testing.T
	broker   *sourcemem.Broker
	store    *storemem.Store
	contract *contract.Contract
	program  *handlers.Program
	// sent holds what was appended, per key, in order.
	sent map[string][]int64
	next int64
}

// tally is a projection on which a lost, doubled or reordered event shows.
func tally() *contract.Contract {
	zero := "0"
	return &contract.Contract{
		Version:    contract.Version,
		Projection: contract.Identity{Cluster: "c", Namespace: "n", Name: "tally", UID: "u"},
		Revision:   "0123456789", DataHash: "1:0123456789", Group: "g",
		Topics: []contract.Topic{{Name: "orders", BrokerTopic: "orders", Format: "JSON", KeyedBy: "event.k"}},
		Models: []contract.Model{{
			Name: "tally", Key: []string{"k"},
			Columns: []contract.Column{
				{Name: "k", Type: "text"}, {Name: "n", Type: "int64", Default: &zero},
				{Name: "small", Type: "int32", Default: &zero}, {Name: "seq", Type: "int64[]"},
			},
			Handlers: []contract.Handler{{
				Name: "count", Topic: "orders", OnAbsent: "Create",
				Key:    map[string]string{"k": "event.k"},
				Add:    map[string]string{"n": "1", "small": "event.?s.orValue(0)"},
				Append: map[string]string{"seq": "event.i"},
			}},
		}},
	}
}

const topic = "orders"

func newWorld(t *testing.T, partitions int32) *world {
	t.Helper()
	w := &world{t: t, broker: sourcemem.NewBroker(), store: storemem.New(), contract: tally(), sent: map[string][]int64{}}
	w.compile()
	w.broker.CreateTopic(topic, partitions)
	w.prepare()
	return w
}

// compile takes over a change of the contract's handlers.
func (w *world) compile() {
	w.t.Helper()
	var err error
	if w.program, err = handlers.Compile(w.contract, nil); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) prepare() {
	w.t.Helper()
	log := w.broker.Log()
	defer log.Close() //nolint:errcheck // in memory
	infos, err := log.Describe(w.t.Context(), topic)
	if err != nil {
		w.t.Fatal(err)
	}
	var starts []stores.Start
	for i := range infos[topic].Partitions {
		starts = append(starts, stores.Start{TopicPartition: tp(i), TopicID: infos[topic].ID})
	}
	if _, err := w.store.Admin().Prepare(w.t.Context(), w.contract, starts); err != nil {
		w.t.Fatal(err)
	}
}

func tp(i int32) event.TopicPartition { return event.TopicPartition{Topic: topic, Partition: i} }

// send appends one event of a key to a partition and returns its offset.
func (w *world) send(partition int32, key string) int64 {
	w.next++
	w.sent[key] = append(w.sent[key], w.next)
	return w.raw(partition, key, fmt.Sprintf(`{"k":%q,"i":%d}`, key, w.next))
}

func (w *world) raw(partition int32, key, value string) int64 {
	return w.broker.Append(tp(partition), event.Record{
		Key: []byte(key), Value: []byte(value), Timestamp: time.Now().UnixMilli(),
	})
}

// spread sends n events over keys that each live in one partition.
func (w *world) spread(partitions int32, keys, n int) {
	for i := range n {
		k := i % keys
		w.send(int32(k)%partitions, fmt.Sprintf("key-%d", k))
	}
}

// projector is one running process.
type projector struct {
	*engine.Engine
	kill func()
	done chan struct{}
}

// start runs a projector; change may alter its configuration.
func (w *world) start(name string, change func(*engine.Config)) *projector {
	ctx, cancel := context.WithCancel(w.t.Context())
	log := w.broker.Log()
	log.MaxRecords = 40 // many batches in flight
	cfg := engine.Config{
		Log: log, Group: w.broker.Join(w.contract.Group, topic), Writer: w.store.Writer(w.contract),
		Models: w.program.Models(), NewEvaluator: func() engine.Evaluator { return w.program.NewEvaluator() },
		Topics: []string{topic}, Owner: name, Workers: 2,
	}
	if change != nil {
		change(&cfg)
	}
	p := &projector{Engine: engine.New(cfg), done: make(chan struct{})}
	p.kill = func() {
		cancel()
		<-p.done
	}
	go func() {
		defer close(p.done)
		if err := p.Run(ctx); err != nil {
			w.t.Errorf("%s: %v", name, err)
		}
	}()
	w.t.Cleanup(p.kill)
	return p
}

// until waits, in virtual time, for a condition.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	for range 6000 {
		synctest.Wait()
		if ok() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	w.t.Fatalf("never: %s", what)
}

// caughtUp says that the positions in the store are at the end of the log.
func (w *world) caughtUp() bool {
	claims, err := w.store.Writer(w.contract).Peek(w.t.Context())
	if err != nil {
		return false
	}
	log := w.broker.Log()
	defer log.Close() //nolint:errcheck // in memory
	for _, c := range claims {
		b, err := log.Bounds(w.t.Context(), c.TopicPartition)
		if err != nil || c.Next < b[c.TopicPartition].End {
			return false
		}
	}
	return true
}

// check compares the table with what was sent, and that committed intervals
// tile each partition under epochs that never fall.
func (w *world) check() {
	w.t.Helper()
	rows := w.store.Rows(w.contract, "tally")
	if len(rows) != len(w.sent) {
		w.t.Errorf("%d rows, want %d", len(rows), len(w.sent))
	}
	for _, row := range rows {
		key, want := row[0].(string), w.sent[row[0].(string)]
		var got []int64
		if row[3] != nil {
			for _, v := range row[3].([]any) {
				got = append(got, v.(int64))
			}
		}
		if !slices.Equal(got, want) {
			w.t.Errorf("%s: sequence %v, want %v", key, got, want)
		}
		if row[1].(int64) != int64(len(want)) {
			w.t.Errorf("%s: count %d, want %d", key, row[1], len(want))
		}
	}
	next, epoch := map[event.TopicPartition]int64{}, map[event.TopicPartition]int64{}
	for _, a := range w.store.Audit(w.contract) {
		if a.First != next[a.TopicPartition] || a.Epoch < epoch[a.TopicPartition] {
			w.t.Errorf("%s: interval from %d in epoch %d after %d in epoch %d", a.TopicPartition, a.First, a.Epoch,
				next[a.TopicPartition], epoch[a.TopicPartition])
		}
		next[a.TopicPartition], epoch[a.TopicPartition] = a.Next, a.Epoch
	}
}

func (p *projector) partition(i int32) contract.PartitionStatus {
	for _, s := range p.Status().Partitions {
		if s.Partition == i {
			return s
		}
	}
	return contract.PartitionStatus{}
}
