// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package recordbatch

import (
	"sync"

	"github.com/projectionist-dev/projectionist/projectors/event"
)

// Set is what Decode gives. Its records point into the data that was decoded
// and into the set's own buffers: they are valid until Release.
type Set struct {
	Records []event.Record
	// Next is the offset to read on from.
	Next int64
	// LeaderEpoch is that of the last batch read, -1 if there was none.
	LeaderEpoch int32
	// Bytes is the size of keys, values and headers.
	Bytes int
	// Compacted tells that offsets before Next have no record, and are no transaction's: neither a control record nor
	// an aborted one. What compaction has removed of those counts as well.
	Compacted bool
	// Batches counts the complete batches.
	Batches int

	headers []event.Header
	buffers []*[]byte
}

var sets = sync.Pool{New: func() any { return new(Set) }}

// NewSet gives an empty set from a pool.
func NewSet() *Set {
	s, _ := sets.Get().(*Set)
	s.LeaderEpoch = -1
	return s
}

// What a pooled set may keep: one huge batch must not stay resident for ever.
const (
	maxKeptRecords = 64 << 10
	maxKeptBuffer  = 8 << 20
)

// Release gives the set and its buffers back. It must be called once.
func (s *Set) Release() {
	for i, b := range s.buffers {
		putBuffer(b)
		s.buffers[i] = nil
	}
	records, headers, buffers := s.Records, s.headers, s.buffers[:0]
	*s = Set{buffers: buffers}
	if cap(records) <= maxKeptRecords {
		clear(records)
		s.Records = records[:0]
	}
	if cap(headers) <= maxKeptRecords {
		clear(headers)
		s.headers = headers[:0]
	}
	sets.Put(s)
}

var buffers = sync.Pool{New: func() any { return new([]byte) }}

func getBuffer() *[]byte {
	b, _ := buffers.Get().(*[]byte)
	return b
}

func putBuffer(b *[]byte) {
	if cap(*b) <= maxKeptBuffer {
		buffers.Put(b)
	}
}
