// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/sources"
)

// Bounds implements sources.Log.
func (l *Log) Bounds(ctx context.Context, parts ...event.TopicPartition) (map[event.TopicPartition]sources.Bounds, error) {
	return retried(ctx, l, func(ctx context.Context) (map[event.TopicPartition]sources.Bounds, error) {
		return l.bounds(ctx, parts)
	})
}

// retried asks again with new metadata, where that may help, for as long as a request may take.
func retried[T any](ctx context.Context, l *Log, ask func(context.Context) (T, error)) (T, error) {
	ctx, cancel := l.bind(ctx)
	defer cancel()
	ctx, cancelTimeout := context.WithTimeout(ctx, l.cfg.RequestTimeout)
	defer cancelTimeout()
	pause := 50 * time.Millisecond
	for {
		out, err := ask(ctx)
		if err == nil || !errors.Is(err, errRetry) {
			return out, err
		}
		l.markStale()
		var none T
		select {
		case <-ctx.Done():
			var last *retryError
			if errors.As(err, &last) {
				return none, last.lasting
			}
			return none, ctx.Err()
		case <-time.After(pause):
			pause = min(2*pause, time.Second)
		}
	}
}

var errRetry = errors.New("try again with new metadata")

// retryError is errRetry with what to say if it lasts.
type retryError struct{ lasting error }

func (e *retryError) Error() string { return e.lasting.Error() }
func (e *retryError) Unwrap() error { return errRetry }

// query is what of a partition is asked for: a timestamp of ListOffsets, and whether open transactions end the log.
type query struct {
	at        int64
	committed bool
}

func (l *Log) bounds(ctx context.Context, parts []event.TopicPartition) (map[event.TopicPartition]sources.Bounds, error) {
	found, err := l.offsets(ctx, parts, query{earliest, false}, query{latest, true}, query{latest, false})
	if err != nil {
		return nil, err
	}
	out := make(map[event.TopicPartition]sources.Bounds, len(parts))
	for tp, at := range found {
		out[tp] = sources.Bounds{Earliest: at[0], End: at[1], HighWatermark: max(at[2], at[1])}
	}
	return out, nil
}

// At implements sources.Timed.
func (l *Log) At(ctx context.Context, t time.Time, parts ...event.TopicPartition) (map[event.TopicPartition]int64, error) {
	return retried(ctx, l, func(ctx context.Context) (map[event.TopicPartition]int64, error) {
		// The end first: what comes in between is after it.
		ends, err := l.offsets(ctx, parts, query{latest, true})
		if err != nil {
			return nil, err
		}
		found, err := l.offsets(ctx, parts, query{max(t.UnixMilli(), 0), true})
		if err != nil {
			return nil, err
		}
		out := make(map[event.TopicPartition]int64, len(parts))
		for tp, at := range found {
			if out[tp] = at[0]; at[0] < 0 {
				out[tp] = ends[tp][0]
			}
		}
		return out, nil
	})
}

// offsets asks the leaders of the partitions for the offset of each query, in that order; -1 is none.
func (l *Log) offsets(ctx context.Context, parts []event.TopicPartition, queries ...query) (map[event.TopicPartition][]int64, error) {
	m, err := l.metadata(ctx, time.Time{})
	if err != nil {
		return nil, err
	}
	byLeader := map[string][]wanted{}
	for _, tp := range parts {
		addr, w, err := l.locate(m, tp)
		if err != nil {
			return nil, err
		}
		byLeader[addr] = append(byLeader[addr], w)
	}
	answers := map[string][]map[partitionKey]offsetAnswer{}
	for addr := range byLeader {
		answers[addr] = make([]map[partitionKey]offsetAnswer, len(queries))
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	var firstErr error
	for addr, w := range byLeader {
		for i, q := range queries {
			wg.Go(func() {
				data, err := l.call(ctx, addr, func() *rawRequest { return listOffsetsRequest(l.cfg.ClientID, w, q.at, q.committed) })
				var a map[partitionKey]offsetAnswer
				if err == nil {
					a, err = parseListOffsets(data)
				}
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					if sources.ReasonOf(err) == sources.ReasonUnreachable {
						err = &retryError{err}
					}
					firstErr = err
					return
				}
				answers[addr][i] = a
			})
		}
	}
	wg.Wait()
	if firstErr != nil {
		return nil, firstErr
	}
	out := make(map[event.TopicPartition][]int64, len(parts))
	for _, tp := range parts {
		addr, w, err := l.locate(m, tp)
		if err != nil {
			return nil, err
		}
		key := partitionKey{w.topic, w.partition}
		out[tp] = make([]int64, len(queries))
		for i := range queries {
			x := answers[addr][i][key]
			if x.code == int16(kafka.TopicAuthorizationFailed) {
				return nil, topicForbidden(w.topic)
			}
			if x.code != 0 {
				return nil, &retryError{&sources.Unreachable{Address: addr, Err: fmt.Errorf("%s: %w", tp, kafka.Error(x.code))}}
			}
			out[tp][i] = x.offset
		}
	}
	return out, nil
}

// locate finds the leader of a partition.
func (l *Log) locate(m *clusterMeta, tp event.TopicPartition) (string, wanted, error) {
	name, ok := l.cfg.Topics[tp.Topic]
	if !ok {
		return "", wanted{}, fmt.Errorf("kafka: EventTopic %s is not configured", tp.Topic)
	}
	t := m.topics[name]
	switch {
	case t == nil || t.code == int16(kafka.UnknownTopicOrPartition) || t.code == int16(kafka.InvalidTopic):
		return "", wanted{}, &retryError{&sources.TopicMissing{Topic: tp.Topic, BrokerTopic: name}}
	case t.code == int16(kafka.TopicAuthorizationFailed):
		return "", wanted{}, topicForbidden(name)
	case int(tp.Partition) >= len(t.partitions):
		return "", wanted{}, &retryError{&sources.Unreachable{Address: l.bootstrap,
			Err: fmt.Errorf("%s: the topic has only %d partitions", tp, len(t.partitions))}}
	}
	p := t.partitions[tp.Partition]
	addr, ok := m.brokers[p.leader]
	if !ok {
		return "", wanted{}, &retryError{&sources.Unreachable{Address: l.bootstrap, Err: fmt.Errorf("%s: the partition has no leader", tp)}}
	}
	return addr, wanted{topic: name, id: t.id, partition: tp.Partition, epoch: p.epoch}, nil
}
