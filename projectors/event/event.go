// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package event

import (
	"cmp"
	"fmt"
	"time"
)

// TopicPartition names one partition of one topic. Topic is the name of the
// EventTopic resource, not the topic's name at the broker: bookkeeping,
// status and messages speak the user's names.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// String gives the form that users see: orders/4.
func (tp TopicPartition) String() string { return fmt.Sprintf("%s/%d", tp.Topic, tp.Partition) }

// Compare orders by topic name, then partition index. It is the order in which
// position rows are locked.
func (tp TopicPartition) Compare(o TopicPartition) int {
	return cmp.Or(cmp.Compare(tp.Topic, o.Topic), cmp.Compare(tp.Partition, o.Partition))
}

// Header is one record header.
type Header struct {
	Key   string
	Value []byte
}

// Record is one event as it stands in the log. Its byte slices may alias the
// buffer of the Batch that holds it: they are valid until Batch.Release.
type Record struct {
	// Offset is the record's place in its partition.
	Offset int64
	// Timestamp is the record's time in milliseconds since the epoch.
	Timestamp int64
	// Key is nil when the record has a null key.
	Key []byte
	// Value is nil for a tombstone.
	Value   []byte
	Headers []Header
}

// Time returns the record's timestamp in UTC.
func (r *Record) Time() time.Time { return time.UnixMilli(r.Timestamp).UTC() }

// Batch is a run of records of one partition, in order. It may hold no record
// and still move the position: control records, aborted transactions and the
// holes of compaction are consumed too.
type Batch struct {
	TopicPartition
	// First is the position that was asked for; Next the one to ask for next.
	// Both are set on every batch and Next >= First.
	First, Next int64
	Records     []Record
	// Compacted tells that there are positions from First up to Next whose records compaction has removed: positions that
	// hold none, and are not what a transaction leaves. A record of the same key came later then.
	Compacted bool
	// LeaderEpoch is the epoch of the last record batch read, -1 if unknown.
	LeaderEpoch int32
	// Bytes is the size of keys, values and headers, for budgets.
	Bytes int
	// End is the last stable offset that came with this batch, -1 if unknown.
	End int64
	// HighWatermark is the end of the log that came with this batch, -1 if unknown.
	HighWatermark int64
	// Free gives the buffer back. May be nil.
	Free func()
}

// Release gives the batch's buffer back to its source; the records' slices are
// invalid afterwards. It is safe on a nil Free and does nothing the second time.
func (b *Batch) Release() {
	if f := b.Free; f != nil {
		b.Free, b.Records = nil, nil
		f()
	}
}
