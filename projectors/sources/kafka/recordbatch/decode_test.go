// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package recordbatch_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/sources/kafka/recordbatch"
)

type aborted = recordbatch.Aborted

func offsets(rs []event.Record) []int64 {
	out := []int64{}
	for _, r := range rs {
		out = append(out, r.Offset)
	}
	return out
}

// plain is a batch of n records without a producer.
func plain(base int64, n int) spec { return tx(base, n, -1, 0) }

func tx(base int64, n int, producer int64, attrs int16) spec {
	s := spec{base: base, producer: producer, attrs: attrs}
	for i := range n {
		s.records = append(s.records, rec(int32(i), "k", fmt.Sprint("v", base+int64(i))))
	}
	return s
}

func TestOffsets(t *testing.T) {
	const tr = transactional
	cases := []struct {
		name    string
		from    int64
		batches []spec
		aborted []aborted
		cut     int // bytes taken off the end
		want    []int64
		next    int64
		holes   bool // of compaction
	}{
		{name: "nothing", from: 7, next: 7, want: []int64{}},
		{name: "plain", batches: []spec{plain(0, 3), plain(3, 2)}, want: []int64{0, 1, 2, 3, 4}, next: 5},
		{name: "from the middle of a batch", from: 2, batches: []spec{plain(0, 4)}, want: []int64{2, 3}, next: 4},
		{name: "batch wholly before", from: 9, batches: []spec{plain(0, 4), plain(8, 3)}, want: []int64{9, 10}, next: 11},
		{name: "only batches before", from: 9, batches: []spec{plain(0, 4)}, want: []int64{}, next: 9},
		{name: "empty batch only", from: 5, batches: []spec{empty(5, 10)}, want: []int64{}, next: 15, holes: true},
		{name: "two empties then data", batches: []spec{empty(0, 4), empty(4, 6), plain(10, 1)}, want: []int64{10}, next: 11, holes: true},
		{name: "compacted tail", batches: []spec{{base: 0, producer: -1, lastDelta: 9, records: []kmsg.Record{rec(2, "a", "b"), rec(5, "c", "d")}}}, want: []int64{2, 5}, next: 10, holes: true},
		{name: "compacted head and hole between", from: 3, batches: []spec{plain(0, 1), plain(7, 1)}, want: []int64{7}, next: 8, holes: true},
		{name: "from in a compacted tail", from: 8, batches: []spec{{base: 0, producer: -1, lastDelta: 9, records: []kmsg.Record{rec(2, "a", "b")}}}, want: []int64{}, next: 10, holes: true},
		{name: "overlapping batches", batches: []spec{plain(0, 4), plain(2, 4)}, want: []int64{0, 1, 2, 3, 4, 5}, next: 6},
		{name: "repeated batch", batches: []spec{plain(0, 4), plain(0, 4)}, want: []int64{0, 1, 2, 3}, next: 4},
		{name: "truncated last batch", batches: []spec{plain(0, 2), plain(2, 5)}, cut: 3, want: []int64{0, 1}, next: 2},
		{name: "truncated in the header", batches: []spec{plain(0, 2), empty(2, 5)}, cut: 50, want: []int64{0, 1}, next: 2},
		{name: "truncated only batch", from: 1, batches: []spec{plain(0, 2)}, cut: 1, want: []int64{}, next: 1},
		{name: "commit", batches: []spec{tx(0, 2, 9, tr), marker(2, 9, true)}, want: []int64{0, 1}, next: 3},
		{name: "abort", batches: []spec{tx(0, 2, 9, tr), marker(2, 9, false)}, aborted: []aborted{{9, 0}}, want: []int64{}, next: 3},
		{name: "control tail only", from: 2, batches: []spec{marker(2, 9, true)}, want: []int64{}, next: 3},
		{name: "abort then commit of one producer", batches: []spec{tx(0, 2, 9, tr), marker(2, 9, false), tx(3, 2, 9, tr), marker(5, 9, true)},
			aborted: []aborted{{9, 0}}, want: []int64{3, 4}, next: 6},
		{name: "two aborts of one producer", batches: []spec{tx(0, 1, 9, tr), marker(1, 9, false), tx(2, 1, 9, tr), marker(3, 9, true), tx(4, 1, 9, tr), marker(5, 9, false)},
			aborted: []aborted{{9, 4}, {9, 0}}, want: []int64{2}, next: 6},
		{name: "interleaved producers", batches: []spec{tx(0, 1, 9, tr), tx(1, 1, 8, tr), tx(2, 1, 9, tr), marker(3, 8, true), tx(4, 1, 9, tr), marker(5, 9, false), tx(6, 1, 8, 0)},
			aborted: []aborted{{9, 0}}, want: []int64{1, 6}, next: 7},
		{name: "plain records of an aborting producer", batches: []spec{tx(0, 1, 9, tr), tx(1, 1, 9, 0), marker(2, 9, false)},
			aborted: []aborted{{9, 0}}, want: []int64{1}, next: 3},
		{name: "abort marker whose transaction lies before", from: 4, batches: []spec{marker(4, 9, false), tx(5, 1, 9, tr), marker(6, 9, true)}, want: []int64{5}, next: 7},
		{name: "transaction that begins before the fetch", from: 1, batches: []spec{tx(0, 3, 9, tr), marker(3, 9, false)}, aborted: []aborted{{9, 0}}, want: []int64{}, next: 4},
		{name: "abort that begins inside a batch", batches: []spec{tx(0, 3, 9, tr), marker(3, 9, false)}, aborted: []aborted{{9, 2}}, want: []int64{}, next: 4},
		{name: "emptied control batch", batches: []spec{{base: 0, producer: 9, attrs: control | tr, lastDelta: 2}, plain(3, 1)}, want: []int64{3}, next: 4},
		{name: "emptied aborted batch", batches: []spec{{base: 0, producer: 9, attrs: tr, lastDelta: 2}, marker(3, 9, false)}, aborted: []aborted{{9, 0}}, want: []int64{}, next: 4},
		{name: "idempotent, not transactional", batches: []spec{tx(0, 2, 9, 0)}, aborted: []aborted{{8, 0}}, want: []int64{0, 1}, next: 2},
	}
	var d recordbatch.Decoder
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			data := join(t, c.batches...)
			data = data[:len(data)-c.cut]
			set := recordbatch.NewSet()
			defer set.Release()
			if err := d.Decode(set, data, c.from, c.aborted); err != nil {
				t.Fatal(err)
			}
			if got := offsets(set.Records); !reflect.DeepEqual(got, c.want) || set.Next != c.next {
				t.Errorf("offsets %v next %d, want %v next %d", got, set.Next, c.want, c.next)
			}
			if set.Compacted != c.holes {
				t.Errorf("compacted: %t", set.Compacted)
			}
			for _, r := range set.Records {
				if s := fmt.Sprint("v", r.Offset); strings.HasPrefix(string(r.Value), "v") && string(r.Value) != s {
					t.Errorf("offset %d has value %s", r.Offset, r.Value)
				}
			}
		})
	}
}

// A batch written out from the description of the format: one record, key "k1", value "hello", one header.
const goldenBatch = "" +
	"000000000000002a" + "00000049" + "00000003" + "02" + "00000000" + "0000" + "00000000" +
	"0000018bcfe56800" + "0000018bcfe56800" + "ffffffffffffffff" + "ffff" + "ffffffff" + "00000001" +
	"2e" + "00" + "00" + "00" + "04" + "6b31" + "0a" + "68656c6c6f" + "02" + "08" + "74797065" + "08" + "74657374"

func TestByteExact(t *testing.T) {
	b, err := hex.DecodeString(goldenBatch)
	if err != nil {
		t.Fatal(err)
	}
	b[11] = byte(len(b) - 12)
	b[61] = byte(2 * (len(b) - 62))
	sum(b)
	var d recordbatch.Decoder
	set := recordbatch.NewSet()
	defer set.Release()
	if err := d.Decode(set, b, 42, nil); err != nil {
		t.Fatal(err)
	}
	want := []event.Record{{Offset: 42, Timestamp: 1700000000000, Key: []byte("k1"), Value: []byte("hello"),
		Headers: []event.Header{{Key: "type", Value: []byte("test")}}}}
	if !reflect.DeepEqual(set.Records, want) {
		t.Errorf("got %+v, want %+v", set.Records, want)
	}
	if set.LeaderEpoch != 3 || set.Next != 43 || set.Bytes != 2+5+4+4 || set.Batches != 1 {
		t.Errorf("epoch %d next %d bytes %d batches %d", set.LeaderEpoch, set.Next, set.Bytes, set.Batches)
	}
}

func TestNullsHeadersAndTimes(t *testing.T) {
	big := strings.Repeat("x", 300)
	s := spec{base: 10, producer: -1, baseTime: 1000, maxTime: 5000, records: []kmsg.Record{
		rec(0, "", ""),
		{OffsetDelta: 1, TimestampDelta64: -500, Key: []byte{}, Value: []byte{}},
		rec(2, "k", big, kmsg.Header{Key: "h1", Value: []byte("a")}, kmsg.Header{Key: "h2", Value: nil}, kmsg.Header{Key: "h1", Value: []byte{}}),
	}}
	for _, appendTime := range []bool{false, true} {
		if appendTime {
			s.attrs = logAppendTime
		}
		var d recordbatch.Decoder
		set := recordbatch.NewSet()
		if err := d.Decode(set, s.bytes(t), 0, nil); err != nil {
			t.Fatal(err)
		}
		r := set.Records
		if r[0].Key != nil || r[0].Value != nil || r[0].Headers != nil {
			t.Errorf("nulls: %+v", r[0])
		}
		if r[1].Key == nil || r[1].Value == nil || len(r[1].Key)+len(r[1].Value) != 0 {
			t.Errorf("empty is not null: %+v", r[1])
		}
		if string(r[2].Value) != big {
			t.Errorf("long value")
		}
		want := []event.Header{{Key: "h1", Value: []byte("a")}, {Key: "h2"}, {Key: "h1", Value: []byte{}}}
		if !reflect.DeepEqual(r[2].Headers, want) {
			t.Errorf("headers %+v", r[2].Headers)
		}
		times := []int64{r[0].Timestamp, r[1].Timestamp, r[2].Timestamp}
		wantTimes := []int64{1000, 500, 1020}
		if appendTime {
			wantTimes = []int64{5000, 5000, 5000}
		}
		if !reflect.DeepEqual(times, wantTimes) {
			t.Errorf("times %v, want %v", times, wantTimes)
		}
		set.Release()
	}
}

func TestCodecs(t *testing.T) {
	value := strings.Repeat("the quick brown fox ", 200)
	records := func() []kmsg.Record {
		var rs []kmsg.Record
		for i := range 50 {
			rs = append(rs, rec(int32(i), fmt.Sprint("k", i), value))
		}
		return rs
	}
	specs := map[string]spec{
		"none": {codec: none}, "gzip": {codec: gz}, "snappy": {codec: snap}, "lz4": {codec: lz}, "zstd": {codec: zst},
		"snappy xerial": {codec: snap, compress: func(b []byte) []byte { return xerial(b[:len(b)/3], b[len(b)/3:len(b)/2], b[len(b)/2:]) }},
	}
	for name, s := range specs {
		t.Run(name, func(t *testing.T) {
			s.producer, s.records = -1, records()
			data := s.bytes(t)
			var d recordbatch.Decoder
			for range 3 { // pooled buffers are used again
				set := recordbatch.NewSet()
				if err := d.Decode(set, data, 0, nil); err != nil {
					t.Fatal(err)
				}
				if len(set.Records) != 50 || set.Next != 50 {
					t.Fatalf("%d records, next %d", len(set.Records), set.Next)
				}
				for i, r := range set.Records {
					if string(r.Key) != fmt.Sprint("k", i) || string(r.Value) != value {
						t.Fatalf("record %d differs", i)
					}
				}
				set.Release()
			}
			if s.codec == none {
				return
			}
			d.MaxDecompressed = 10_000
			wantError(t, &d, data, recordbatch.TooLarge)
			s.compress = func([]byte) []byte { return []byte("this is not compressed") }
			d.MaxDecompressed = 0
			wantError(t, &d, s.bytes(t), recordbatch.Corrupt)
		})
	}
}

func wantError(t *testing.T, d *recordbatch.Decoder, data []byte, kind recordbatch.Kind) {
	t.Helper()
	set := recordbatch.NewSet()
	defer set.Release()
	err := d.Decode(set, data, 0, nil)
	var e *recordbatch.Error
	if !errors.As(err, &e) || e.Kind != kind {
		t.Errorf("got %v, want an error of kind %d", err, kind)
	}
	if len(set.Records) != 0 || set.Next != 0 {
		t.Errorf("a bad batch gave %d records, next %d", len(set.Records), set.Next)
	}
}

func TestBadBatches(t *testing.T) {
	mutate := func(s spec, f func(b []byte)) []byte {
		b := s.bytes(t)
		f(b)
		return b
	}
	resum := func(s spec, f func(b []byte)) []byte { return sum(mutate(s, f)) }
	cases := map[string]struct {
		data []byte
		kind recordbatch.Kind
	}{
		"checksum":                     {mutate(plain(5, 2), func(b []byte) { b[70] ^= 1 }), recordbatch.Corrupt},
		"format 1":                     {mutate(plain(5, 2), func(b []byte) { b[16] = 1 }), recordbatch.OldFormat},
		"format 0":                     {mutate(plain(5, 2), func(b []byte) { b[16] = 0 }), recordbatch.OldFormat},
		"format 9":                     {mutate(plain(5, 2), func(b []byte) { b[16] = 9 }), recordbatch.Corrupt},
		"length of less than a header": {mutate(plain(5, 2), func(b []byte) { b[11] = 10 }), recordbatch.Corrupt},
		"negative length":              {mutate(plain(5, 2), func(b []byte) { b[8] = 0xff }), recordbatch.Corrupt},
		"negative offset":              {mutate(plain(5, 2), func(b []byte) { b[0] = 0xff }), recordbatch.Corrupt},
		"offset overflow":              {resum(spec{base: 1<<63 - 1, producer: -1, lastDelta: 5}, func([]byte) {}), recordbatch.Corrupt},
		"codec 7":                      {resum(plain(5, 2), func(b []byte) { b[22] |= 7 }), recordbatch.UnknownCodec},
		"negative last delta":          {resum(plain(5, 2), func(b []byte) { b[23] = 0xff }), recordbatch.Corrupt},
		"too many records":             {spec{producer: -1, records: plain(5, 2).records, lastDelta: 9, count: 10}.bytes(t), recordbatch.Corrupt},
		"too few records":              {spec{producer: -1, records: plain(5, 2).records, lastDelta: 9, count: 1}.bytes(t), recordbatch.Corrupt},
		"negative count":               {spec{producer: -1, records: plain(5, 2).records, count: -1}.bytes(t), recordbatch.Corrupt},
		"offsets fall":                 {spec{producer: -1, lastDelta: 9, records: []kmsg.Record{rec(3, "a", "b"), rec(2, "a", "b")}}.bytes(t), recordbatch.Corrupt},
		"offset beyond the batch":      {spec{producer: -1, lastDelta: 2, records: []kmsg.Record{rec(3, "a", "b")}}.bytes(t), recordbatch.Corrupt},
		"record length":                {resum(plain(5, 1), func(b []byte) { b[61] += 2 }), recordbatch.Corrupt},
		"key length":                   {resum(plain(5, 1), func(b []byte) { b[65] = 126 }), recordbatch.Corrupt},
		"key length of -2":             {resum(plain(5, 1), func(b []byte) { b[65] = 3 }), recordbatch.Corrupt},
		"many headers":                 {resum(plain(5, 1), func(b []byte) { b[len(b)-1] = 126 }), recordbatch.Corrupt},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var d recordbatch.Decoder
			wantError(t, &d, c.data, c.kind)

			// What stands before a bad batch is given, what follows is not.
			set := recordbatch.NewSet()
			defer set.Release()
			all := append(join(t, plain(0, 1)), c.data...)
			all = append(all, join(t, plain(20, 1))...)
			if err := d.Decode(set, all, 0, nil); err == nil || len(set.Records) != 1 || set.Next != 1 {
				t.Errorf("%v: %d records, next %d", err, len(set.Records), set.Next)
			}
		})
	}
}

func TestReleaseForgets(t *testing.T) {
	var d recordbatch.Decoder
	for range 10 {
		set := recordbatch.NewSet()
		if len(set.Records) != 0 || set.Next != 0 || set.LeaderEpoch != -1 || set.Bytes != 0 || set.Batches != 0 {
			t.Fatalf("a new set holds %+v", set)
		}
		if err := d.Decode(set, join(t, plain(0, 3)), 0, nil); err != nil {
			t.Fatal(err)
		}
		set.Release()
	}
}

func TestNoAllocationPerRecord(t *testing.T) {
	s := plain(0, 2000)
	for i := range s.records {
		s.records[i].Headers = []kmsg.Header{{Key: "type", Value: []byte("created")}}
	}
	data := s.bytes(t)
	var d recordbatch.Decoder
	decode := func() {
		set := recordbatch.NewSet()
		if err := d.Decode(set, data, 0, nil); err != nil {
			t.Fatal(err)
		}
		set.Release()
	}
	decode()
	if n := testing.AllocsPerRun(50, decode); n > 20 {
		t.Errorf("%.0f allocations for 2000 records", n)
	}
}
