// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"errors"
	"time"

	"github.com/projectionist-dev/projectionist/projectors/event"
)

// ErrClosed is returned by a Log or a Group after Close.
var ErrClosed = errors.New("the source is closed")

// TopicInfo is what a broker says of a topic.
type TopicInfo struct {
	// ID is the broker's own id of the topic, which changes when the topic is
	// deleted and created again. Empty when the broker has none.
	ID string
	// Partitions is the number of partitions; their indexes are 0 to Partitions-1.
	Partitions int32
}

// Bounds is the extent of one partition, as offsets.
type Bounds struct {
	// Earliest is the first offset that can still be read.
	Earliest int64
	// End is the last stable offset: a reader whose next offset is >= End has
	// caught up. It is at most HighWatermark.
	End int64
	// HighWatermark is the offset after the last replicated record. It stays
	// above End while a producer's transaction is open.
	HighWatermark int64
}

// Position is where to read on.
type Position struct {
	event.TopicPartition
	// Offset is the next offset to read.
	Offset int64
	// LeaderEpoch is the epoch of the last record batch read before Offset, -1
	// if unknown. With it a log that lost its tail is found out.
	LeaderEpoch int32
	// TopicID, when not empty, is the id of the topic that Offset belongs to. If
	// the broker has another one the fetch fails with TopicRecreated instead of
	// reading the other topic's records.
	TopicID string
}

// Result is what one fetch gave for one partition: a batch or an error.
type Result struct {
	// Batch names the partition in either case, with First the offset asked for.
	// When Err is nil, Next > First unless the log's bounds alone are new.
	Batch event.Batch
	// Err concerns this partition alone; it has a reason (see ReasonOf).
	Err error
}

// Log reads the topics of one broker. Its methods may be called concurrently.
type Log interface {
	// Describe asks the broker, past any cache, for the topics with these names
	// (of EventTopic resources). Topics that do not exist are left out of the
	// map and joined into the error as TopicMissing.
	Describe(ctx context.Context, topics ...string) (map[string]TopicInfo, error)
	// Bounds asks the leaders for the extent of the partitions. It fails as a
	// whole when one partition cannot be asked.
	Bounds(ctx context.Context, partitions ...event.TopicPartition) (map[event.TopicPartition]Bounds, error)
	// Fetch reads on from the positions, at most one per partition. It returns
	// as soon as one partition has news, and otherwise after the source's
	// longest wait with an empty result. The error is for faults that concern
	// the source as a whole; calling again is always right, after a pause.
	// Every batch must be released.
	Fetch(ctx context.Context, positions []Position) ([]Result, error)
	// Close ends all calls under way.
	Close() error
}

// Timed is a capability of a Log: it finds positions by time.
type Timed interface {
	// At gives of each partition the offset of the first record whose timestamp is at or after t, and, where there is none before the
	// last stable offset, an end that the partition had after the call began. Records of aborted transactions may count. It
	// fails as Bounds does.
	At(ctx context.Context, t time.Time, partitions ...event.TopicPartition) (map[event.TopicPartition]int64, error)
}

// Group is one member's view of the group that shares a log's partitions.
type Group interface {
	// Next blocks until this member is assigned anew. There is never more than
	// one generation: Next waits until Done was called on the last. Transient
	// faults are retried inside; the errors returned have a reason, and Next may
	// be called again. After Close it returns ErrClosed.
	Next(ctx context.Context) (Generation, error)
	// Close leaves the group, so that others take over at once. It gives up
	// after a few seconds: the broker then finds out by the session timeout.
	Close() error
}

// Generation is one assignment of partitions, valid until Context is done.
type Generation struct {
	// ID is the broker's number of the generation. It is no fencing token.
	ID int32
	// Assigned are this member's partitions, sorted.
	Assigned []event.TopicPartition
	// Counts is the number of partitions per topic known when the assignment was
	// made, 0 for a topic that does not exist.
	Counts map[string]int32
	// Context is done when the generation ends. Workers must then leave at once:
	// the member sends no heartbeat until Done.
	Context context.Context //nolint:containedctx // it is the generation's life, not a call's
	// Done must be called once all workers left. Calling it while the generation
	// lives ends it, and the member joins again. Further calls do nothing.
	Done func()
	// CommitAdvisory tells the broker how far the group is (next offset per
	// partition), for tools that show lag. Nothing is ever read back from it.
	CommitAdvisory func(map[event.TopicPartition]int64) error
}
