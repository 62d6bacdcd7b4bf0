// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
)

type record struct{ key, value []byte }

type batch []record

// partition sends the batches of one partition one after the other.
type partition struct {
	client   *kafka.Client
	topic    string
	id       int
	patience time.Duration
	// sent is told how many records were acknowledged.
	sent func(int)

	batches chan batch
	filling batch
	bytes   int
	// next is the offset of the next record, as this is the only writer.
	next int64
}

// add is called by one goroutine, the one that also flushes.
func (p *partition) add(ctx context.Context, r record) error {
	size := len(r.key) + len(r.value)
	if len(p.filling) == batchRecords || (len(p.filling) > 0 && p.bytes+size > batchBytes) {
		if err := p.flush(ctx); err != nil {
			return err
		}
	}
	p.filling = append(p.filling, r)
	p.bytes += size
	return nil
}

func (p *partition) flush(ctx context.Context) error {
	if len(p.filling) == 0 {
		return nil
	}
	select {
	case p.batches <- p.filling:
		p.filling, p.bytes = nil, 0
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *partition) run(ctx context.Context) error {
	if err := p.begin(ctx); err != nil {
		return p.explain(err)
	}
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case records, more := <-p.batches:
			if !more {
				return nil
			}
			if err := p.append(ctx, records); err != nil {
				return p.explain(err)
			}
			p.sent(len(records))
		}
	}
}

// begin reads where the partition ends now. A topic just made is not known everywhere at once.
func (p *partition) begin(ctx context.Context) error {
	deadline := time.Now().Add(p.patience)
	for {
		end, err := p.end(ctx)
		if err == nil {
			p.next = end
			return nil
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// append returns when the batch is in the partition once.
func (p *partition) append(ctx context.Context, records batch) error {
	deadline := time.Now().Add(p.patience)
	after := p.next + int64(len(records))
	pause := 50 * time.Millisecond
	err := p.produce(ctx, records)
	for err != nil {
		if errors.Is(err, kafka.MessageSizeTooLarge) || errors.Is(err, errOtherWriter) || ctx.Err() != nil || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
		pause = min(2*pause, time.Second)
		end, endErr := p.end(ctx)
		switch {
		case endErr != nil:
		case end == after:
			err = nil
		case end == p.next:
			err = p.produce(ctx, records)
		default:
			return errOtherWriter
		}
	}
	p.next = after
	return nil
}

var errOtherWriter = errors.New("its end offset is not what this writer made it: somebody else writes to the topic, or it was made anew")

func (p *partition) produce(ctx context.Context, records batch) error {
	out := make([]kafka.Record, len(records))
	now := time.Now()
	for i, r := range records {
		out[i] = kafka.Record{Time: now, Key: kafka.NewBytes(r.key), Value: kafka.NewBytes(r.value)}
	}
	answer, err := p.client.Produce(ctx, &kafka.ProduceRequest{
		Topic: p.topic, Partition: p.id, RequiredAcks: kafka.RequireAll, Records: kafka.NewRecordReader(out...),
	})
	if err != nil {
		return err
	}
	if answer.Error != nil {
		return answer.Error
	}
	if answer.BaseOffset != p.next {
		return errOtherWriter
	}
	return nil
}

// end is the offset behind the partition's last record.
func (p *partition) end(ctx context.Context) (int64, error) {
	answer, err := p.client.ListOffsets(ctx, &kafka.ListOffsetsRequest{
		Topics: map[string][]kafka.OffsetRequest{p.topic: {kafka.LastOffsetOf(p.id)}},
	})
	if err != nil {
		return 0, err
	}
	for _, offsets := range answer.Topics[p.topic] {
		if offsets.Partition == p.id {
			return offsets.LastOffset, offsets.Error
		}
	}
	return 0, kafka.UnknownTopicOrPartition
}

func (p *partition) explain(err error) error {
	return fmt.Errorf("topic %q partition %d: %w", p.topic, p.id, err)
}
