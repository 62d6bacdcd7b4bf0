// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package kafka_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/sources"
	"github.com/projectionist-dev/projectionist/projectors/sources/kafka"
	"github.com/projectionist-dev/projectionist/projectors/sources/sourcetest"
)

// harness drives a broker with franz-go, the second client, for the suite and
// for the tests of this package.
type harness struct {
	bootstrap []string
	prefix    string // of topics, groups and transactions, so that tests share a broker
	client    *kgo.Client
	cfg       kafka.Config
}

func newHarness(t testing.TB, bootstrap []string) *harness {
	t.Helper()
	var id [4]byte
	_, _ = rand.Read(id[:])
	h := &harness{bootstrap: bootstrap, prefix: "t" + hex.EncodeToString(id[:]) + "-"}
	h.client = h.newClient(t)
	topics := map[string]string{}
	for _, name := range sourcetest.Topics {
		topics[name] = h.prefix + name
	}
	h.cfg = kafka.Config{
		Bootstrap: bootstrap, Topics: topics, Heartbeat: 100 * time.Millisecond, SessionTimeout: 6 * time.Second,
		RebalanceTimeout: 6 * time.Second, JoinBackoff: 100 * time.Millisecond, GrowthInterval: 100 * time.Millisecond,
		FetchMaxWait: 200 * time.Millisecond, LeaderGrace: 10 * time.Second, BeyondEndGrace: time.Second,
		DialTimeout: 2 * time.Second, RequestTimeout: 10 * time.Second,
	}
	return h
}

func (h *harness) newClient(t testing.TB, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(h.bootstrap...), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.MetadataMinAge(50 * time.Millisecond), kgo.ProducerLinger(0), kgo.ProducerBatchCompression(kgo.NoCompression()),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func (h *harness) topic(name string) string { return h.prefix + name }

func (h *harness) Log(t testing.TB) sources.Log { return h.log(t) }

func (h *harness) log(t testing.TB) *kafka.Log {
	t.Helper()
	l, err := kafka.NewLog(h.cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func (h *harness) Join(t testing.TB, group string) sources.Group {
	t.Helper()
	cfg := h.cfg
	cfg.Group = h.prefix + group
	g, err := kafka.NewGroup(cfg, h.log(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	return g
}

// request sends one request of the protocol, with the error of its only element.
func request[R kmsg.Response](t testing.TB, h *harness, req interface {
	kmsg.Request
	RequestWith(context.Context, kmsg.Requestor) (R, error)
}, code func(R) int16) {
	t.Helper()
	ctx := sourcetest.Context(t)
	for {
		res, err := req.RequestWith(ctx, h.client)
		if err != nil {
			t.Fatal(err)
		}
		err = kerr.ErrorForCode(code(res))
		if err == nil {
			return
		}
		// Deletion ends some time after its answer.
		if !errors.Is(err, kerr.TopicAlreadyExists) && !kerr.IsRetriable(err) || ctx.Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (h *harness) CreateTopic(t testing.TB, name string, partitions int32) {
	t.Helper()
	h.createTopic(t, name, partitions, nil)
}

func (h *harness) createTopic(t testing.TB, name string, partitions int32, config map[string]string) {
	t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = h.topic(name), partitions, 1
	for k, v := range config {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = k, &v
		rt.Configs = append(rt.Configs, c)
	}
	req.Topics = append(req.Topics, rt)
	var id [16]byte
	request(t, h, req, func(r *kmsg.CreateTopicsResponse) int16 {
		id = r.Topics[0].TopicID
		return r.Topics[0].ErrorCode
	})
	h.known(t, name, func(topic *kmsg.MetadataResponseTopic) bool {
		return topic.TopicID == id && len(topic.Partitions) == int(partitions)
	})
	h.client.ForceMetadataRefresh()
}

// known waits until the broker tells others what it has agreed to: a little later, as its own copy of the metadata follows.
func (h *harness) known(t testing.TB, name string, ok func(*kmsg.MetadataResponseTopic) bool) {
	t.Helper()
	req := kmsg.NewPtrMetadataRequest()
	topic := h.topic(name)
	rt := kmsg.NewMetadataRequestTopic()
	rt.Topic = &topic
	req.Topics = append(req.Topics, rt)
	ctx := sourcetest.Context(t)
	for {
		res, err := req.RequestWith(ctx, h.client)
		if err != nil {
			t.Fatal(err)
		}
		if got := &res.Topics[0]; got.ErrorCode == 0 && ok(got) &&
			!slices.ContainsFunc(got.Partitions, func(p kmsg.MetadataResponseTopicPartition) bool { return p.ErrorCode != 0 }) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (h *harness) DeleteTopic(t testing.TB, name string) {
	t.Helper()
	req := kmsg.NewPtrDeleteTopicsRequest()
	topic := h.topic(name)
	rt := kmsg.NewDeleteTopicsRequestTopic()
	rt.Topic = &topic
	req.Topics, req.TopicNames = append(req.Topics, rt), append(req.TopicNames, topic)
	request(t, h, req, func(r *kmsg.DeleteTopicsResponse) int16 { return r.Topics[0].ErrorCode })
	h.client.Close()
	h.client = h.newClient(t)
}

func (h *harness) Grow(t testing.TB, name string, partitions int32) {
	t.Helper()
	req := kmsg.NewPtrCreatePartitionsRequest()
	rt := kmsg.NewCreatePartitionsRequestTopic()
	rt.Topic, rt.Count = h.topic(name), partitions
	req.Topics = append(req.Topics, rt)
	request(t, h, req, func(r *kmsg.CreatePartitionsResponse) int16 { return r.Topics[0].ErrorCode })
	h.known(t, name, func(topic *kmsg.MetadataResponseTopic) bool { return len(topic.Partitions) == int(partitions) })
}

func (h *harness) DeleteRecords(t testing.TB, tp event.TopicPartition, before int64) {
	t.Helper()
	req := kmsg.NewPtrDeleteRecordsRequest()
	rt := kmsg.NewDeleteRecordsRequestTopic()
	rt.Topic = h.topic(tp.Topic)
	rp := kmsg.NewDeleteRecordsRequestTopicPartition()
	rp.Partition, rp.Offset = tp.Partition, before
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	request(t, h, req, func(r *kmsg.DeleteRecordsResponse) int16 { return r.Topics[0].Partitions[0].ErrorCode })
}

func (h *harness) records(tp event.TopicPartition, rs []event.Record) []*kgo.Record {
	var out []*kgo.Record
	for _, r := range rs {
		k := &kgo.Record{Topic: h.topic(tp.Topic), Partition: tp.Partition, Key: r.Key, Value: r.Value}
		if r.Timestamp != 0 {
			k.Timestamp = time.UnixMilli(r.Timestamp)
		}
		for _, x := range r.Headers {
			k.Headers = append(k.Headers, kgo.RecordHeader{Key: x.Key, Value: x.Value})
		}
		out = append(out, k)
	}
	return out
}

func (h *harness) Produce(t testing.TB, tp event.TopicPartition, rs ...event.Record) {
	t.Helper()
	h.produce(t, h.client, tp, rs...)
}

func (h *harness) produce(t testing.TB, c *kgo.Client, tp event.TopicPartition, rs ...event.Record) {
	t.Helper()
	if err := c.ProduceSync(sourcetest.Context(t), h.records(tp, rs)...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func (h *harness) begin(t testing.TB, id string) *kgo.Client {
	t.Helper()
	c := h.newClient(t, kgo.TransactionalID(h.prefix+id), kgo.TransactionTimeout(time.Minute))
	if err := c.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	return c
}

func (h *harness) end(t testing.TB, c *kgo.Client, commit bool) {
	t.Helper()
	if err := c.EndTransaction(sourcetest.Context(t), kgo.TransactionEndTry(commit)); err != nil {
		t.Fatal(err)
	}
}

func (h *harness) transaction(t testing.TB, commit bool, tp event.TopicPartition, rs []event.Record) {
	t.Helper()
	c := h.begin(t, tp.String())
	defer c.Close()
	h.produce(t, c, tp, rs...)
	h.end(t, c, commit)
}

func (h *harness) Commit(t testing.TB, tp event.TopicPartition, rs ...event.Record) {
	t.Helper()
	h.transaction(t, true, tp, rs)
}

func (h *harness) Abort(t testing.TB, tp event.TopicPartition, rs ...event.Record) {
	t.Helper()
	h.transaction(t, false, tp, rs)
}

func (h *harness) Open(t testing.TB, tp event.TopicPartition, rs ...event.Record) func() {
	t.Helper()
	c := h.begin(t, "open-"+tp.String())
	h.produce(t, c, tp, rs...)
	return func() { h.end(t, c, true) }
}

// fake starts an in-process broker.
func fake(t testing.TB, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(2)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func fakeHarness(t testing.TB, opts ...kfake.Opt) (*kfake.Cluster, *harness) {
	t.Helper()
	c := fake(t, opts...)
	return c, newHarness(t, c.ListenAddrs())
}

func at(topic string, p int32) event.TopicPartition {
	return event.TopicPartition{Topic: topic, Partition: p}
}
