// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"errors"
	"fmt"

	"github.com/projectionist-dev/projectionist/projectors/event"
)

// The reasons are stable: conditions, metrics and documents use them.
const (
	ReasonOffsetOutOfRange     = "OffsetOutOfRange"
	ReasonTopicMissing         = "TopicMissing"
	ReasonTopicRecreated       = "TopicRecreated"
	ReasonLogTruncated         = "LogTruncated"
	ReasonCorruptBatch         = "CorruptBatch"
	ReasonUnsupportedFormat    = "UnsupportedFormat"
	ReasonUnsupportedCodec     = "UnsupportedCodec"
	ReasonBatchTooLarge        = "BatchTooLarge"
	ReasonAuthenticationFailed = "AuthenticationFailed"
	ReasonAuthorizationFailed  = "AuthorizationFailed"
	ReasonUnreachable          = "Unreachable"
	ReasonUnsupportedBroker    = "UnsupportedBroker"
)

// Error is an error of a source that a user can act on. Its text says what
// happened and what to do, and never holds a record's bytes or a credential.
type Error interface {
	error
	// Reason is one of the constants above.
	Reason() string
}

// ReasonOf gives the reason of the first Error in err's tree, "" if there is none.
func ReasonOf(err error) string {
	var e Error
	if errors.As(err, &e) {
		return e.Reason()
	}
	return ""
}

// Permanent says that trying again cannot help: the partition has to stop until
// a person decides. Other errors go away when the broker, the network, the
// credentials or the rights are mended, without a restart.
func Permanent(err error) bool {
	switch ReasonOf(err) {
	case ReasonOffsetOutOfRange, ReasonTopicRecreated, ReasonLogTruncated, ReasonCorruptBatch,
		ReasonUnsupportedFormat, ReasonUnsupportedCodec, ReasonBatchTooLarge:
		return true
	}
	return false
}

// OffsetOutOfRange says that the log does not hold the offset asked for.
type OffsetOutOfRange struct { //nolint:errname // named as the reason that users see
	event.TopicPartition
	Asked, Earliest, End int64
	// Below is true when the offset was removed (retention, or a deletion of
	// records), false when it lies beyond the end of the log.
	Below bool
}

// Reason implements Error.
func (e *OffsetOutOfRange) Reason() string { return ReasonOffsetOutOfRange }

func (e *OffsetOutOfRange) Error() string {
	if e.Below {
		return fmt.Sprintf("%s: position %d is older than the log, which now begins at %d: events in between were "+
			"removed before they were read; rebuild the projection (it then starts from what is left), or restore the topic",
			e.TopicPartition, e.Asked, e.Earliest)
	}
	return fmt.Sprintf("%s: position %d lies beyond the end of the log, which is %d: the topic lost its tail or was "+
		"replaced by another; restore the topic, or rebuild the projection", e.TopicPartition, e.Asked, e.End)
}

// TopicMissing says that the broker has no such topic, or hides it for lack of rights.
type TopicMissing struct { //nolint:errname // named as the reason that users see
	// Topic is the EventTopic's name, BrokerTopic the topic's name at the broker.
	Topic, BrokerTopic string
}

// Reason implements Error.
func (e *TopicMissing) Reason() string { return ReasonTopicMissing }

func (e *TopicMissing) Error() string {
	return fmt.Sprintf("topic %q of EventTopic %s does not exist at the broker: create it, correct the name, or grant "+
		"the user DESCRIBE on it", e.BrokerTopic, e.Topic)
}

// TopicRecreated says that the topic was deleted and created again since the
// position was written, so that the position belongs to another log.
type TopicRecreated struct { //nolint:errname // named as the reason that users see
	// Topic is the EventTopic's name.
	Topic        string
	WasID, NowID string
}

// Reason implements Error.
func (e *TopicRecreated) Reason() string { return ReasonTopicRecreated }

func (e *TopicRecreated) Error() string {
	return fmt.Sprintf("the topic of EventTopic %s was deleted and created again (its id was %s and is now %s): "+
		"rebuild the projection from the new topic, or restore the old one", e.Topic, e.WasID, e.NowID)
}

// LogTruncated says that the log ends, for the epoch last read, before the
// position: records that were already applied have vanished (an unclean
// election of a leader), and others may stand in their place.
type LogTruncated struct { //nolint:errname // named as the reason that users see
	event.TopicPartition
	Asked       int64
	LeaderEpoch int32
	// EndOffset is where the log parts from what was read, -1 if unknown.
	EndOffset int64
}

// Reason implements Error.
func (e *LogTruncated) Reason() string { return ReasonLogTruncated }

func (e *LogTruncated) Error() string {
	return fmt.Sprintf("%s: the log was truncated to %d below position %d (leader epoch %d): events that were applied are "+
		"no longer in the topic; rebuild the projection, and look for an unclean leader election at the broker",
		e.TopicPartition, e.EndOffset, e.Asked, e.LeaderEpoch)
}

// BadBatch says that a record batch at Offset cannot be read. Its reason is
// CorruptBatch, UnsupportedFormat, UnsupportedCodec or BatchTooLarge.
type BadBatch struct { //nolint:errname // named as the reason that users see
	event.TopicPartition
	// Offset is the first offset of the batch.
	Offset int64
	Kind   string
	// Why says what is wrong, without any of the batch's content.
	Why string
}

// Reason implements Error.
func (e *BadBatch) Reason() string { return e.Kind }

func (e *BadBatch) Error() string {
	var advice string
	switch e.Kind {
	case ReasonUnsupportedFormat:
		advice = "the topic holds messages in the format of Kafka before 0.11: copy it to a new topic with a current producer"
	case ReasonUnsupportedCodec:
		advice = "known codecs are gzip, snappy, lz4 and zstd: produce with one of them"
	case ReasonBatchTooLarge:
		advice = "let producers write smaller batches, or give the projector a higher limit"
	default:
		advice = "check the broker's disks and replicas (kafka-dump-log shows the segment); nothing after it is applied"
	}
	return fmt.Sprintf("%s: the record batch at %d cannot be read: %s; %s", e.TopicPartition, e.Offset, e.Why, advice)
}

// AuthenticationFailed says that the broker, or the TLS peer, does not accept who we are,
// or that we do not accept who it is.
type AuthenticationFailed struct { //nolint:errname // named as the reason that users see
	Address string
	Err     error
}

// Reason implements Error.
func (e *AuthenticationFailed) Reason() string { return ReasonAuthenticationFailed }
func (e *AuthenticationFailed) Unwrap() error  { return e.Err }

func (e *AuthenticationFailed) Error() string {
	return fmt.Sprintf("authentication at broker %s failed: %v; check user, password, SASL mechanism, client certificate and "+
		"CA in the Secrets that the EventBroker names (they are read again at the next attempt)", e.Address, e.Err)
}

// AuthorizationFailed says that the user lacks a right.
type AuthorizationFailed struct { //nolint:errname // named as the reason that users see
	// Resource is what was refused, such as `topic "orders"` or `group "app-1"`.
	Resource string
	// Needs is the right that is missing, such as READ.
	Needs string
}

// Reason implements Error.
func (e *AuthorizationFailed) Reason() string { return ReasonAuthorizationFailed }

func (e *AuthorizationFailed) Error() string {
	return fmt.Sprintf("the broker's user has no right to use %s: grant it %s", e.Resource, e.Needs)
}

// Unreachable says that the broker, or the leader of a partition, did not answer.
type Unreachable struct { //nolint:errname // named as the reason that users see
	Address string
	Err     error
}

// Reason implements Error.
func (e *Unreachable) Reason() string { return ReasonUnreachable }
func (e *Unreachable) Unwrap() error  { return e.Err }

func (e *Unreachable) Error() string {
	return fmt.Sprintf("broker %s cannot be reached: %v; check the EventBroker's bootstrapServers and TLS setting, the "+
		"broker's advertised listeners, and network policies (it is tried again all the time)", e.Address, e.Err)
}

// UnsupportedBroker says that the broker is too old.
type UnsupportedBroker struct { //nolint:errname // named as the reason that users see
	Address string
	Why     string
}

// Reason implements Error.
func (e *UnsupportedBroker) Reason() string { return ReasonUnsupportedBroker }

func (e *UnsupportedBroker) Error() string {
	return fmt.Sprintf("broker %s is too old: %s; Apache Kafka 2.8 or newer is needed", e.Address, e.Why)
}
