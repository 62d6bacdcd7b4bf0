// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"time"

	"github.com/segmentio/kafka-go"
	"golang.org/x/sync/errgroup"

	"github.com/projectionist-dev/projectionist/hack/demo/flights"
)

const (
	batchRecords = 2000
	batchBytes   = 512 << 10 // half of what a broker takes by default
	linger       = 20 * time.Millisecond
)

// Config says where events go. Brokers and Topics are required.
type Config struct {
	// Brokers are bootstrap addresses, host:port.
	Brokers []string
	// Topics tells for each topic of the events which topic at the broker gets them.
	Topics map[string]Topic
	// Rate limits the events per second over all topics; 0 is no limit.
	Rate float64
	// Patience is how long one batch is tried while the broker cannot be reached; 0 is two minutes.
	Patience time.Duration
	// Transport is used for every request; nil is a plain connection.
	Transport kafka.RoundTripper
	// Progress is called about once a second and once at the end; it must return soon. It may be nil.
	Progress func(Progress)
}

// Topic is one topic at the broker. It is made when it is missing.
type Topic struct {
	Name string
	// Partitions it is made with; a topic that is there keeps its own number.
	Partitions int
}

// Progress is what has been sent so far and acknowledged.
type Progress struct {
	Events  int64
	Elapsed time.Duration
	// Rate is in events per second since the last report, and over the whole time in the last one.
	Rate float64
	Done bool
}

// Run makes the topics that are missing and sends all events. When it returns without an error, every event has been
// acknowledged and is in its topic once. After an error or when ctx ends, some are sent and some are not.
func Run(ctx context.Context, cfg Config, events iter.Seq2[flights.Event, error]) (Progress, error) {
	cfg.Patience = cmp.Or(cfg.Patience, 2*time.Minute)
	if len(cfg.Brokers) == 0 {
		return Progress{}, errors.New("feed: no broker is named")
	}
	transport := cfg.Transport
	if transport == nil {
		own := &kafka.Transport{DialTimeout: 5 * time.Second, MetadataTTL: 2 * time.Second}
		defer own.CloseIdleConnections()
		transport = own
	}
	client := &kafka.Client{Addr: kafka.TCP(cfg.Brokers...), Transport: transport, Timeout: 15 * time.Second}

	counter := newCounter(cfg.Progress)
	targets := map[string]*target{}
	for topic, at := range cfg.Topics {
		partitions, err := ensureTopic(ctx, client, at)
		if err != nil {
			return Progress{}, fmt.Errorf("feed: topic %q: %w", at.Name, err)
		}
		to := &target{}
		for id := range partitions {
			part := &partition{client: client, topic: at.Name, id: id, patience: cfg.Patience, sent: counter.add, batches: make(chan batch, 2)}
			to.partitions = append(to.partitions, part)
			to.ids = append(to.ids, id)
		}
		targets[topic] = to
	}
	stop := counter.start()
	group, ctx := errgroup.WithContext(ctx)
	for _, to := range targets {
		for _, part := range to.partitions {
			group.Go(func() error { return part.run(ctx) })
		}
	}
	group.Go(func() error { return distribute(ctx, targets, cfg.Rate, events) })
	err := group.Wait()
	progress := stop()
	if err != nil {
		return progress, fmt.Errorf("feed: %w", err)
	}
	if cfg.Progress != nil {
		cfg.Progress(progress)
	}
	return progress, nil
}

// target is one topic's partitions with their unfinished batches.
type target struct {
	partitions []*partition
	ids        []int
	// Java clients place keys with it, so the same key meets the same partition as with them.
	balancer kafka.Murmur2Balancer
}

func (t *target) flush(ctx context.Context) error {
	for _, p := range t.partitions {
		if err := p.flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

// distribute puts each event into its partition's batch, no faster than rate.
func distribute(ctx context.Context, targets map[string]*target, rate float64, events iter.Seq2[flights.Event, error]) error {
	flushAll := func() error {
		for _, to := range targets {
			if err := to.flush(ctx); err != nil {
				return err
			}
		}
		return nil
	}
	start := time.Now()
	flushed := start
	count := 0
	for event, err := range events {
		if err != nil {
			return err
		}
		to, found := targets[event.Topic]
		if !found {
			return fmt.Errorf("no topic is configured for events of %q", event.Topic)
		}
		if rate > 0 {
			due := start.Add(time.Duration(float64(count) / rate * float64(time.Second)))
			// An event does not wait for the ones behind it longer than linger.
			if now := time.Now(); now.Sub(flushed) >= linger || due.Sub(now) >= linger {
				if err := flushAll(); err != nil {
					return err
				}
				flushed = now
			}
			if wait := time.Until(due); wait > time.Millisecond {
				select {
				case <-ctx.Done():
					return context.Cause(ctx)
				case <-time.After(wait):
				}
			}
		}
		count++
		key := []byte(event.Key)
		at := to.balancer.Balance(kafka.Message{Key: key}, to.ids...)
		if err := to.partitions[at].add(ctx, record{key: key, value: event.Value}); err != nil {
			return err
		}
	}
	if err := flushAll(); err != nil {
		return err
	}
	for _, to := range targets {
		for _, p := range to.partitions {
			close(p.batches)
		}
	}
	return nil
}

// ensureTopic makes the topic unless it is there, and returns its number of partitions once each has a leader.
func ensureTopic(ctx context.Context, client *kafka.Client, topic Topic) (int, error) {
	created, err := client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{
		{Topic: topic.Name, NumPartitions: max(1, topic.Partitions), ReplicationFactor: -1},
	}})
	if err != nil {
		return 0, unreachable(client, err)
	}
	if err := created.Errors[topic.Name]; err != nil && !errors.Is(err, kafka.TopicAlreadyExists) {
		return 0, err
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		partitions, err := leaders(ctx, client, topic.Name)
		if err == nil {
			return partitions, nil
		}
		if time.Now().After(deadline) {
			return 0, fmt.Errorf("it has no leader yet: %w", err)
		}
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// leaders is the number of partitions, each with a leader.
func leaders(ctx context.Context, client *kafka.Client, topic string) (int, error) {
	meta, err := client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{topic}})
	if err != nil {
		return 0, err
	}
	for _, t := range meta.Topics {
		if t.Name != topic || len(t.Partitions) == 0 {
			continue
		}
		for _, p := range t.Partitions {
			if p.Error != nil {
				return 0, p.Error
			}
		}
		return len(t.Partitions), t.Error
	}
	return 0, kafka.UnknownTopicOrPartition
}

func unreachable(client *kafka.Client, err error) error {
	var network net.Error
	if errors.As(err, &network) {
		return fmt.Errorf("broker %s cannot be reached: %w", client.Addr, err)
	}
	return err
}
