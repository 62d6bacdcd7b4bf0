// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package bulk

import (
	"context"
	"maps"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/engine"
	"github.com/projectionist-dev/projectionist/projectors/sources"
)

// Status tells where the build stands. Partitions are as far as the tables are:
// what is only folded counts as lag. Identity fields are the caller's to fill in.
func (b *Builder) Status() contract.ProjectorStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	st := contract.ProjectorStatus{
		Version: contract.Version, Source: b.source, Store: b.store, TopicPartitions: maps.Clone(b.counts),
		Partitions: []contract.PartitionStatus{}, EventsTotal: b.built, RowsTotal: b.builtRows,
	}
	if b.phase != "" {
		st.Build = &contract.BuildStatus{Phase: b.phase, Since: b.since}
	}
	if b.work == nil || b.phase == contract.BuildWaiting {
		return st
	}
	b.work.status(&st)
	return st
}

// Ready is true once this process has reached both broker and store: with all
// but one waiting for the build, a roll-out of the pods would never end otherwise.
func (b *Builder) Ready() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reached
}

// stuckAfter is how long reading may stand still, although broker and store answer,
// before the process is held to be broken.
const stuckAfter = 5 * time.Minute

// Alive is false when nothing moves although store and broker answer. What the
// store does is not seen from here: its connection's own timeouts watch over it.
func (b *Builder) Alive() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.phase != contract.BuildReading || !b.source.OK || !b.store.OK {
		b.progress = time.Now()
	}
	return time.Since(b.progress) < stuckAfter
}

// Built gives the events and rows that a build has put into the tables.
func (b *Builder) Built() (events, rows int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.built, b.builtRows
}

func (b *Builder) setPhase(phase string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.phase != phase {
		if phase != "" {
			b.cfg.Logger.Info("bulk build", "phase", phase)
		}
		b.phase, b.since = phase, time.Now().UTC()
		b.progress = time.Now()
		b.metrics.setPhase(phase)
	}
}

func (b *Builder) noteCounts(infos map[string]sources.TopicInfo) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reached = true
	b.counts = make(map[string]int32, len(infos))
	for name, info := range infos {
		b.counts[name] = info.Partitions
	}
}

func (b *Builder) sourceOK() { b.setHealth(&b.source, contract.Health{OK: true}) }

func (b *Builder) storeOK() { b.setHealth(&b.store, contract.Health{OK: true}) }

func (b *Builder) sourceFailed(ctx context.Context, err error) {
	if ctx.Err() == nil {
		b.failed("source", &b.source, engine.SourceHealth(err))
	}
}

func (b *Builder) storeFailed(ctx context.Context, err error) {
	if ctx.Err() == nil {
		b.failed("store", &b.store, engine.StoreHealth(err))
	}
}

func (b *Builder) failed(side string, h *contract.Health, now contract.Health) {
	if b.setHealth(h, now) {
		b.cfg.Logger.Warn("the "+side+" cannot be used, trying again", "reason", now.Reason, "error", now.Message)
	}
}

// setHealth keeps Since while the state stays the same, and says whether it changed.
func (b *Builder) setHealth(h *contract.Health, now contract.Health) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if h.OK == now.OK && h.Reason == now.Reason {
		h.Message = now.Message
		return false
	}
	now.Since = time.Now().UTC()
	*h = now
	return true
}
