// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/produce"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/projectionist-dev/projectionist/hack/demo/flights"
)

const events = 10_000

// numbered yields count events under 50 keys; the value is the event's number.
func numbered(count int) iter.Seq2[flights.Event, error] {
	return func(yield func(flights.Event, error) bool) {
		for i := range count {
			event := flights.Event{Topic: "in", Key: fmt.Sprintf("key-%d", i%50), Value: fmt.Appendf(nil, "%06d", i)}
			if !yield(event, nil) {
				return
			}
		}
	}
}

func broker(t *testing.T) []string {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster.ListenAddrs()
}

func config(brokers []string) Config {
	return Config{Brokers: brokers, Topics: map[string]Topic{"in": {Name: "out", Partitions: 3}}}
}

// check reads the topic with another client: every number is there once, and a key's numbers rise.
func check(t *testing.T, brokers []string, count int) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics("out"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	seen := map[string]bool{}
	last := map[string]string{}
	partitions := map[string]int32{}
	for len(seen) < count {
		fetched := client.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%d of %d events arrived", len(seen), count)
		}
		fetched.EachRecord(func(r *kgo.Record) {
			key, value := string(r.Key), string(r.Value)
			if seen[value] {
				t.Errorf("event %s arrived twice", value)
			}
			seen[value] = true
			if last[key] >= value {
				t.Errorf("event %s came behind %s of the same key", value, last[key])
			}
			last[key] = value
			if at, found := partitions[key]; found && at != r.Partition {
				t.Errorf("key %s is in partitions %d and %d", key, at, r.Partition)
			}
			partitions[key] = r.Partition
		})
	}
}

func TestRun(t *testing.T) {
	brokers := broker(t)
	cfg := config(brokers)
	var last Progress
	cfg.Progress = func(p Progress) { last = p }
	sent, err := Run(t.Context(), cfg, numbered(events))
	if err != nil {
		t.Fatal(err)
	}
	if sent.Events != events || !sent.Done || last != sent {
		t.Errorf("sent %+v, last report %+v", sent, last)
	}
	check(t, brokers, events)
}

// flaky loses the answer of, or refuses to send, some produce requests.
type flaky struct {
	*kafka.Transport
	mu    sync.Mutex
	count int
	lost  int
}

func (f *flaky) RoundTrip(ctx context.Context, addr net.Addr, req kafka.Request) (kafka.Response, error) {
	if _, is := req.(*produce.Request); !is {
		return f.Transport.RoundTrip(ctx, addr, req)
	}
	f.mu.Lock()
	f.count++
	fate := f.count % 4
	if fate < 2 {
		f.lost++
	}
	f.mu.Unlock()
	if fate == 0 {
		return nil, errors.New("connection refused")
	}
	answer, err := f.Transport.RoundTrip(ctx, addr, req)
	if fate == 1 {
		return nil, errors.Join(errors.New("connection reset"), err)
	}
	return answer, err
}

var _ kafka.RoundTripper = (*flaky)(nil)

func TestLostAnswersNeitherLoseNorDouble(t *testing.T) {
	brokers := broker(t)
	cfg := config(brokers)
	transport := &flaky{Transport: &kafka.Transport{}}
	defer transport.CloseIdleConnections()
	cfg.Transport = transport
	cfg.Rate = 20_000 // many small batches
	if _, err := Run(t.Context(), cfg, numbered(events)); err != nil {
		t.Fatal(err)
	}
	if transport.lost < 4 {
		t.Errorf("only %d requests were disturbed", transport.lost)
	}
	check(t, brokers, events)
}

func TestSecondRunAppends(t *testing.T) {
	brokers := broker(t)
	all := numbered(events)
	half := func(first bool) iter.Seq2[flights.Event, error] {
		return func(yield func(flights.Event, error) bool) {
			number := 0
			for event, err := range all {
				if (number < events/2) == first && !yield(event, err) {
					return
				}
				number++
			}
		}
	}
	for _, first := range []bool{true, false} {
		if _, err := Run(t.Context(), config(brokers), half(first)); err != nil {
			t.Fatal(err)
		}
	}
	check(t, brokers, events)
}

func TestErrors(t *testing.T) {
	brokers := broker(t)
	t.Run("no broker named", func(t *testing.T) {
		_, err := Run(t.Context(), Config{}, numbered(1))
		wantError(t, err, "no broker is named")
	})
	t.Run("broker away", func(t *testing.T) {
		cfg := config([]string{"127.0.0.1:1"})
		_, err := Run(t.Context(), cfg, numbered(1))
		wantError(t, err, "cannot be reached")
	})
	t.Run("topic not configured", func(t *testing.T) {
		cfg := config(brokers)
		cfg.Topics = map[string]Topic{"other": {Name: "other"}}
		_, err := Run(t.Context(), cfg, numbered(1))
		wantError(t, err, `no topic is configured for events of "in"`)
	})
	t.Run("input ends with an error", func(t *testing.T) {
		_, err := Run(t.Context(), config(brokers), func(yield func(flights.Event, error) bool) {
			yield(flights.Event{}, errors.New("file is torn"))
		})
		wantError(t, err, "file is torn")
	})
	t.Run("another writer", func(t *testing.T) {
		cfg := config(brokers)
		cfg.Topics = map[string]Topic{"in": {Name: "shared", Partitions: 1}}
		other := &kafka.Client{Addr: kafka.TCP(brokers...)}
		_, err := Run(t.Context(), cfg, func(yield func(flights.Event, error) bool) {
			number := 0
			for event, err := range numbered(5 * batchRecords) {
				if number == 4*batchRecords {
					if _, produceErr := other.Produce(t.Context(), &kafka.ProduceRequest{
						Topic: "shared", RequiredAcks: kafka.RequireAll,
						Records: kafka.NewRecordReader(kafka.Record{Value: kafka.NewBytes([]byte("x"))}),
					}); produceErr != nil {
						t.Error(produceErr)
					}
				}
				if !yield(event, err) {
					return
				}
				number++
			}
		})
		wantError(t, err, "somebody else writes")
	})
}

func wantError(t *testing.T, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("got error %v, want one with %q", err, part)
	}
}
