// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Kafka is a second client, independent of the projector's.
type Kafka struct {
	*kgo.Client
	bootstrap string
}

// NewKafka makes an idempotent producer and administrator.
func NewKafka(bootstrap string) (*Kafka, error) {
	k := &Kafka{bootstrap: bootstrap}
	var err error
	k.Client, err = k.Dial()
	return k, err
}

// Dial makes another client.
func (k *Kafka) Dial(opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(k.bootstrap), kgo.MetadataMinAge(50 * time.Millisecond), kgo.MetadataMaxAge(5 * time.Second),
		kgo.ProducerBatchCompression(kgo.Lz4Compression()), kgo.MaxBufferedRecords(50_000), kgo.ProducerLinger(2 * time.Millisecond),
		kgo.UnknownTopicRetries(50), kgo.RetryBackoffFn(func(int) time.Duration { return 100 * time.Millisecond }),
	}, opts...)...)
}

func (k *Kafka) request(t testing.TB, what string, do func(ctx context.Context) (int16, error)) {
	t.Helper()
	Retry(t, what, func(ctx context.Context) (struct{}, error) {
		code, err := do(ctx)
		if err == nil {
			err = kerr.ErrorForCode(code)
		}
		return struct{}{}, err
	})
}

// CreateTopic creates a topic. It waits for an earlier one of that name to be gone.
func (k *Kafka) CreateTopic(t testing.TB, name string, partitions int32, config map[string]string) {
	t.Helper()
	var id [16]byte
	k.request(t, "create topic "+name, func(ctx context.Context) (int16, error) {
		req := kmsg.NewPtrCreateTopicsRequest()
		rt := kmsg.NewCreateTopicsRequestTopic()
		rt.Topic, rt.NumPartitions, rt.ReplicationFactor = name, partitions, 1
		for key, v := range config {
			c := kmsg.NewCreateTopicsRequestTopicConfig()
			c.Name, c.Value = key, &v
			rt.Configs = append(rt.Configs, c)
		}
		req.Topics = append(req.Topics, rt)
		res, err := req.RequestWith(ctx, k.Client)
		if err != nil {
			return 0, err
		}
		id = res.Topics[0].TopicID
		return res.Topics[0].ErrorCode, nil
	})
	k.known(t, name, partitions, id)
	k.ForceMetadataRefresh()
}

// known waits until the broker tells others of a topic that it has agreed to: a little later, as its own copy of the metadata follows.
func (k *Kafka) known(t testing.TB, name string, partitions int32, id [16]byte) {
	t.Helper()
	Retry(t, "the broker knows topic "+name, func(ctx context.Context) (struct{}, error) {
		req := kmsg.NewPtrMetadataRequest()
		rt := kmsg.NewMetadataRequestTopic()
		rt.Topic = &name
		req.Topics = append(req.Topics, rt)
		res, err := req.RequestWith(ctx, k.Client)
		if err != nil {
			return struct{}{}, err
		}
		topic := &res.Topics[0]
		err = kerr.ErrorForCode(topic.ErrorCode)
		for i := range topic.Partitions {
			err = errors.Join(err, kerr.ErrorForCode(topic.Partitions[i].ErrorCode))
		}
		if err == nil && (topic.TopicID != id || len(topic.Partitions) != int(partitions)) {
			err = fmt.Errorf("it is another one, or has %d partitions of %d", len(topic.Partitions), partitions)
		}
		return struct{}{}, err
	})
}

// DeleteTopic deletes a topic.
func (k *Kafka) DeleteTopic(t testing.TB, name string) {
	t.Helper()
	k.request(t, "delete topic "+name, func(ctx context.Context) (int16, error) {
		req := kmsg.NewPtrDeleteTopicsRequest()
		rt := kmsg.NewDeleteTopicsRequestTopic()
		rt.Topic = kmsg.StringPtr(name)
		req.Topics, req.TopicNames = append(req.Topics, rt), append(req.TopicNames, name)
		res, err := req.RequestWith(ctx, k.Client)
		if err != nil {
			return 0, err
		}
		return res.Topics[0].ErrorCode, nil
	})
}

// Grow adds partitions to a topic.
func (k *Kafka) Grow(t testing.TB, name string, partitions int32) {
	t.Helper()
	k.request(t, "grow topic "+name, func(ctx context.Context) (int16, error) {
		req := kmsg.NewPtrCreatePartitionsRequest()
		rt := kmsg.NewCreatePartitionsRequestTopic()
		rt.Topic, rt.Count = name, partitions
		req.Topics = append(req.Topics, rt)
		res, err := req.RequestWith(ctx, k.Client)
		if err != nil {
			return 0, err
		}
		return res.Topics[0].ErrorCode, nil
	})
}

// DeleteRecords deletes a partition's records before an offset.
func (k *Kafka) DeleteRecords(t testing.TB, topic string, partition int32, before int64) {
	t.Helper()
	k.request(t, "delete records of "+topic, func(ctx context.Context) (int16, error) {
		req := kmsg.NewPtrDeleteRecordsRequest()
		rt := kmsg.NewDeleteRecordsRequestTopic()
		rp := kmsg.NewDeleteRecordsRequestTopicPartition()
		rt.Topic, rp.Partition, rp.Offset = topic, partition, before
		rt.Partitions = append(rt.Partitions, rp)
		req.Topics = append(req.Topics, rt)
		res, err := req.RequestWith(ctx, k.Client)
		if err != nil {
			return 0, err
		}
		return res.Topics[0].Partitions[0].ErrorCode, nil
	})
}

// Ends gives the high watermarks of a topic's partitions.
func (k *Kafka) Ends(t testing.TB, topic string, partitions int32) []int64 {
	t.Helper()
	return Retry(t, "ends of "+topic, func(ctx context.Context) ([]int64, error) {
		req := kmsg.NewPtrListOffsetsRequest()
		req.ReplicaID = -1
		rt := kmsg.NewListOffsetsRequestTopic()
		rt.Topic = topic
		for p := range partitions {
			rp := kmsg.NewListOffsetsRequestTopicPartition()
			rp.Partition, rp.Timestamp = p, -1
			rt.Partitions = append(rt.Partitions, rp)
		}
		req.Topics = append(req.Topics, rt)
		res, err := req.RequestWith(ctx, k.Client)
		if err != nil {
			return nil, err
		}
		ends := make([]int64, partitions)
		for _, p := range res.Topics[0].Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return nil, err
			}
			ends[p.Partition] = p.Offset
		}
		return ends, nil
	})
}

// Produce writes records and waits for them.
func (k *Kafka) Produce(t testing.TB, records ...*kgo.Record) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := k.ProduceSync(ctx, records...).FirstErr(); err != nil {
		t.Fatalf("produce: %v", err)
	}
}

// ReadCommitted reads all that a consumer with read_committed sees of a topic's
// partitions up to their ends, in order per partition.
func (k *Kafka) ReadCommitted(t testing.TB, topic string, partitions int32) [][]*kgo.Record {
	t.Helper()
	ends := k.Ends(t, topic, partitions)
	offsets := map[int32]kgo.Offset{}
	open := 0
	for p, end := range ends {
		if end > 0 {
			offsets[int32(p)] = kgo.NewOffset().AtStart()
			open++
		}
	}
	// Control records show where the log ends.
	c, err := k.Dial(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: offsets}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	out := make([][]*kgo.Record, partitions)
	for open > 0 {
		// What compaction took from the very end is never shown: a quiet while says that there is no more.
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		fetches := c.PollFetches(ctx)
		cancel()
		for _, e := range fetches.Errors() {
			if !errors.Is(e.Err, context.DeadlineExceeded) {
				t.Fatalf("reference reader: %s/%d: %v", e.Topic, e.Partition, e.Err)
			}
		}
		if fetches.NumRecords() == 0 {
			break
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Offset == ends[r.Partition]-1 {
				open--
			}
			if r.Offset < ends[r.Partition] && !r.Attrs.IsControl() {
				out[r.Partition] = append(out[r.Partition], r)
			}
		})
	}
	return out
}

// Transaction produces records in a transaction and commits or aborts it.
func (k *Kafka) Transaction(t testing.TB, c *kgo.Client, commit bool, records ...*kgo.Record) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := c.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := c.ProduceSync(ctx, records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err := c.EndTransaction(ctx, kgo.TransactionEndTry(commit)); err != nil {
		t.Fatal(fmt.Errorf("end of a transaction: %w", err))
	}
}

// ProduceAll is Produce outside of a test's own goroutine.
func (k *Kafka) ProduceAll(records []*kgo.Record) error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	return k.ProduceSync(ctx, records...).FirstErr()
}
