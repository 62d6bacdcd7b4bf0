// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/sources"
	"github.com/projectionist-dev/projectionist/projectors/sources/kafka/recordbatch"
)

func badBatch(tp event.TopicPartition, err error) error {
	var e *recordbatch.Error
	if !errors.As(err, &e) {
		return err
	}
	kind := sources.ReasonCorruptBatch
	switch e.Kind {
	case recordbatch.OldFormat:
		kind = sources.ReasonUnsupportedFormat
	case recordbatch.UnknownCodec:
		kind = sources.ReasonUnsupportedCodec
	case recordbatch.TooLarge:
		kind = sources.ReasonBatchTooLarge
	case recordbatch.Corrupt:
	}
	return &sources.BadBatch{TopicPartition: tp, Offset: e.Offset, Kind: kind, Why: e.Why}
}

// outOfRange finds out on which side of the log the position lies.
func (c *call) outOfRange(ctx context.Context, tp event.TopicPartition, pos sources.Position, now time.Time) {
	l := c.l
	all, err := l.Bounds(ctx, tp)
	l.mu.Lock()
	defer l.mu.Unlock()
	st := l.state(tp)
	b := all[tp]
	if err != nil {
		c.transient(tp, st, now, err)
		return
	}
	var lasting error
	switch {
	case pos.Offset < b.Earliest:
		st.retryAt = now.Add(errorInterval)
		c.fail(tp, &sources.OffsetOutOfRange{TopicPartition: tp, Asked: pos.Offset, Earliest: b.Earliest, End: b.HighWatermark, Below: true})
		return
	case pos.Offset > b.HighWatermark:
		lasting = &sources.OffsetOutOfRange{TopicPartition: tp, Asked: pos.Offset, Earliest: b.Earliest, End: b.HighWatermark}
	case pos.LeaderEpoch >= 0:
		// In range, but the leader does not know the epoch that was read.
		lasting = &sources.LogTruncated{TopicPartition: tp, Asked: pos.Offset, LeaderEpoch: pos.LeaderEpoch, EndOffset: -1}
	default:
		c.transient(tp, st, now, &sources.Unreachable{Address: l.bootstrap, Err: kafka.OffsetOutOfRange})
		return
	}
	// A follower that just became leader may not know its high watermark yet.
	if st.beyond.IsZero() {
		st.beyond = now
	}
	if now.Sub(st.beyond) >= l.cfg.BeyondEndGrace {
		st.retryAt = now.Add(errorInterval)
		c.fail(tp, lasting)
		return
	}
	l.stale = true
	st.wait(now)
	c.noteRetry(st)
}

func (c *call) refused(tp event.TopicPartition, w wanted, addr string, code int16, now time.Time) {
	l := c.l
	l.mu.Lock()
	defer l.mu.Unlock()
	st := l.state(tp)
	var err error
	switch kafka.Error(code) {
	case kafka.TopicAuthorizationFailed:
		err = topicForbidden(w.topic)
	case kafka.UnsupportedCompressionType:
		err = &sources.BadBatch{TopicPartition: tp, Offset: w.offset, Kind: sources.ReasonUnsupportedCodec, Why: "the broker says that its codec is not supported"}
	case kafka.InvalidMessage:
		err = &sources.BadBatch{TopicPartition: tp, Offset: w.offset, Kind: sources.ReasonCorruptBatch, Why: "the broker says that it is corrupt"}
	default:
		c.transient(tp, st, now, codeError(addr, code))
		return
	}
	st.retryAt = now.Add(errorInterval)
	c.fail(tp, err)
}

func codeError(addr string, code int16) error {
	return &sources.Unreachable{Address: addr, Err: fmt.Errorf("it answers: %w", kafka.Error(code))}
}
