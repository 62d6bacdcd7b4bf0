// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package kafka_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/sources"
	"github.com/projectionist-dev/projectionist/projectors/sources/kafka"
	"github.com/projectionist-dev/projectionist/projectors/sources/sourcetest"
)

func numbered(from, n int) []event.Record {
	var out []event.Record
	for i := range n {
		out = append(out, event.Record{Value: fmt.Append(nil, "v", from+i)})
	}
	return out
}

// answer makes fetches of partition 0 get a made-up answer while on is true.
func answer(c *kfake.Cluster, on *atomic.Bool, fill func(*kmsg.FetchResponseTopicPartition, kmsg.FetchRequestTopicPartition)) {
	c.ControlKey(int16(kmsg.Fetch), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		req, ok := kreq.(*kmsg.FetchRequest)
		if !ok || !on.Load() {
			return nil, nil, false
		}
		res, _ := req.ResponseKind().(*kmsg.FetchResponse)
		found := false
		for _, rt := range req.Topics {
			st := kmsg.NewFetchResponseTopic()
			st.Topic, st.TopicID = rt.Topic, rt.TopicID
			for _, rp := range rt.Partitions {
				sp := kmsg.NewFetchResponseTopicPartition()
				sp.Partition, sp.HighWatermark, sp.LastStableOffset = rp.Partition, 100, 100
				if rp.Partition == 0 {
					found = true
					fill(&sp, rp)
				}
				st.Partitions = append(st.Partitions, sp)
			}
			res.Topics = append(res.Topics, st)
		}
		return res, nil, found
	})
}

// batch is one without compression; values are its records.
func batch(base int64, lastDelta int32, values ...string) []byte {
	var body []byte
	for i, v := range values {
		r := kmsg.Record{OffsetDelta: int32(i), Value: []byte(v)}
		b := r.AppendTo(nil)[1:]
		body = append(binary.AppendVarint(body, int64(len(b))), b...)
	}
	rb := kmsg.RecordBatch{FirstOffset: base, Length: int32(49 + len(body)), Magic: 2, LastOffsetDelta: lastDelta,
		ProducerID: -1, NumRecords: int32(len(values)), Records: body, PartitionLeaderEpoch: 5}
	out := rb.AppendTo(nil)
	binary.BigEndian.PutUint32(out[17:], crc32.Checksum(out[21:], crc32.MakeTable(crc32.Castagnoli)))
	return out
}

func TestEmptyBatchesOfCompaction(t *testing.T) {
	c, h := fakeHarness(t)
	h.CreateTopic(t, "orders", 1)
	var on atomic.Bool
	on.Store(true)
	answer(c, &on, func(sp *kmsg.FetchResponseTopicPartition, rp kmsg.FetchRequestTopicPartition) {
		switch rp.FetchOffset {
		case 0: // only an empty batch
			sp.RecordBatches = batch(0, 9)
		case 10: // an empty one, then a compacted tail
			sp.RecordBatches = append(batch(10, 9), batch(20, 29, "a", "b")...)
		case 50:
			sp.RecordBatches = append(batch(50, 0, "c"), batch(51, 48)...)
		}
	})
	tp := at("orders", 0)
	r := sourcetest.NewReader(h.log(t), tp)
	r.Until(t, func() bool { return r.Positions[tp].Offset >= 100 })
	if n := len(r.Records[tp]); n != 3 || r.Positions[tp].Offset != 100 || r.Positions[tp].LeaderEpoch != 5 {
		t.Fatalf("%d records, position %+v", n, r.Positions[tp])
	}
}

func TestCorruptBatch(t *testing.T) {
	c, h := fakeHarness(t)
	h.CreateTopic(t, "orders", 1)
	bad := batch(2, 1, "secret", "secret")
	bad[70] ^= 1
	old := batch(2, 1, "x")
	old[16] = 1
	codec := batch(2, 1, "x")
	codec[22] |= 6
	binary.BigEndian.PutUint32(codec[17:], crc32.Checksum(codec[21:], crc32.MakeTable(crc32.Castagnoli)))
	for reason, b := range map[string][]byte{
		sources.ReasonCorruptBatch: bad, sources.ReasonUnsupportedFormat: old, sources.ReasonUnsupportedCodec: codec,
	} {
		var on atomic.Bool
		on.Store(true)
		answer(c, &on, func(sp *kmsg.FetchResponseTopicPartition, rp kmsg.FetchRequestTopicPartition) {
			if rp.FetchOffset == 0 {
				sp.RecordBatches = append(batch(0, 1, "a", "b"), b...)
			} else {
				sp.RecordBatches = b
			}
		})
		tp := at("orders", 0)
		r := sourcetest.NewReader(h.log(t), tp)
		err := r.Error(t, tp)
		var e *sources.BadBatch
		if !errors.As(err, &e) || e.Offset != 2 || sources.ReasonOf(err) != reason || !sources.Permanent(err) {
			t.Errorf("got %v, want %s at 2", err, reason)
		}
		if n := len(r.Records[tp]); n != 2 {
			t.Errorf("%d records before the bad batch", n)
		}
		on.Store(false)
	}
}

func TestTruncatedLog(t *testing.T) {
	c, h := fakeHarness(t)
	h.CreateTopic(t, "orders", 1)
	var on atomic.Bool
	on.Store(true)
	answer(c, &on, func(sp *kmsg.FetchResponseTopicPartition, rp kmsg.FetchRequestTopicPartition) {
		if rp.FetchOffset == 0 {
			sp.RecordBatches = batch(0, 49, "a")
			return
		}
		if rp.LastFetchedEpoch != 5 {
			t.Errorf("last fetched epoch %d", rp.LastFetchedEpoch)
		}
		sp.DivergingEpoch.Epoch, sp.DivergingEpoch.EndOffset = 4, 30
	})
	tp := at("orders", 0)
	r := sourcetest.NewReader(h.log(t), tp)
	err := r.Error(t, tp)
	var e *sources.LogTruncated
	if !errors.As(err, &e) || e.Asked != 50 || e.EndOffset != 30 || e.LeaderEpoch != 5 {
		t.Fatalf("got %v", err)
	}
}

// A batch that never comes whole must not make the reader spin.
func TestTruncatedOnlyBatch(t *testing.T) {
	c, h := fakeHarness(t)
	h.CreateTopic(t, "orders", 1)
	var on atomic.Bool
	var asked atomic.Int64
	on.Store(true)
	answer(c, &on, func(sp *kmsg.FetchResponseTopicPartition, _ kmsg.FetchRequestTopicPartition) {
		sp.RecordBatches = batch(0, 1, "a", "b")[:70]
		asked.Add(1)
	})
	tp := at("orders", 0)
	r := sourcetest.NewReader(h.log(t), tp)
	for range 5 {
		r.Step(sourcetest.Context(t), t)
	}
	if n := asked.Load(); n > 5 {
		t.Errorf("asked %d times in 5 fetches", n)
	}
	on.Store(false)
	h.Produce(t, tp, numbered(0, 3)...)
	r.CatchUp(t)
	if n := len(r.Records[tp]); n != 3 {
		t.Errorf("%d records", n)
	}
}

func TestLeaderMoves(t *testing.T) {
	c, h := fakeHarness(t)
	h.CreateTopic(t, "orders", 2)
	a, b := at("orders", 0), at("orders", 1)
	r := sourcetest.NewReader(h.log(t), a, b)
	want := 0
	for i := range 6 {
		h.Produce(t, a, numbered(i*10, 10)...)
		h.Produce(t, b, numbered(i*10, 10)...)
		want += 10
		r.Until(t, func() bool { return len(r.Records[a]) == want && len(r.Records[b]) == want })
		for p := range int32(2) {
			if err := c.MoveTopicPartition(h.topic("orders"), p, int32(i%2)); err != nil {
				t.Fatal(err)
			}
		}
		h.client.ForceMetadataRefresh()
	}
	if len(r.Errors) > 0 {
		t.Fatalf("errors %v", r.Errors)
	}
}

func TestNoLeader(t *testing.T) {
	c, h := fakeHarness(t)
	h.cfg.LeaderGrace = 300 * time.Millisecond
	h.CreateTopic(t, "orders", 2)
	a, b := at("orders", 0), at("orders", 1)
	for p := range int32(2) {
		if err := c.MoveTopicPartition(h.topic("orders"), p, p); err != nil {
			t.Fatal(err)
		}
	}
	h.client.ForceMetadataRefresh()
	h.Produce(t, a, numbered(0, 5)...)
	h.Produce(t, b, numbered(0, 5)...)
	r := sourcetest.NewReader(h.log(t), a, b)
	r.CatchUp(t)
	// Partition 1 has no leader for a while, and partition 0 goes on.
	handle := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: h.topic("orders"), Partitions: []int32{1}, Err: kerr.NotLeaderForPartition, Count: -1})
	err := r.Error(t, b)
	if sources.ReasonOf(err) != sources.ReasonUnreachable || sources.Permanent(err) {
		t.Fatalf("got %v", err)
	}
	h.Produce(t, a, numbered(5, 5)...)
	r.CatchUp(t)
	if n := len(r.Records[a]); n != 10 {
		t.Fatalf("%d records of the other partition", n)
	}
	handle.Remove()
	h.Produce(t, b, numbered(5, 5)...)
	r.Until(t, func() bool { clear(r.Errors); return len(r.Records[b]) == 10 })
}

// Codes that new metadata or a moment mends must not reach the reader.
func TestTransientCodes(t *testing.T) {
	c, h := fakeHarness(t)
	h.CreateTopic(t, "orders", 1)
	tp := at("orders", 0)
	r := sourcetest.NewReader(h.log(t), tp)
	for i, code := range []*kerr.Error{
		kerr.NotLeaderForPartition, kerr.FencedLeaderEpoch, kerr.UnknownLeaderEpoch, kerr.LeaderNotAvailable, kerr.ReplicaNotAvailable,
		kerr.KafkaStorageError, kerr.OffsetNotAvailable, kerr.UnknownTopicOrPartition, kerr.UnknownTopicID, kerr.InconsistentTopicID, kerr.RequestTimedOut,
	} {
		c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: h.topic("orders"), Err: code, Count: 2})
		h.Produce(t, tp, numbered(i, 1)...)
		r.Until(t, func() bool { return len(r.Records[tp]) == i+1 || len(r.Errors) > 0 })
		if len(r.Errors) > 0 {
			t.Fatalf("%v: %v", code, r.Errors)
		}
	}
}

func TestForbiddenTopic(t *testing.T) {
	c, h := fakeHarness(t)
	h.CreateTopic(t, "orders", 1)
	h.CreateTopic(t, "payments", 1)
	a, b := at("orders", 0), at("payments", 0)
	h.Produce(t, b, numbered(0, 3)...)
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: h.topic("orders"), Err: kerr.TopicAuthorizationFailed, Count: -1})
	r := sourcetest.NewReader(h.log(t), a, b)
	err := r.Error(t, a)
	if sources.ReasonOf(err) != sources.ReasonAuthorizationFailed || sources.Permanent(err) {
		t.Fatalf("got %v", err)
	}
	r.CatchUp(t)
	if n := len(r.Records[b]); n != 3 {
		t.Fatalf("%d records of the other topic", n)
	}
}

// A leader without news must not hold up the records of another.
func TestQuietLeader(t *testing.T) {
	c, h := fakeHarness(t)
	h.cfg.FetchMaxWait = 5 * time.Second
	h.CreateTopic(t, "orders", 2)
	a, b := at("orders", 0), at("orders", 1)
	for p := range int32(2) {
		if err := c.MoveTopicPartition(h.topic("orders"), p, p); err != nil {
			t.Fatal(err)
		}
	}
	h.client.ForceMetadataRefresh()
	r := sourcetest.NewReader(h.log(t), a, b)
	h.Produce(t, a, numbered(0, 1)...)
	r.Until(t, func() bool { return len(r.Records[a]) == 1 })
	var fetches atomic.Int64
	c.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		fetches.Add(1)
		return nil, nil, false
	})
	for i := 1; i < 30; i++ {
		h.Produce(t, a, numbered(i, 1)...)
		r.Until(t, func() bool { return len(r.Records[a]) == i+1 })
	}
	h.Produce(t, b, numbered(0, 1)...)
	r.Until(t, func() bool { return len(r.Records[b]) == 1 })
	// One request per record of a, and a few long ones for b: not one per round.
	if n := fetches.Load(); n > 45 {
		t.Errorf("%d requests for 30 rounds", n)
	}
}

func TestUnreachable(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	_ = ln.Close()
	l, err := kafka.NewLog(kafka.Config{Bootstrap: []string{addr}, Topics: map[string]string{"orders": "orders"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	ctx := sourcetest.Context(t)
	if _, err = l.Describe(ctx, "orders"); sources.ReasonOf(err) != sources.ReasonUnreachable {
		t.Errorf("Describe gives %v", err)
	}
	if _, err = l.Fetch(ctx, []sources.Position{{TopicPartition: at("orders", 0)}}); sources.ReasonOf(err) != sources.ReasonUnreachable {
		t.Errorf("Fetch gives %v", err)
	}
	if _, err = l.Bounds(ctx, at("orders", 0)); sources.ReasonOf(err) != sources.ReasonUnreachable {
		t.Errorf("Bounds gives %v", err)
	}
	g, err := kafka.NewGroup(kafka.Config{Bootstrap: []string{addr}, Topics: map[string]string{"orders": "orders"}, Group: "g"}, l)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Next(ctx); sources.ReasonOf(err) != sources.ReasonUnreachable {
		t.Errorf("Next gives %v", err)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
}

// silent accepts connections and never says a word.
func silent(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = c.Close() })
		}
	}()
	return ln.Addr().String()
}

func TestSilentBroker(t *testing.T) {
	addr := silent(t)
	cfg := kafka.Config{Bootstrap: []string{addr}, Topics: map[string]string{"orders": "orders"}, Group: "g",
		DialTimeout: 200 * time.Millisecond, RequestTimeout: 500 * time.Millisecond}
	l, err := kafka.NewLog(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Describe(sourcetest.Context(t), "orders"); sources.ReasonOf(err) != sources.ReasonUnreachable {
		t.Errorf("got %v", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// A leader that stops answering while its partition is read.
func TestLeaderFallsSilent(t *testing.T) {
	c, h := fakeHarness(t)
	h.cfg.RequestTimeout = 300 * time.Millisecond
	h.cfg.LeaderGrace = time.Second
	h.CreateTopic(t, "orders", 1)
	tp := at("orders", 0)
	h.Produce(t, tp, numbered(0, 3)...)
	r := sourcetest.NewReader(h.log(t), tp)
	r.CatchUp(t)
	var on atomic.Bool
	on.Store(true)
	c.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		return nil, nil, on.Load() // handled, without an answer
	})
	if err := r.Error(t, tp); sources.ReasonOf(err) != sources.ReasonUnreachable {
		t.Fatalf("got %v", err)
	}
	on.Store(false)
	h.Produce(t, tp, numbered(3, 3)...)
	r.Until(t, func() bool { clear(r.Errors); return len(r.Records[tp]) == 6 })
}

func TestTooOldBroker(t *testing.T) {
	c, h := fakeHarness(t)
	c.ControlKey(int16(kmsg.ApiVersions), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		res, _ := kreq.ResponseKind().(*kmsg.ApiVersionsResponse)
		res.ApiKeys = []kmsg.ApiVersionsResponseApiKey{
			{ApiKey: 1, MaxVersion: 11}, {ApiKey: 2, MaxVersion: 5}, {ApiKey: 3, MaxVersion: 9}, {ApiKey: 18, MaxVersion: 2},
		}
		return res, nil, true
	})
	_, err := h.log(t).Describe(sourcetest.Context(t), "orders")
	if sources.ReasonOf(err) != sources.ReasonUnsupportedBroker {
		t.Fatalf("got %v", err)
	}
}

// Batches that are held while others are read and released must keep their bytes.
func TestHeldBatches(t *testing.T) {
	_, h := fakeHarness(t)
	h.cfg.MaxPartitionBytes = 500
	h.CreateTopic(t, "orders", 1)
	tp := at("orders", 0)
	for i := range 200 {
		h.Produce(t, tp, numbered(i, 1)...)
	}
	log := h.log(t)
	pos := sources.Position{TopicPartition: tp, LeaderEpoch: -1}
	var held []event.Batch
	n := 0
	ctx, cancel := context.WithTimeout(sourcetest.Context(t), 20*time.Second)
	defer cancel()
	for n < 200 {
		results, err := log.Fetch(ctx, []sources.Position{pos})
		if err != nil {
			t.Fatal(err)
		}
		for _, res := range results {
			n += len(res.Batch.Records)
			pos.Offset = res.Batch.Next
			held = append(held, res.Batch)
		}
		if len(held) > 3 {
			check(t, &held[0])
			held = held[1:]
		}
	}
	for i := range held {
		check(t, &held[i])
	}
}

func check(t *testing.T, b *event.Batch) {
	t.Helper()
	for _, r := range b.Records {
		if string(r.Value) != fmt.Sprint("v", r.Offset) {
			t.Fatalf("offset %d holds %s", r.Offset, r.Value)
		}
	}
	b.Release()
	b.Release()
}
