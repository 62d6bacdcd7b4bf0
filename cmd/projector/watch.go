// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// watchEvery is how often the store is asked for what it says of the projection, watchTime how long each answer may take.
const (
	watchEvery = time.Minute
	watchTime  = 10 * time.Second
)

// watching asks the store now and then, until stop is called, which waits for the last answer.
func (p *process) watching(ctx context.Context, w stores.Writer) (stop func()) {
	s, ok := w.(stores.Watcher)
	if !ok {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	tick := time.NewTicker(watchEvery)
	go func() {
		defer close(done)
		p.watch(ctx, s, tick.C)
	}()
	return func() { tick.Stop(); cancel(); <-done }
}

// watch asks at once and at each tick, until ctx is done. What is not answered stays as it was, with its time.
func (p *process) watch(ctx context.Context, s stores.Watcher, tick <-chan time.Time) {
	for {
		p.look(ctx, s)
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
	}
}

func (p *process) look(ctx context.Context, s stores.Watcher) {
	limited, cancel := context.WithTimeout(ctx, watchTime)
	defer cancel()
	// What it says was so after this.
	at := time.Now().UTC()
	if revision, sequence, err := s.Shown(limited); err == nil && revision != "" {
		p.shown.Store(&contract.Shown{Revision: revision, Sequence: sequence, At: at})
	}
	if size, err := s.Size(limited); err == nil {
		p.size.Store(size)
	}
}
