// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// commitLoop commits staged units until the channel is closed, then what is
// left. ctx ends it in the middle; the fence keeps that safe.
func (s *session) commitLoop(ctx context.Context) {
	c := &committer{session: s, folder: s.e.newFolder()}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for open := true; open || len(c.pending) > 0; {
		if open {
			timer.Reset(c.due(time.Now()))
			select {
			case u, ok := <-s.staged:
				open = ok
				c.add(u)
			case <-timer.C:
			}
			open = c.drainStaged(open)
		}
		if !open || c.due(time.Now()) <= 0 {
			c.flush(ctx)
		}
	}
}

// committer gathers units and commits them, over all partitions, in order.
type committer struct {
	*session
	folder  *folder
	pending []*unit // in the order of staging
	events  int
	rows    bool
}

func (c *committer) add(u *unit) {
	if u == nil {
		return
	}
	c.pending = append(c.pending, u)
	c.events += u.events
	c.rows = c.rows || u.rows != nil
}

func (c *committer) drainStaged(open bool) bool {
	for open && c.events < c.e.cfg.MaxCommitEvents {
		select {
		case u, ok := <-c.staged:
			open = ok
			c.add(u)
		default:
			return open
		}
	}
	return open
}

// due is how long the pending units may still wait for company. A stop and a
// batch of some size wait for nothing; a move without rows waits longest.
func (c *committer) due(now time.Time) time.Duration {
	if len(c.pending) == 0 {
		return time.Hour
	}
	wait := c.e.cfg.IdleCommit
	if c.rows {
		wait = c.e.cfg.Linger
	}
	if c.throttles() {
		wait = c.e.cfg.Linger // nothing is fetched until this is committed
	}
	if c.events >= c.e.cfg.MaxCommitEvents/10 || slices.ContainsFunc(c.pending, func(u *unit) bool { return u.stop != nil }) {
		wait = 0
	}
	return wait - now.Sub(c.pending[0].stagedAt)
}

func (c *committer) throttles() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.pending, func(u *unit) bool { return u.p.throttled() })
}

// flush commits all that is pending and lets go of it.
func (c *committer) flush(ctx context.Context) {
	c.commit(ctx, c.pending)
	for _, u := range c.pending {
		c.finish(u)
	}
	c.pending, c.events, c.rows = c.pending[:0], 0, false
}

// commit brings units into the store. It returns when each has been committed,
// or has become void (its partition was lost or stopped), or ctx is done.
func (c *committer) commit(ctx context.Context, units []*unit) {
	var wait backoff
	ambiguous := false
	for ctx.Err() == nil {
		units = slices.DeleteFunc(slices.Clone(units), func(u *unit) bool { return !c.current(u) })
		if len(units) == 0 {
			return
		}
		req := c.build(units)
		begin := time.Now()
		err := c.e.cfg.Writer.Commit(ctx, req)
		c.e.metrics.commitSeconds.Observe(time.Since(begin).Seconds())
		var fenced *stores.FencedError
		var data *stores.DataError
		switch {
		case err == nil:
			c.committed(req, units)
			return
		case errors.As(err, &fenced):
			if ambiguous && c.landed(ctx, req) {
				c.committed(req, units)
				return
			}
			c.lost(ctx, fenced.Partitions)
		case errors.As(err, &data):
			c.isolate(ctx, units)
			return
		case errors.Is(err, stores.ErrNoPosition) && c.stopMissing(ctx, req):
		default:
			// An earlier attempt may have been committed without our knowing.
			ambiguous = true
			c.failed(ctx, c.e.storeFailed, err)
			wait.sleep(ctx)
		}
	}
}

// build makes one transaction of units: one advance per partition, rows folded
// in the order of the partitions.
func (c *committer) build(units []*unit) stores.Commit {
	byPartition := slices.Clone(units)
	slices.SortStableFunc(byPartition, func(a, b *unit) int { return a.p.tp.Compare(b.p.tp) })
	var req stores.Commit
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, u := range byPartition {
		if i == 0 || byPartition[i-1].p != u.p {
			req.Advances = append(req.Advances, stores.Advance{Claim: u.p.claim, EventTime: u.p.claim.EventTime})
		}
		a := &req.Advances[len(req.Advances)-1]
		if i == 0 || byPartition[i-1].p != u.p {
			a.Next = u.p.claim.Next
		}
		if u.batch.First != a.Next {
			// The fence compares positions, not rows: a gap here would lose events
			// silently. Crashing is safe, the next process starts from the store.
			panic(fmt.Sprintf("engine: %s: a batch from %d after position %d", u.p.tp, u.batch.First, a.Next))
		}
		a.Next, a.LeaderEpoch, a.TopicID = u.next, max(u.batch.LeaderEpoch, u.p.claim.LeaderEpoch), u.p.claim.TopicID
		if t := time.UnixMilli(u.eventTime).UTC(); u.eventTime > 0 && t.After(a.EventTime) {
			a.EventTime = t
		}
	}
	req.Rows = c.mergeRows(byPartition)
	return req
}

// mergeRows folds units into one batch. The units keep their own, so that a
// partition can be dropped and the rest folded again.
func (c *committer) mergeRows(units []*unit) *fold.Batch {
	withRows := slices.DeleteFunc(slices.Clone(units), func(u *unit) bool { return u.rows == nil })
	switch len(withRows) {
	case 0:
		return nil
	case 1:
		return withRows[0].rows
	}
	rows := fold.NewBatch(c.e.cfg.Models)
	for _, u := range withRows {
		rows.Merge(u.rows)
	}
	return rows
}

func (c *committer) committed(req stores.Commit, units []*unit) {
	c.e.storeOK()
	c.mu.Lock()
	for _, a := range req.Advances {
		p := c.parts[a.Claim.TopicPartition]
		p.claim.Next, p.claim.EventTime, p.claim.LeaderEpoch = a.Next, a.EventTime, a.LeaderEpoch
	}
	c.mu.Unlock()
	events, applied, rows := 0, 0, 0
	for _, u := range units {
		events += u.events
		applied += u.applied
	}
	if req.Rows != nil {
		rows = req.Rows.Len()
	}
	c.e.counted(events, applied, rows)
}

// landed tells whether a commit whose outcome was unknown did happen: every
// partition stands, under our claim, where the commit would have put it.
func (c *committer) landed(ctx context.Context, req stores.Commit) bool {
	rows, err := c.peek(ctx)
	if err != nil {
		return false
	}
	for _, a := range req.Advances {
		r := rows[a.Claim.TopicPartition]
		if r.Epoch != a.Claim.Epoch || r.Token != a.Claim.Token || r.Next != a.Next {
			return false
		}
	}
	return true
}

func (s *session) peek(ctx context.Context) (map[event.TopicPartition]stores.Claim, error) {
	rows, err := s.e.cfg.Writer.Peek(ctx)
	if err != nil {
		return nil, err
	}
	m := make(map[event.TopicPartition]stores.Claim, len(rows))
	for _, r := range rows {
		m[r.TopicPartition] = r
	}
	return m, nil
}

// lost drops partitions whose fence did not hold.
func (c *committer) lost(ctx context.Context, tps []event.TopicPartition) {
	rows, err := c.peek(ctx)
	if err != nil {
		c.failed(ctx, c.e.storeFailed, err)
		rows = nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, tp := range tps {
		p := c.parts[tp]
		if p != nil && p.claimed {
			c.loseLocked(p, rows[tp])
		}
	}
}

// stopMissing stops the partitions of a commit whose position rows are gone, and
// says whether there are any.
func (c *committer) stopMissing(ctx context.Context, req stores.Commit) bool {
	rows, err := c.peek(ctx)
	if err != nil || len(rows) == 0 {
		return false // without any row the whole revision is gone: that may be mended
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	found := false
	for _, a := range req.Advances {
		if _, ok := rows[a.Claim.TopicPartition]; ok {
			continue
		}
		p := c.parts[a.Claim.TopicPartition]
		p.claimed = false
		p.serial++
		c.stopLocked(p, positionMissing(p.claim.Next))
		found = true
	}
	return found
}

// isolate commits units partition by partition after the store refused their
// rows together, and narrows a partition that fails alone down to one event.
func (c *committer) isolate(ctx context.Context, units []*unit) {
	byPartition := make(map[*partition][]*unit)
	var order []*partition
	for _, u := range units {
		if byPartition[u.p] == nil {
			order = append(order, u.p)
		}
		byPartition[u.p] = append(byPartition[u.p], u)
	}
	if len(order) > 1 {
		for _, p := range order {
			c.commit(ctx, byPartition[p])
		}
		return
	}
	for _, u := range units {
		if !c.narrow(ctx, u, piece{u.batch.First, u.batch.Records[:u.events], u.next}) {
			return
		}
	}
}

// piece is a part of a unit's batch: the records between two positions.
type piece struct {
	first   int64
	records []event.Record
	next    int64
}

// narrow commits a piece in ever smaller halves, and stops the partition at
// the first record that the store refuses. False when the partition does not go on.
func (c *committer) narrow(ctx context.Context, u *unit, p piece) bool {
	err := c.tryPiece(ctx, u, p)
	var data *stores.DataError
	switch {
	case err == nil:
		return true
	case !errors.As(err, &data) || len(p.records) == 0:
		return false
	case len(p.records) > 1:
		mid := len(p.records) / 2
		at := p.records[mid].Offset
		return c.narrow(ctx, u, piece{p.first, p.records[:mid], at}) && c.narrow(ctx, u, piece{at, p.records[mid:], p.next})
	}
	stop := StopFor(p.records[0].Offset, data)
	c.mu.Lock()
	u.p.serial++
	c.stopLocked(u.p, stop)
	c.mu.Unlock()
	return false
}

// tryPiece commits a piece, waiting out faults of the surroundings; the error
// is a *stores.DataError, errVoid or ctx's.
func (c *committer) tryPiece(ctx context.Context, u *unit, p piece) error {
	part := &unit{p: u.p, serial: u.serial, batch: event.Batch{First: p.first, LeaderEpoch: u.batch.LeaderEpoch}}
	c.folder.fold(part, p.records, p.next)
	var wait backoff
	ambiguous := false
	for ctx.Err() == nil {
		if !c.current(part) {
			return errVoid
		}
		if part.wait != nil {
			// This evaluator has to learn a schema that the first one knew.
			c.waits(part)
			wait.sleep(ctx)
			if c.folder.fold(part, p.records, p.next); part.wait == nil {
				c.waited(part)
			}
			continue
		}
		req := c.build([]*unit{part})
		err := c.e.cfg.Writer.Commit(ctx, req)
		var fenced *stores.FencedError
		var data *stores.DataError
		switch {
		case err == nil, errors.As(err, &fenced) && ambiguous && c.landed(ctx, req):
			c.committed(req, []*unit{part})
			return nil
		case errors.As(err, &fenced):
			c.lost(ctx, fenced.Partitions)
		case errors.As(err, &data):
			return err
		case errors.Is(err, stores.ErrNoPosition) && c.stopMissing(ctx, req):
		default:
			ambiguous = true
			c.failed(ctx, c.e.storeFailed, err)
			wait.sleep(ctx)
		}
	}
	return ctx.Err()
}

var errVoid = errors.New("the partition was lost")
