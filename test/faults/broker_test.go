// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package faults

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/test/internal/rig"
	"github.com/projectionist-dev/projectionist/test/oracle"
)

// Not parallel: it comes first and has the broker for itself.
func TestBrokerRestarts(t *testing.T) {
	p, feed := ledger(t, calm, 20, 3, 2)
	procs := []*rig.Process{p.Start(t, launch("one")), p.Start(t, launch("two"))}
	end := load(t, feed, 100, 20*time.Millisecond)
	advance(t, p, 500)
	if err := p.Broker.Crash(); err != nil {
		t.Fatal(err)
	}
	procs[0].AwaitStatus(t, 60*time.Second, "says that the broker is away", sourceReason("Unreachable"))
	if err := p.Broker.Up(); err != nil {
		t.Fatal(err)
	}
	advance(t, p, 500)
	if err := p.Broker.Restart(); err != nil {
		t.Fatal(err)
	}
	advance(t, p, 500)
	for _, proc := range procs {
		proc.AwaitStatus(t, 60*time.Second, "recovers", healthy)
	}
	end()
	settle(t, p, feed)
}

// stopsAt waits until a partition has stopped and gives the stop.
func stopsAt(t *testing.T, proc *rig.Process, topic string, partition int32, reason string) *contract.Stop {
	t.Helper()
	st := proc.AwaitStatus(t, 60*time.Second, "stops with "+reason, func(st contract.ProjectorStatus) string {
		if s := stopped(st, topic, partition); s == nil || s.Reason != reason {
			return "not stopped"
		}
		return ""
	})
	s := stopped(st, topic, partition)
	if s.Message == "" || s.Since.IsZero() {
		t.Errorf("the stop does not say what to do: %+v", s)
	}
	return s
}

// A topic of the same name is not the same log: going on at the old offset would
// skip its first events.
func TestTopicRecreated(t *testing.T) {
	t.Parallel()
	for _, running := range []bool{true, false} {
		t.Run(fmt.Sprintf("running=%t", running), func(t *testing.T) {
			t.Parallel()
			p, feed := ledger(t, calm, 21, 1, 1)
			proc := p.Start(t, launch("one"))
			feed.Produce(t, 500)
			settle(t, p, feed)
			if !running {
				if _, err := proc.Terminate(20 * time.Second); err != nil {
					t.Fatal(err)
				}
			}
			topic := p.BrokerTopic(oracle.Orders)
			p.Kafka.DeleteTopic(t, topic)
			p.Kafka.CreateTopic(t, topic, 1, nil)
			// More than the old one had, so that the old offset is a valid one again.
			other := p.NewFeed(22, 300, 20)
			k, err := p.Kafka.Dial()
			if err != nil {
				t.Fatal(err)
			}
			defer k.Close()
			for _, r := range other.Make(t, 1500) {
				if r.Topic == topic {
					k.Produce(t.Context(), r, nil)
				}
			}
			if err := k.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !running {
				proc = p.Start(t, launch("two"))
			}
			s := stopsAt(t, proc, oracle.Orders, 0, "TopicRecreated")
			t.Logf("%s at %s: %s", s.Reason, s.Position, s.Message)
			feed.Verify(t)
		})
	}
}

func TestOffsetOutOfRange(t *testing.T) {
	t.Parallel()
	p, feed := ledger(t, calm, 23, 2, 1)
	proc := p.Start(t, launch("one"))
	feed.Produce(t, 500)
	settle(t, p, feed)
	if _, err := proc.Terminate(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	at := rig.At{Topic: oracle.Orders, Partition: 0}
	before := p.Positions(t)[at]
	feed.Produce(t, 500)
	p.Kafka.DeleteRecords(t, p.BrokerTopic(oracle.Orders), 0, before.Next+1)
	proc = p.Start(t, launch("two"))
	s := stopsAt(t, proc, oracle.Orders, 0, "OffsetOutOfRange")
	t.Logf("%s at %s: %s", s.Reason, s.Position, s.Message)
	if s.Position != contract.OffsetPosition(before.Next) {
		t.Errorf("stopped at %s, the position is %d", s.Position, before.Next)
	}
	// The others go on.
	ends := p.Ends(t)
	rig.Until(t, 30*time.Second, "the other partitions go on", func() string {
		for other, row := range p.Positions(t) {
			if other != at && row.Next != ends[other] {
				return fmt.Sprintf("%s/%d is at %d of %d", other.Topic, other.Partition, row.Next, ends[other])
			}
		}
		return ""
	})
	if now := p.Positions(t)[at]; now.Next != before.Next {
		t.Errorf("the stopped partition has moved from %d to %d", before.Next, now.Next)
	}
}

// Growth moves keys to other partitions; the order of each key's events must be
// kept across it, with a backlog from before the projector runs, and live.
func TestPartitionsAdded(t *testing.T) {
	t.Parallel()
	p, feed := ledger(t, calm, 24, 2, 1)
	grow := func(n int32) {
		p.Grow(t, oracle.Orders, n)
		// A producer that does not know the new partitions yet would go on with the old ones, which no reader can mend.
		k, err := rig.NewKafka(p.Broker.Env("KAFKA_BOOTSTRAP"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(k.Close)
		feed.Use(k)
	}
	feed.Produce(t, 20_000)
	grow(4)
	feed.Produce(t, 20_000)
	one := p.Start(t, launch("one"))
	mortal := p.Start(t, launch("mortal"))
	advance(t, p, 1000)
	settle(t, p, feed)
	grow(7)
	end := load(t, feed, 200, 20*time.Millisecond)
	// The barrier is found and opened by whoever is alive.
	deaths, died := 0, time.Now()
	rig.Until(t, 120*time.Second, "the new partitions are read", func() string {
		if time.Since(died) > 2*session && deaths < 6 {
			deaths, died = deaths+1, time.Now()
			mortal.Kill()
			mortal = p.Start(t, launch(fmt.Sprintf("mortal-%d", deaths)))
		}
		rows := p.Positions(t)
		for i := range p.Partitions(oracle.Orders) {
			if row, ok := rows[rig.At{Topic: oracle.Orders, Partition: i}]; !ok || row.Next == 0 {
				return fmt.Sprintf("partition %d is at %d", i, row.Next)
			}
		}
		return ""
	})
	end()
	settle(t, p, feed)
	one.AwaitStatus(t, 10*time.Second, "waits at no barrier", func(st contract.ProjectorStatus) string {
		for _, part := range st.Partitions {
			if part.Waiting != "" {
				return part.Waiting
			}
		}
		return ""
	})
}

// An open transaction holds back what comes after it. That is neither lag 0 nor
// a fault of the projector, and ends with the transaction.
func TestHungTransaction(t *testing.T) {
	t.Parallel()
	p, feed := ledger(t, calm, 25, 1, 1)
	l := launch("one")
	l.Args = append(l.Args, "--stalled-transaction-after", "2s")
	proc := p.Start(t, l)
	feed.Produce(t, 300)
	settle(t, p, feed)

	hung, err := p.Kafka.Dial(kgo.TransactionalID(p.ID), kgo.TransactionTimeout(5*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	defer hung.Close()
	if err := hung.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	ghost := oracle.NewGenerator(99, 300, 20)
	for e := ghost.Next(); ; e = ghost.Next() {
		if e.Topic != oracle.Orders {
			continue
		}
		if err := hung.ProduceSync(t.Context(), p.Record(e)).FirstErr(); err != nil {
			t.Fatal(err)
		}
		break
	}
	feed.Produce(t, 300)
	st := proc.AwaitStatus(t, 60*time.Second, "reports the open transaction", func(st contract.ProjectorStatus) string {
		for _, part := range st.Partitions {
			if part.Topic == oracle.Orders && strings.HasPrefix(part.Waiting, "SourceStalled") {
				return ""
			}
		}
		return "nothing is reported"
	})
	for _, part := range st.Partitions {
		if part.Topic == oracle.Orders && (part.CaughtUp || part.Lag == 0) {
			t.Errorf("caught up is %t and lag %d behind an open transaction", part.CaughtUp, part.Lag)
		}
	}
	if err := hung.EndTransaction(t.Context(), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	settle(t, p, feed)
	proc.AwaitStatus(t, 20*time.Second, "is caught up", func(st contract.ProjectorStatus) string {
		for _, part := range st.Partitions {
			if !part.CaughtUp || part.Waiting != "" {
				return fmt.Sprintf("%s/%d is not", part.Topic, part.Partition)
			}
		}
		return ""
	})
}

// What a second client shows with read_committed is what must be in the tables.
func TestAbortedTransactions(t *testing.T) {
	t.Parallel()
	p, feed := ledger(t, calm, 26, 3, 2)
	tx, err := p.Kafka.Dial(kgo.TransactionalID(p.ID), kgo.TransactionTimeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Close()
	proc := p.Start(t, launch("one"))
	generator := oracle.NewGenerator(26, 300, 20)
	for i := range 60 {
		var records []*kgo.Record
		for range 40 + i {
			records = append(records, p.Record(generator.Next()))
		}
		p.Kafka.Transaction(t, tx, i%3 != 2, records...)
	}
	shown := 0
	for _, topic := range []string{oracle.Orders, oracle.Payments} {
		for _, records := range p.Kafka.ReadCommitted(t, p.BrokerTopic(topic), p.Partitions(topic)) {
			for _, r := range records {
				if err := feed.Apply(oracle.Event{Topic: topic, Key: string(r.Key), Value: r.Value}); err != nil {
					t.Fatal(err)
				}
				shown++
			}
		}
	}
	if shown == 0 || int64(shown) >= generator.Made()*3/4 {
		t.Fatalf("the reference shows %d of %d events: nothing was aborted", shown, generator.Made())
	}
	settle(t, p, feed)
	proc.AwaitStatus(t, 10*time.Second, "is caught up behind a control record", func(st contract.ProjectorStatus) string {
		for _, part := range st.Partitions {
			if !part.CaughtUp {
				return fmt.Sprintf("%s/%d is not", part.Topic, part.Partition)
			}
		}
		if st.EventsTotal != int64(shown) {
			return fmt.Sprintf("%d events, the reference shows %d", st.EventsTotal, shown)
		}
		return ""
	})
}
