// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/events"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/preview"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/handlers"
	"github.com/projectionist-dev/projectionist/projectors/sources/memory"
)

// Limits of the embedded broker: what is not consumed yet, and how much is written at once.
const (
	maxBacklogEvents = 500_000
	maxBacklogBytes  = 256 << 20
	appendEvents     = 1000
	backlogPause     = 10 * time.Millisecond
)

// feeder writes the events of files to the embedded broker.
type feeder struct {
	broker *memory.Broker
	counts map[string]int32
	ids    map[string][]int
	maker  *events.Maker
	topics []contract.Topic
	// consumed gives how far all projections are, -1 where none reads the partition any more.
	consumed func(event.TopicPartition) int64

	balancer kafkago.Murmur2Balancer
	pending  map[event.TopicPartition][]event.Record
	waiting  int

	mu      sync.Mutex
	end     map[event.TopicPartition]int64
	trimmed map[event.TopicPartition]int64

	fed   atomic.Int64
	bytes int64
}

// newFeeder makes the topics of the projections at a new broker.
func newFeeder(p *plan, programs []*handlers.Program) *feeder {
	f := &feeder{
		broker: memory.NewBroker(), counts: map[string]int32{}, ids: map[string][]int{}, pending: map[event.TopicPartition][]event.Record{},
		end: map[event.TopicPartition]int64{}, trimmed: map[event.TopicPartition]int64{},
	}
	keys := keyer{}
	for i, c := range p.projections {
		for _, t := range c.Contract.Topics {
			if _, known := keys[t.Name]; !known {
				keys[t.Name] = programs[i].NewEvaluator()
				f.topics = append(f.topics, t)
			}
		}
	}
	for i := range p.topics {
		t := &p.topics[i]
		f.counts[t.Name] = partitions(t)
		for n := range f.counts[t.Name] {
			f.ids[t.Name] = append(f.ids[t.Name], int(n))
			f.end[event.TopicPartition{Topic: t.Name, Partition: n}] = 0
		}
		f.broker.CreateTopic(t.Name, f.counts[t.Name])
	}
	f.maker = events.NewMaker(f.topics, keys, time.Now())
	return f
}

// keyer asks an evaluator of a projection that reads the topic.
type keyer map[string]*handlers.Evaluator

func (k keyer) MessageKey(topic string, rec *event.Record) ([]byte, error) {
	return k[topic].MessageKey(topic, rec)
}

// feed reads the files one after the other until their ends.
func (f *feeder) feed(ctx context.Context, files []string, stdin io.Reader) error {
	for _, name := range files {
		if err := f.file(ctx, name, stdin); err != nil {
			return err
		}
	}
	return nil
}

func (f *feeder) file(ctx context.Context, name string, stdin io.Reader) error {
	topic, path := preview.SplitFile(name)
	in := stdin
	if path != "-" {
		file, err := os.Open(path) //nolint:gosec // the path is the user's own argument
		if err != nil {
			return err
		}
		defer file.Close() //nolint:errcheck // it is only read
		in = file
	}
	type made struct {
		event events.Event
		err   error
	}
	// The reader goes ahead, so that an event of a slow stream is not held up by those to come.
	ch := make(chan made, appendEvents)
	go func() {
		defer close(ch)
		f.maker.Time = time.Now()
		for e, err := range f.maker.Lines(path, in, topic) {
			select {
			case ch <- made{e, err}:
			case <-ctx.Done():
				return
			}
			f.maker.Time = time.Now()
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case m, ok := <-ch:
			if !ok {
				f.flush()
				return nil
			}
			if m.err != nil {
				f.flush()
				return m.err
			}
			if err := f.add(&m.event); err != nil {
				return err
			}
			if f.waiting >= appendEvents || len(ch) == 0 {
				f.flush()
				f.room(ctx)
			}
		}
	}
}

func (f *feeder) add(e *events.Event) error {
	tp := event.TopicPartition{Topic: e.Topic, Partition: e.Partition}
	switch n := f.counts[e.Topic]; {
	case e.Partition >= n:
		return fmt.Errorf("%s: topic %s has %d partitions here, from 0; spec.create.partitions of the EventTopic says how many", e.Place, e.Topic, n)
	case e.Partition < 0 && e.Record.Key == nil:
		tp.Partition = 0
	case e.Partition < 0:
		tp.Partition = int32(f.balancer.Balance(kafkago.Message{Key: e.Record.Key}, f.ids[e.Topic]...))
	}
	f.pending[tp] = append(f.pending[tp], e.Record)
	f.waiting++
	f.bytes += int64(len(e.Record.Key) + len(e.Record.Value))
	return nil
}

func (f *feeder) flush() {
	for tp, records := range f.pending {
		if len(records) == 0 {
			continue
		}
		f.broker.Append(tp, records...)
		f.mu.Lock()
		f.end[tp] += int64(len(records))
		f.mu.Unlock()
		f.fed.Add(int64(len(records)))
		f.pending[tp] = records[:0]
	}
	f.waiting = 0
}

// ends gives where each partition ends now.
func (f *feeder) ends() map[event.TopicPartition]int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make(map[event.TopicPartition]int64, len(f.end))
	for tp, end := range f.end {
		out[tp] = end
	}
	return out
}

// room waits until little enough is not consumed, and lets go of what is.
func (f *feeder) room(ctx context.Context) {
	for ctx.Err() == nil {
		fed := f.fed.Load()
		limit := int64(maxBacklogEvents)
		if fed > 0 {
			limit = min(limit, maxBacklogBytes/max(1, f.bytes/fed))
		}
		held := f.held()
		if held < limit/2 {
			return
		}
		f.trim()
		if f.held() < limit {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(backlogPause):
		}
	}
}

// held is how many events the broker holds.
func (f *feeder) held() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := int64(0)
	for tp, end := range f.end {
		n += end - f.trimmed[tp]
	}
	return n
}

// trim removes from the broker what every projection has consumed.
func (f *feeder) trim() {
	for tp, end := range f.ends() {
		done := f.consumed(tp)
		if done < 0 {
			done = end
		}
		f.mu.Lock()
		move := done > f.trimmed[tp]
		f.trimmed[tp] = max(f.trimmed[tp], done)
		f.mu.Unlock()
		if move {
			f.broker.DeleteRecords(tp, done)
		}
	}
}
