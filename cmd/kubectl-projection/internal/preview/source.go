// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package preview

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/events"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/connect"
	"github.com/projectionist-dev/projectionist/projectors/credentials"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/sources"
	"github.com/projectionist-dev/projectionist/projectors/sources/kafka"
)

// FromFile reads the first events of FILE or TOPIC=FILE; "-" is the standard input.
func FromFile(m *events.Maker, name string, stdin io.Reader, limit int) ([]events.Event, error) {
	topic, file := SplitFile(name)
	in := stdin
	if file != "-" {
		f, err := os.Open(file) //nolint:gosec // the path is the user's own argument
		if err != nil {
			return nil, err
		}
		defer f.Close() //nolint:errcheck // it is only read
		in = f
	}
	var out []events.Event
	for e, err := range m.Lines(file, in, topic) {
		if err != nil {
			return nil, err
		}
		if out = append(out, e); len(out) == limit {
			break
		}
	}
	return out, nil
}

// SplitFile takes TOPIC=FILE apart; a FILE alone has no topic.
func SplitFile(s string) (topic, file string) {
	if topic, file, ok := strings.Cut(s, "="); ok && !strings.ContainsAny(topic, "/.") {
		return topic, file
	}
	return "", s
}

// patience bounds how long a topic is waited for that gives nothing.
const patience = 15 * time.Second

// FromKafka reads the first events of a topic, of all its partitions in the order of their times.
func FromKafka(ctx context.Context, m credentials.Mounts, c *contract.Contract, topic string, limit int) ([]events.Event, error) {
	cfg, err := connect.Kafka(m, c.Broker, c.Topics, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	cfg.ClientID = "kubectl-projection"
	log, err := kafka.NewLog(cfg)
	if err != nil {
		return nil, err
	}
	defer log.Close() //nolint:errcheck // it is only read
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("EventBroker %s gave nothing for %s", c.Broker.Name, patience))
	defer cancel()
	out, err := first(ctx, log, topic, limit)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return out, err
}

// first reads up to limit records of each partition, and gives the earliest of all.
func first(ctx context.Context, log sources.Log, topic string, limit int) ([]events.Event, error) {
	infos, err := log.Describe(ctx, topic)
	if err != nil {
		return nil, err
	}
	var tps []event.TopicPartition
	for i := range infos[topic].Partitions {
		tps = append(tps, event.TopicPartition{Topic: topic, Partition: i})
	}
	bounds, err := log.Bounds(ctx, tps...)
	if err != nil {
		return nil, err
	}
	var out []events.Event
	for _, tp := range tps {
		read, err := partition(ctx, log, tp, bounds[tp], limit)
		if err != nil {
			return nil, err
		}
		out = append(out, read...)
	}
	slices.SortStableFunc(out, func(a, b events.Event) int { return int(min(max(a.Record.Timestamp-b.Record.Timestamp, -1), 1)) })
	return out[:min(limit, len(out))], nil
}

func partition(ctx context.Context, log sources.Log, tp event.TopicPartition, b sources.Bounds, limit int) ([]events.Event, error) {
	var out []events.Event
	pos := sources.Position{TopicPartition: tp, Offset: b.Earliest, LeaderEpoch: -1}
	for pos.Offset < b.End && len(out) < limit {
		results, err := log.Fetch(ctx, []sources.Position{pos})
		if err != nil {
			return nil, err
		}
		for i := range results {
			err = errors.Join(err, results[i].Err)
			pos.Offset = max(pos.Offset, results[i].Batch.Next)
			for _, r := range results[i].Batch.Records {
				out = append(out, events.Event{Topic: tp.Topic, Partition: tp.Partition, Placed: true, Record: clone(r), Place: fmt.Sprintf("%s@%d", tp, r.Offset)})
			}
			results[i].Batch.Release()
		}
		if err != nil {
			return nil, err
		}
	}
	return out[:min(limit, len(out))], nil
}

// clone copies a record out of its batch's buffer.
func clone(r event.Record) event.Record {
	r.Key, r.Value, r.Headers = bytes.Clone(r.Key), bytes.Clone(r.Value), slices.Clone(r.Headers)
	for i := range r.Headers {
		r.Headers[i].Value = bytes.Clone(r.Headers[i].Value)
	}
	return r
}
