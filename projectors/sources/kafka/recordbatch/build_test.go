// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package recordbatch_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	none, gz, snap, lz, zst = 0, 1, 2, 3, 4

	logAppendTime = 0x08
	transactional = 0x10
	control       = 0x20
)

// spec is a batch to build with another implementation's encoder.
type spec struct {
	base      int64
	attrs     int16
	codec     int16
	epoch     int32
	producer  int64
	lastDelta int32 // of the last record when 0
	baseTime  int64
	maxTime   int64
	records   []kmsg.Record
	// count, when not 0, is announced instead of the number of records.
	count    int32
	compress func([]byte) []byte
}

func rec(delta int32, key, value string, headers ...kmsg.Header) kmsg.Record {
	r := kmsg.Record{OffsetDelta: delta, TimestampDelta64: int64(delta) * 10, Headers: headers}
	if key != "" {
		r.Key = []byte(key)
	}
	if value != "" {
		r.Value = []byte(value)
	}
	return r
}

func (s spec) bytes(t testing.TB) []byte {
	t.Helper()
	var body []byte
	for _, r := range s.records {
		b := r.AppendTo(nil)[1:] // without the length, which is 0 and takes a byte
		body = binary.AppendVarint(body, int64(len(b)))
		body = append(body, b...)
	}
	n := int32(len(s.records))
	if s.lastDelta == 0 && n > 0 {
		s.lastDelta = s.records[n-1].OffsetDelta
	}
	if s.count != 0 {
		n = s.count
	}
	if s.compress == nil {
		s.compress = func(b []byte) []byte { return compress(t, s.codec, b) }
	}
	body = s.compress(body)
	b := kmsg.RecordBatch{
		FirstOffset: s.base, Length: int32(49 + len(body)), PartitionLeaderEpoch: s.epoch, Magic: 2, Attributes: s.attrs | s.codec,
		LastOffsetDelta: s.lastDelta, FirstTimestamp: s.baseTime, MaxTimestamp: s.maxTime, ProducerID: s.producer,
		ProducerEpoch: 0, FirstSequence: 0, NumRecords: n, Records: body,
	}
	return sum(b.AppendTo(nil))
}

// sum sets a batch's checksum.
func sum(b []byte) []byte {
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

func compress(t testing.TB, codec int16, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	switch codec {
	case gz:
		w := gzip.NewWriter(&out)
		_, err := w.Write(b)
		check(err)
		check(w.Close())
	case snap:
		return snappy.Encode(nil, b)
	case lz:
		w := lz4.NewWriter(&out)
		_, err := w.Write(b)
		check(err)
		check(w.Close())
	case zst:
		w, err := zstd.NewWriter(&out)
		check(err)
		_, err = w.Write(b)
		check(err)
		check(w.Close())
	default:
		return b
	}
	return out.Bytes()
}

// xerial is snappy as Java writes it.
func xerial(blocks ...[]byte) []byte {
	out := []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1}
	for _, b := range blocks {
		z := snappy.Encode(nil, b)
		out = binary.BigEndian.AppendUint32(out, uint32(len(z)))
		out = append(out, z...)
	}
	return out
}

// marker is a control batch that ends a producer's transaction.
func marker(base, producer int64, commit bool) spec {
	key := []byte{0, 0, 0, 0}
	if commit {
		key[3] = 1
	}
	return spec{base: base, producer: producer, attrs: control | transactional, records: []kmsg.Record{{Key: key, Value: []byte{0, 0, 0, 0, 0, 0}}}}
}

// empty is a batch that compaction left without records, over n offsets.
func empty(base int64, n int32) spec { return spec{base: base, producer: -1, lastDelta: n - 1} }

func join(t testing.TB, specs ...spec) []byte {
	t.Helper()
	var out []byte
	for _, s := range specs {
		out = append(out, s.bytes(t)...)
	}
	return out
}
