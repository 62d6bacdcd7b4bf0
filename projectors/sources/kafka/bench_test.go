// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package kafka_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/sources"
)

// BenchmarkFetchFake reads records of 500 bytes from the in-process broker,
// which takes its share of the processor; one operation is one record.
func BenchmarkFetchFake(b *testing.B) {
	_, h := fakeHarness(b, kfake.NumBrokers(1))
	benchFetch(b, h)
}

func benchFetch(b *testing.B, h *harness) {
	const n, partitions, size = 100_000, 4, 500
	h.CreateTopic(b, "orders", partitions)
	c := h.newClient(b, kgo.MaxBufferedRecords(n))
	value := bytes.Repeat([]byte("x"), size)
	for i := range n {
		c.Produce(context.Background(), &kgo.Record{Topic: h.topic("orders"), Partition: int32(i % partitions), Value: value}, nil)
	}
	if err := c.Flush(context.Background()); err != nil {
		b.Fatal(err)
	}
	log := h.log(b)
	start := func() []sources.Position {
		var ps []sources.Position
		for p := range int32(partitions) {
			ps = append(ps, sources.Position{TopicPartition: event.TopicPartition{Topic: "orders", Partition: p}, LeaderEpoch: -1})
		}
		return ps
	}
	pos := start()
	b.SetBytes(size)
	b.ReportAllocs()
	b.ResetTimer()
	read, done := 0, 0
	for done < b.N {
		results, err := log.Fetch(context.Background(), pos)
		if err != nil {
			b.Fatal(err)
		}
		for i := range results {
			if results[i].Err != nil {
				b.Fatal(results[i].Err)
			}
			batch := &results[i].Batch
			pos[batch.Partition].Offset, pos[batch.Partition].LeaderEpoch = batch.Next, batch.LeaderEpoch
			read += len(batch.Records)
			done += len(batch.Records)
			batch.Release()
		}
		if read == n {
			pos, read = start(), 0
		}
	}
}
