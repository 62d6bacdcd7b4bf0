// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"time"

	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// look compares the position rows of partitions that have nothing to commit with
// what we believe of them. A commit is fenced where a row is another; without one
// nobody would see that a failover of the store has lost the last commit, or our
// claim, and the rows would lack events until the next one comes.
//
// It fences itself by no commit of its own: only partitions count that had
// nothing in flight before the rows were read, and that stand as they did then.
func (s *session) look(ctx context.Context) {
	before := make(map[*partition]stores.Claim)
	s.mu.Lock()
	for _, p := range s.order {
		if p.claimed && p.outstanding == 0 {
			before[p] = p.claim
		}
	}
	s.mu.Unlock()
	if len(before) == 0 {
		return
	}
	rows, err := s.peek(ctx)
	if err != nil {
		s.failed(ctx, s.e.storeFailed, err)
		s.storeAway = true
		return
	}
	if s.storeAway {
		s.storeAway = false
		s.e.storeOK()
	}
	if len(rows) == 0 {
		return // the whole revision is gone: that may be mended
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.order {
		was, asked := before[p]
		if !asked || !p.claimed || p.outstanding > 0 || p.claim != was {
			continue
		}
		row, there := rows[p.tp]
		switch {
		case !there:
			p.claimed = false
			p.serial++
			s.stopLocked(p, positionMissing(p.claim.Next))
		case !fenceHolds(p.claim, row):
			s.loseLocked(p, row)
		}
	}
}

// fenceHolds tells whether a commit under a claim would find its row as it expects.
func fenceHolds(c, row stores.Claim) bool {
	return c.Epoch == row.Epoch && c.Token == row.Token && c.Next == row.Next && c.HeldVersion == row.HeldVersion
}

// loseLocked drops a partition whose row is not as we left it. It is claimed again
// in the next generation, or when the row has stood still for ReclaimAfter:
// two members must not take from each other for ever. What nobody holds is claimed again by the next watch.
func (s *session) loseLocked(p *partition, row stores.Claim) {
	message := "partition is claimed by another projector"
	if row.Token == p.claim.Token {
		message = "the position row is not as this projector left it: the store has gone back, or somebody changed it"
	}
	// A stop ahead of what becomes void here is found again by whoever gets there.
	p.claimed, p.stop, p.lostAt, p.lostRow = false, nil, time.Now(), row
	p.serial++
	s.e.metrics.fenced.Inc()
	if row.Free() {
		s.e.cfg.Logger.Info("the claim was ended while rows were replaced; it is made anew", "partition", p.tp.String(), "by", row.Owner)
		return
	}
	s.e.cfg.Logger.Warn(message, "partition", p.tp.String(), "owner", row.Owner)
}
