// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package recordbatch

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"

	"github.com/projectionist-dev/projectionist/projectors/event"
)

// Offsets of the fields in a batch's header.
const (
	posBaseOffset      = 0
	posLength          = 8
	posLeaderEpoch     = 12
	posMagic           = 16
	posCRC             = 17
	posAttributes      = 21
	posLastOffsetDelta = 23
	posBaseTimestamp   = 27
	posMaxTimestamp    = 35
	posProducerID      = 43
	posCount           = 57
	headerSize         = 61

	// lengthPrefix is the part of the header that its length field does not count.
	lengthPrefix = 12
	// minRecordSize is that of a record without key, value and headers, with its length.
	minRecordSize = 7
)

const (
	attrCodecMask     = 0x07
	attrLogAppendTime = 0x08
	attrTransactional = 0x10
	attrControl       = 0x20
)

const controlAbort = 0

// Kind is the kind of an Error.
type Kind int

const (
	// Corrupt is a batch whose checksum or structure is wrong.
	Corrupt Kind = iota
	// OldFormat is a message set of format 0 or 1.
	OldFormat
	// UnknownCodec is a compression codec without decoder.
	UnknownCodec
	// TooLarge is a batch over the limit of decompressed bytes.
	TooLarge
)

// Error says which batch cannot be decoded, and why. It holds nothing of the
// batch's content.
type Error struct {
	// Offset is the batch's base offset.
	Offset int64
	Kind   Kind
	Why    string
}

func (e *Error) Error() string { return fmt.Sprintf("record batch at %d: %s", e.Offset, e.Why) }

// Aborted is an entry of a fetch response's list of aborted transactions.
type Aborted struct {
	ProducerID  int64
	FirstOffset int64
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Decoder decodes the records of one partition's part of a fetch response. It
// is reused for many; it must not be used concurrently.
type Decoder struct {
	// MaxDecompressed bounds the bytes that one batch may decompress to, and is
	// 64 MiB when zero.
	MaxDecompressed int
	// ReadUncommitted gives aborted records too.
	ReadUncommitted bool

	names    interned
	aborted  []Aborted
	aborting map[int64]struct{}
}

// DefaultMaxDecompressed is the limit when Decoder.MaxDecompressed is zero.
const DefaultMaxDecompressed = 64 << 20

// Decode reads record batches from data, which a fetch from offset `from` gave,
// and appends the records with an offset >= from to set. set.Next is where to
// read on. After an error set holds what came before the bad batch, and
// set.Next is at most that batch's first offset or `from`.
//
// aborted is the response's list of aborted transactions, in any order.
func (d *Decoder) Decode(set *Set, data []byte, from int64, aborted []Aborted) error {
	set.Next = max(set.Next, from)
	d.aborted = append(d.aborted[:0], aborted...)
	slices.SortFunc(d.aborted, func(a, b Aborted) int {
		switch {
		case a.FirstOffset < b.FirstOffset:
			return -1
		case a.FirstOffset > b.FirstOffset:
			return 1
		}
		return 0
	})
	clear(d.aborting)

	for len(data) >= posMagic+1 {
		base := int64(binary.BigEndian.Uint64(data[posBaseOffset:]))
		length := int64(int32(binary.BigEndian.Uint32(data[posLength:])))
		if base < 0 {
			return &Error{Offset: set.Next, Kind: Corrupt, Why: "its offset is negative"}
		}
		if magic := int8(data[posMagic]); magic != 2 {
			if magic == 0 || magic == 1 {
				return &Error{Offset: base, Kind: OldFormat, Why: fmt.Sprintf("it has message format %d; only format 2 (Kafka 0.11 and newer) is read", magic)}
			}
			return &Error{Offset: base, Kind: Corrupt, Why: fmt.Sprintf("its message format is %d", magic)}
		}
		if length < headerSize-lengthPrefix {
			return &Error{Offset: base, Kind: Corrupt, Why: fmt.Sprintf("its length field is %d, less than a header", length)}
		}
		if length+lengthPrefix > int64(len(data)) {
			// The broker cuts a response at its byte limit: the rest of the batch
			// comes with the next fetch.
			return nil
		}
		batch := data[:length+lengthPrefix]
		data = data[len(batch):]
		if err := d.batch(set, batch, base); err != nil {
			return err
		}
		set.Batches++
	}
	return nil
}

func (d *Decoder) batch(set *Set, b []byte, base int64) error {
	if got, want := crc32.Checksum(b[posAttributes:], castagnoli), binary.BigEndian.Uint32(b[posCRC:]); got != want {
		return &Error{Offset: base, Kind: Corrupt, Why: fmt.Sprintf("its checksum is %08x, and its content gives %08x", want, got)}
	}
	attrs := int16(binary.BigEndian.Uint16(b[posAttributes:]))
	lastDelta := int32(binary.BigEndian.Uint32(b[posLastOffsetDelta:]))
	count := int32(binary.BigEndian.Uint32(b[posCount:]))
	if lastDelta < 0 || base > math.MaxInt64-1-int64(lastDelta) {
		return &Error{Offset: base, Kind: Corrupt, Why: fmt.Sprintf("its last offset delta is %d", lastDelta)}
	}
	if count < 0 || int64(count) > int64(lastDelta)+1 {
		return &Error{Offset: base, Kind: Corrupt, Why: fmt.Sprintf("it announces %d records over %d offsets", count, int64(lastDelta)+1)}
	}
	last := base + int64(lastDelta)
	producer := int64(binary.BigEndian.Uint64(b[posProducerID:]))

	skip := attrs&attrControl != 0
	if !d.ReadUncommitted && producer >= 0 {
		d.abortUpTo(last)
		if attrs&attrControl != 0 {
			if isAbortMarker(b[headerSize:], count) {
				delete(d.aborting, producer)
			}
		} else if attrs&attrTransactional != 0 {
			_, skip = d.aborting[producer]
		}
	}
	had, first := len(set.Records), max(base, set.Next)
	if !skip && last >= set.Next && count > 0 {
		// Below set.Next, not below the offset asked for: batches that overlap
		// must not give a record twice.
		if err := d.records(set, b, base, set.Next, attrs, lastDelta, count); err != nil {
			return err
		}
	}
	if last >= set.Next {
		set.Compacted = set.Compacted || base > set.Next || !skip && int64(len(set.Records)-had) < last-first+1
		set.LeaderEpoch = int32(binary.BigEndian.Uint32(b[posLeaderEpoch:]))
		set.Next = last + 1
	}
	return nil
}

// abortUpTo notes the producers whose aborted transactions begin at or before
// last: from there to their abort marker their transactional batches are void.
func (d *Decoder) abortUpTo(last int64) {
	for len(d.aborted) > 0 && d.aborted[0].FirstOffset <= last {
		if d.aborting == nil {
			d.aborting = make(map[int64]struct{})
		}
		d.aborting[d.aborted[0].ProducerID] = struct{}{}
		d.aborted = d.aborted[1:]
	}
}

// isAbortMarker looks at the first record of a control batch, whose key is
// (version int16, type int16).
func isAbortMarker(records []byte, count int32) bool {
	if count < 1 {
		return false
	}
	r := reader{b: records}
	r.varint()
	r.skip(1)
	r.varint()
	r.varint()
	key := r.bytes()
	return !r.bad && len(key) >= 4 && binary.BigEndian.Uint16(key[2:]) == controlAbort
}

func (d *Decoder) records(set *Set, b []byte, base, from int64, attrs int16, lastDelta, count int32) error {
	body := b[headerSize:]
	if codec := attrs & attrCodecMask; codec != 0 {
		limit := d.MaxDecompressed
		if limit <= 0 {
			limit = DefaultMaxDecompressed
		}
		buf := getBuffer()
		out, err := decompress(codec, (*buf)[:0], body, limit)
		if err != nil {
			putBuffer(buf)
			err.Offset = base
			return err
		}
		*buf = out
		set.buffers = append(set.buffers, buf)
		body = out
	}
	if int64(count)*minRecordSize > int64(len(body)) {
		return &Error{Offset: base, Kind: Corrupt, Why: fmt.Sprintf("it announces %d records in %d bytes", count, len(body))}
	}

	baseTime := int64(binary.BigEndian.Uint64(b[posBaseTimestamp:]))
	appendTime := attrs&attrLogAppendTime != 0
	maxTime := int64(binary.BigEndian.Uint64(b[posMaxTimestamp:]))
	mark, markBytes := len(set.Records), set.Bytes
	set.Records = slices.Grow(set.Records, int(count))
	r := reader{b: body}
	prev := int64(-1)
	for i := range count {
		size := r.varint()
		if size < minRecordSize-1 || size > int64(len(r.b)) {
			return corruptRecord(set, mark, markBytes, base, i, "its length")
		}
		rec := reader{b: r.b[:size]}
		r.b = r.b[size:]
		rec.skip(1)
		timeDelta := rec.varlong()
		delta := rec.varint()
		key := rec.bytes()
		value := rec.bytes()
		headers := rec.varint()
		if rec.bad || headers < 0 || headers > int64(len(rec.b))/2 {
			return corruptRecord(set, mark, markBytes, base, i, "its fields")
		}
		if delta <= prev || delta > int64(lastDelta) {
			return corruptRecord(set, mark, markBytes, base, i, "its offset")
		}
		prev = delta
		if base+delta < from {
			continue
		}
		var hs []event.Header
		if headers > 0 {
			var ok bool
			if hs, ok = d.headers(set, &rec, int(headers)); !ok {
				return corruptRecord(set, mark, markBytes, base, i, "its headers")
			}
		}
		if len(rec.b) != 0 {
			return corruptRecord(set, mark, markBytes, base, i, "its length")
		}
		ts := baseTime + timeDelta
		if appendTime {
			ts = maxTime
		}
		set.Records = append(set.Records, event.Record{
			Offset: base + delta, Timestamp: ts, Key: key, Value: value, Headers: hs,
		})
		set.Bytes += len(key) + len(value)
	}
	if len(r.b) != 0 {
		return corruptRecord(set, mark, markBytes, base, count-1, "what follows it")
	}
	return nil
}

// corruptRecord takes back the batch's records: a batch is given whole or not at all.
func corruptRecord(set *Set, mark, markBytes int, base int64, i int32, what string) *Error {
	clear(set.Records[mark:])
	set.Records, set.Bytes = set.Records[:mark], markBytes
	return &Error{Offset: base, Kind: Corrupt, Why: fmt.Sprintf("%s is malformed (record %d of the batch)", what, i)}
}

func (d *Decoder) headers(set *Set, rec *reader, n int) ([]event.Header, bool) {
	start := len(set.headers)
	if cap(set.headers)-start < n {
		// Slices already handed out keep the old array.
		set.headers = make([]event.Header, 0, max(n, 2*cap(set.headers), 64))
		start = 0
	}
	for range n {
		size := rec.varint()
		if rec.bad || size < 0 || size > int64(len(rec.b)) {
			return nil, false
		}
		name := rec.b[:size]
		rec.skip(int(size))
		value := rec.bytes()
		if rec.bad {
			return nil, false
		}
		set.headers = append(set.headers, event.Header{Key: d.names.get(name), Value: value})
		set.Bytes += len(name) + len(value)
	}
	return set.headers[start:len(set.headers):len(set.headers)], true
}
