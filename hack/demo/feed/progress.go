// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"sync"
	"sync/atomic"
	"time"
)

// counter reports what the partitions have sent.
type counter struct {
	events atomic.Int64
	report func(Progress)
}

func newCounter(report func(Progress)) *counter { return &counter{report: report} }

func (c *counter) add(n int) { c.events.Add(int64(n)) }

// start begins the reports; the function it returns ends them and gives the whole.
func (c *counter) start() (stop func() Progress) {
	start := time.Now()
	done := make(chan struct{})
	var reporter sync.WaitGroup
	if c.report != nil {
		reporter.Go(func() {
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			last, lastAt := int64(0), start
			for {
				select {
				case <-done:
					return
				case now := <-tick.C:
					events := c.events.Load()
					c.report(Progress{Events: events, Elapsed: now.Sub(start), Rate: perSecond(events-last, now.Sub(lastAt))})
					last, lastAt = events, now
				}
			}
		})
	}
	return func() Progress {
		close(done)
		reporter.Wait()
		elapsed := time.Since(start)
		events := c.events.Load()
		return Progress{Events: events, Elapsed: elapsed, Rate: perSecond(events, elapsed), Done: true}
	}
}

func perSecond(events int64, in time.Duration) float64 {
	if in <= 0 {
		return 0
	}
	return float64(events) / in.Seconds()
}
