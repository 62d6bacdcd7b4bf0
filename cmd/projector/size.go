// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// sizeEvery is how often the tables are measured, sizeTime how long that may take.
const (
	sizeEvery = time.Minute
	sizeTime  = 10 * time.Second
)

// measuring measures the tables now and then, until stop is called, which waits for the last query.
func (p *process) measuring(ctx context.Context, w stores.Writer) (stop func()) {
	s, ok := w.(stores.Sizer)
	if !ok {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	tick := time.NewTicker(sizeEvery)
	go func() {
		defer close(done)
		p.measure(ctx, s, tick.C)
	}()
	return func() { tick.Stop(); cancel(); <-done }
}

// measure measures at once and at each tick, until ctx is done. What cannot be measured stays as it was: it is for people.
func (p *process) measure(ctx context.Context, s stores.Sizer, tick <-chan time.Time) {
	for {
		limited, cancel := context.WithTimeout(ctx, sizeTime)
		if size, err := s.Size(limited); err == nil {
			p.size.Store(size)
		}
		cancel()
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
	}
}
