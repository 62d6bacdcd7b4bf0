// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package kafka_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/sources"
	"github.com/projectionist-dev/projectionist/projectors/sources/sourcetest"
)

// reference reads what franz-go shows of partitions, up to their ends.
func reference(t *testing.T, h *harness, ends map[event.TopicPartition]int64) map[event.TopicPartition][]event.Record {
	t.Helper()
	ctx := sourcetest.Context(t)
	offsets := map[string]map[int32]kgo.Offset{}
	names := map[string]string{}
	for tp := range ends {
		topic := h.topic(tp.Topic)
		names[topic] = tp.Topic
		if offsets[topic] == nil {
			offsets[topic] = map[int32]kgo.Offset{}
		}
		offsets[topic][tp.Partition] = kgo.NewOffset().AtStart()
	}
	// Control records show where the log ends, and are left out below.
	c := h.newClient(t, kgo.ConsumePartitions(offsets), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	out := map[event.TopicPartition][]event.Record{}
	open := map[event.TopicPartition]bool{}
	for tp, end := range ends {
		open[tp] = end > 0
	}
	left := func() bool {
		for _, o := range open {
			if o {
				return true
			}
		}
		return false
	}
	for left() {
		// What compaction or an abort took from the very end is never shown: a
		// quiet second says that there is no more.
		quiet, cancel := context.WithTimeout(ctx, time.Second)
		fetches := c.PollFetches(quiet)
		cancel()
		if ctx.Err() != nil {
			t.Fatal("the reference client did not reach the end")
		}
		if fetches.NumRecords() == 0 {
			break
		}
		fetches.EachRecord(func(r *kgo.Record) {
			tp := at(names[r.Topic], r.Partition)
			if r.Offset >= ends[tp]-1 {
				open[tp] = false
			}
			if r.Offset >= ends[tp] || r.Attrs.IsControl() {
				return
			}
			e := event.Record{Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli(), Key: r.Key, Value: r.Value}
			for _, x := range r.Headers {
				e.Headers = append(e.Headers, event.Header{Key: x.Key, Value: x.Value})
			}
			out[tp] = append(out[tp], e)
		})
	}
	return out
}

// compare reads the partitions with our client and holds it to the reference.
func compare(t *testing.T, h *harness, parts ...event.TopicPartition) *sourcetest.Reader {
	t.Helper()
	r := sourcetest.NewReader(h.log(t), parts...)
	r.CatchUp(t)
	ends := map[event.TopicPartition]int64{}
	for tp, p := range r.Positions {
		ends[tp] = p.Offset
	}
	want := reference(t, h, ends)
	for _, tp := range parts {
		if r.Errors[tp] != nil {
			t.Fatalf("%v: %v", tp, r.Errors[tp])
		}
		got, want := r.Records[tp], want[tp]
		if len(got) != len(want) {
			t.Fatalf("%v: %d records, the reference shows %d", tp, len(got), len(want))
		}
		for i := range got {
			g, w := got[i], want[i]
			if g.Offset != w.Offset || g.Timestamp != w.Timestamp || !bytes.Equal(g.Key, w.Key) || !bytes.Equal(g.Value, w.Value) ||
				(g.Key == nil) != (w.Key == nil) || (g.Value == nil) != (w.Value == nil) || len(g.Headers) != len(w.Headers) {
				t.Fatalf("%v: record %d: %+v, the reference shows %+v", tp, i, g, w)
			}
		}
	}
	return r
}

func TestRealAbortedTransactions(t *testing.T) {
	h := realHarness(t)
	h.createTopic(t, "orders", 2, nil)
	ctx := sourcetest.Context(t)
	// Two producers whose transactions over both partitions overlap.
	clients := []*kgo.Client{h.newClient(t, kgo.TransactionalID(h.prefix+"a")), h.newClient(t, kgo.TransactionalID(h.prefix+"b"))}
	committed := 0
	for round := range 60 {
		for i, c := range clients {
			if err := c.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			for p := range int32(2) {
				for k := range 7 {
					rec := event.Record{Key: fmt.Append(nil, k), Value: fmt.Appendf(nil, "%d/%d/%d/%d", round, i, p, k)}
					h.produce(t, c, at("orders", p), rec)
				}
			}
		}
		for i, c := range clients {
			commit := (2*round+i)%3 != 2
			if commit {
				committed += 14
			}
			if err := c.EndTransaction(ctx, kgo.TransactionEndTry(commit)); err != nil {
				t.Fatal(err)
			}
		}
	}
	r := compare(t, h, at("orders", 0), at("orders", 1))
	if n := len(r.Records[at("orders", 0)]) + len(r.Records[at("orders", 1)]); n != committed {
		t.Fatalf("%d records, %d were committed", n, committed)
	}
	if r.Compacted[at("orders", 0)] || r.Compacted[at("orders", 1)] {
		t.Error("what transactions leave is no compaction")
	}
	t.Logf("%d committed records, each as the reference shows it", committed)
}

func TestRealCodecs(t *testing.T) {
	h := realHarness(t)
	h.createTopic(t, "orders", 6, nil)
	var parts []event.TopicPartition
	codecs := []kgo.CompressionCodec{
		kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression(),
	}
	value := bytes.Repeat([]byte("all work and no play "), 40)
	for p, codec := range codecs {
		tp := at("orders", int32(p))
		parts = append(parts, tp)
		c := h.newClient(t, kgo.ProducerBatchCompression(codec))
		for i := range 20 {
			var rs []event.Record
			for k := range 50 {
				rs = append(rs, event.Record{Key: fmt.Append(nil, i*50+k), Value: append(value[:len(value):len(value)], byte(k)),
					Headers: []event.Header{{Key: "n", Value: []byte{byte(k)}}}})
			}
			rs = append(rs, event.Record{}, event.Record{Key: []byte("tombstone")}, event.Record{Value: []byte("no key")})
			h.produce(t, c, tp, rs...)
		}
	}
	r := compare(t, h, parts...)
	for _, tp := range parts {
		if n := len(r.Records[tp]); n != 20*53 {
			t.Errorf("%v: %d records", tp, n)
		}
	}
}

// A broker that compresses anew, with Java's own codecs and framing.
func TestRealBrokerCodecs(t *testing.T) {
	for _, codec := range []string{"gzip", "snappy", "lz4", "zstd"} {
		t.Run(codec, func(t *testing.T) {
			h := realHarness(t)
			h.createTopic(t, "orders", 1, map[string]string{"compression.type": codec, "message.timestamp.type": "LogAppendTime"})
			var rs []event.Record
			for i := range 500 {
				rs = append(rs, event.Record{Key: fmt.Append(nil, i), Value: bytes.Repeat(fmt.Append(nil, i, " "), 100), Timestamp: 1})
			}
			h.Produce(t, at("orders", 0), rs...)
			r := compare(t, h, at("orders", 0))
			if n := len(r.Records[at("orders", 0)]); n != 500 {
				t.Errorf("%d records", n)
			}
			if ts := r.Records[at("orders", 0)][0].Timestamp; ts == 1 {
				t.Error("the time is the producer's, not that of the append")
			}
		})
	}
}

func TestRealCompactedTopic(t *testing.T) {
	h := realHarness(t)
	h.createTopic(t, "orders", 1, map[string]string{
		"cleanup.policy": "compact", "segment.ms": "500", "min.cleanable.dirty.ratio": "0.01", "delete.retention.ms": "100",
		"min.compaction.lag.ms": "0", "max.compaction.lag.ms": "1000", "segment.bytes": "1048576",
	})
	tp := at("orders", 0)
	id := h.newClient(t, kgo.TransactionalID(h.prefix+"compacting"))
	written := 0
	write := func(round int) {
		for i := range 4 {
			var rs []event.Record
			for k := range 50 {
				r := event.Record{Key: fmt.Append(nil, "k", k), Value: fmt.Appendf(nil, "%d/%d/%d", round, i, k)}
				if k%10 == round%10 {
					r.Value = nil
				}
				rs = append(rs, r)
			}
			written += len(rs)
			if i%2 == 0 {
				h.Produce(t, tp, rs...)
				continue
			}
			if err := id.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			h.produce(t, id, tp, rs...)
			h.end(t, id, i%4 == 1)
		}
	}
	// The cleaner leaves the active segment alone, so that something is written
	// until it has been seen to have cleaned.
	deadline := time.Now().Add(60 * time.Second)
	for round := 0; ; round++ {
		write(round)
		r := sourcetest.NewReader(h.log(t), tp)
		r.CatchUp(t)
		if n := len(r.Records[tp]); round > 3 && n < written/3 {
			t.Logf("after %d rounds %d of %d records are left, up to offset %d", round, n, written, r.Positions[tp].Offset)
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the broker did not clean the topic")
		}
		time.Sleep(700 * time.Millisecond)
	}
	r := compare(t, h, tp)
	// From every kind of offset, those that compaction took included.
	all, end := r.Records[tp], r.Positions[tp].Offset
	if !r.Compacted[tp] {
		t.Error("the broker has cleaned the topic, and no batch says so")
	}
	for from := int64(0); from < end; from += max(end/50, 1) {
		again := sourcetest.NewReader(r.Log, tp)
		again.Positions[tp].Offset = from
		again.CatchUp(t)
		want := 0
		for _, x := range all {
			if x.Offset >= from {
				want++
			}
		}
		// The cleaner may run between the two reads.
		if n := len(again.Records[tp]); n > want || again.Positions[tp].Offset < end {
			t.Errorf("from %d: %d records up to %d, want at most %d up to %d", from, n, again.Positions[tp].Offset, want, end)
		}
	}
}

func TestRealMillion(t *testing.T) {
	h := realHarness(t)
	const n, partitions = 1_000_000, 4
	h.createTopic(t, "orders", partitions, nil)
	c := h.newClient(t, kgo.ProducerBatchCompression(kgo.Lz4Compression()), kgo.ProducerLinger(5*time.Millisecond), kgo.MaxBufferedRecords(100_000))
	digest := func(tp int32, k, v []byte) uint64 {
		f := fnv.New64a()
		_ = binary.Write(f, binary.BigEndian, tp)
		_, _ = f.Write(k)
		_, _ = f.Write([]byte{0})
		_, _ = f.Write(v)
		return f.Sum64()
	}
	var want [partitions]uint64
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Second)
	defer cancel()
	for i := range n {
		p := int32(i % partitions)
		k, v := fmt.Append(nil, "key-", i%5000), fmt.Appendf(nil, `{"id":%d,"amount":%d,"note":"a record of the usual size, more or less"}`, i, i*31)
		want[p] = want[p]*31 + digest(p, k, v)
		c.Produce(ctx, &kgo.Record{Topic: h.topic("orders"), Partition: p, Key: k, Value: v}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	if err := c.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	log := h.log(t)
	pos := make([]sources.Position, partitions)
	for i := range pos {
		pos[i] = sources.Position{TopicPartition: at("orders", int32(i)), LeaderEpoch: -1}
	}
	var got [partitions]uint64
	count := 0
	start := time.Now()
	for count < n {
		results, err := log.Fetch(ctx, pos)
		if err != nil {
			t.Fatal(err)
		}
		for i := range results {
			b := &results[i].Batch
			if results[i].Err != nil {
				t.Fatal(results[i].Err)
			}
			p := b.Partition
			for _, r := range b.Records {
				got[p] = got[p]*31 + digest(p, r.Key, r.Value)
			}
			count += len(b.Records)
			pos[p].Offset, pos[p].LeaderEpoch = b.Next, b.LeaderEpoch
			b.Release()
		}
	}
	if got != want || count != n {
		t.Fatalf("%d records, digests %x, want %x", count, got, want)
	}
	t.Logf("%d records in %v, %.0f records/s, digests equal", n, time.Since(start).Round(time.Millisecond), n/time.Since(start).Seconds())
}

func TestRealRestartWhileReading(t *testing.T) {
	env := realEnv(t)
	if env["KAFKA_PID_FILE"] == "" {
		t.Fatal("the broker is not one that hack/kafka can restart: unset KAFKA_BOOTSTRAP and run hack/kafka/up")
	}
	h := realHarness(t)
	h.createTopic(t, "orders", 2, nil)
	tp := at("orders", 0)
	var want []string
	for i := range 5000 {
		want = append(want, fmt.Sprint("v", i))
	}
	var rs []event.Record
	for _, v := range want {
		rs = append(rs, event.Record{Value: []byte(v)})
	}
	h.Produce(t, tp, rs[:4000]...)
	h.cfg.MaxPartitionBytes = 2000
	r := sourcetest.NewReader(h.log(t), tp, at("orders", 1))
	r.Until(t, func() bool { return len(r.Records[tp]) > 500 })

	member := h.Join(t, "g")
	gen := next(t, member, 2)
	for _, script := range []string{"restart", "kill"} {
		cmd := exec.Command(filepath.Join(hack, script))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", script, err, out)
		}
		if script == "kill" {
			// While it is down, fetches say so.
			ctx := sourcetest.Context(t)
			for {
				results, err := r.Log.Fetch(ctx, []sources.Position{*r.Positions[tp]})
				if sources.ReasonOf(err) == sources.ReasonUnreachable {
					break
				}
				if err != nil {
					t.Fatalf("a dead broker gives %v", err)
				}
				for i := range results {
					if results[i].Err != nil {
						t.Fatalf("a dead broker gives %v", results[i].Err)
					}
					r.Take(t, &results[i])
				}
			}
			if out, err := exec.Command(filepath.Join(hack, "up")).CombinedOutput(); err != nil {
				t.Fatalf("up: %v: %s", err, out)
			}
		}
		// The connections of before are dead, the broker is not.
		if _, err := r.Log.Describe(sourcetest.Context(t), "orders"); err != nil {
			t.Errorf("after %s: %v", script, err)
		}
		if _, err := r.Log.Bounds(sourcetest.Context(t), tp); err != nil {
			t.Errorf("after %s: %v", script, err)
		}
		// The member is back, by a new generation or by the old one.
		if gen.Context.Err() != nil {
			gen.Done()
			gen = next(t, member, 2)
		}
		n := len(r.Records[tp]) + 500
		ctx := sourcetest.Context(t)
		for len(r.Records[tp]) < min(n, 4000) {
			results, err := r.Log.Fetch(ctx, []sources.Position{*r.Positions[tp], *r.Positions[at("orders", 1)]})
			if err != nil && sources.ReasonOf(err) != sources.ReasonUnreachable {
				t.Fatal(err)
			}
			for i := range results {
				if results[i].Err != nil {
					t.Fatal(results[i].Err)
				}
				r.Take(t, &results[i])
			}
		}
	}
	gen.Done()
	h.Produce(t, tp, rs[4000:]...)
	r.CatchUp(t)
	if got := values(r.Records[tp]); got != strings.Join(want, " ") {
		t.Fatalf("%d records differ from what was written", len(r.Records[tp]))
	}
}

func values(rs []event.Record) string {
	var out []string
	for _, r := range rs {
		out = append(out, string(r.Value))
	}
	return strings.Join(out, " ")
}
