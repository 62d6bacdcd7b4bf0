// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/codecs"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/sources"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// noLimit stands for the absence of a barrier.
const noLimit = int64(1)<<62 - 1

// maxOutstanding is how many fetched batches of one partition may wait for
// their commit: one being committed, one folded, one being evaluated.
const maxOutstanding = 3

// recordWeight is what a record counts in the budget of bytes in flight beside
// its own bytes: its struct, and the row mutations that it is folded into. For
// small events that is many times their size (Law 10).
const recordWeight = 512

// faultFor is how long after a failed fetch a partition's fault is held to
// last. It is longer than the pauses between fetches of a partition that fails.
const faultFor = 10 * time.Second

// partition is the state of one assigned partition in a session; the session's
// mutex guards it.
type partition struct {
	tp    event.TopicPartition
	claim stores.Claim // Next moves with each commit

	// claimed is false while another claim holds the partition, or none was made yet.
	claimed bool
	// serial changes whenever what is in flight becomes void (lost or stopped),
	// so that units of before are told apart.
	serial int
	// asked is the serial of when more was last asked for.
	asked int
	// fetchNext is the position to fetch; at or past claim.Next.
	fetchNext   int64
	leaderEpoch int32
	outstanding int
	// limit is the position that a barrier allows to reach, noLimit without one.
	limit int64
	stop  *contract.Stop
	// wait is set while the event at its position cannot be read, and is not to blame for it.
	wait *wait

	// lostAt and lostRow say when and at which state of its row it was lost.
	lostAt  time.Time
	lostRow stores.Claim

	end, highWatermark int64
	sampledAt          time.Time
	gapSince           time.Time // since when End has stood still below HighWatermark
	fault              string    // what keeps the source from giving more, "" if nothing
	faultAt            time.Time // when it was last seen
}

// fetchable says that the fetcher may ask for more.
func (p *partition) fetchable() bool {
	return p.live() && !p.held() && p.outstanding < maxOutstanding && p.fetchNext < p.limit
}

// throttled says that only the committer keeps the fetcher from asking.
func (p *partition) throttled() bool {
	return p.live() && !p.held() && p.outstanding >= maxOutstanding && p.fetchNext < p.limit
}

func (p *partition) live() bool { return p.claimed && p.stop == nil }

func (p *partition) position() sources.Position {
	return sources.Position{
		TopicPartition: p.tp, Offset: p.fetchNext, LeaderEpoch: p.leaderEpoch, TopicID: p.claim.TopicID,
	}
}

// sampled takes over bounds that were asked at now.
func (p *partition) sampled(end, highWatermark int64, now time.Time) {
	if end < 0 {
		return
	}
	switch {
	case highWatermark <= end:
		p.gapSince = time.Time{}
	case p.gapSince.IsZero() || end != p.end:
		p.gapSince = now
	}
	p.end, p.highWatermark, p.sampledAt = end, highWatermark, now
}

// caughtUp says that the position is at an end of the log that was seen within maxAge.
func (p *partition) caughtUp(now time.Time, stalledAfter, maxAge time.Duration) bool {
	return p.live() && p.fault == "" && p.wait == nil && !p.sampledAt.IsZero() && now.Sub(p.sampledAt) <= maxAge && p.lag(now, stalledAfter) == 0
}

// unit is one fetched batch on its way to a commit.
type unit struct {
	p      *partition
	serial int
	batch  event.Batch
	weight int64 // its share of the budget
	// next is the position after the last event that rows holds; below
	// batch.Next when the batch was cut by a failing event.
	next int64
	// rows is nil when no event had an effect.
	rows *fold.Batch
	// events counts the records up to next, applied those that had an effect.
	events, applied int
	eventTime       int64 // ms, 0 if none
	// stop is set when the record at next cannot be applied, wait when it cannot be read now.
	stop     *contract.Stop
	wait     *codecs.UnavailableError
	stagedAt time.Time
}

// current is session.current; the session's mutex is held.
func (u *unit) current() bool { return u.p.claimed && u.p.serial == u.serial }
