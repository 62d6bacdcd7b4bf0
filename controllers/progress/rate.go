// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package progress

import (
	"fmt"
	"strconv"
	"time"

	"k8s.io/utils/ptr"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
)

// Of what a rate is measured: samples of the last window, which span at least leastSpan.
const (
	window    = time.Minute
	leastSpan = 4 * time.Second
)

// sample is how far a revision was at one time.
type sample struct {
	at   time.Time
	done int64
}

// Work is how many positions of the log are done, of how many, both from where the revision began; ok is false while
// a partition's position or end is not known.
func (s Snapshot) Work() (done, total int64, ok bool) {
	if b := s.Build; s.Heard && b != nil && b.Phase != contract.BuildWaiting {
		// Positions are written at the end of a bulk build.
		total = min(max(b.Of, 0), maxLag)
		return min(max(b.Events, 0), total), total, true
	}
	if !s.Heard || len(s.Partitions) == 0 {
		return 0, 0, false
	}
	for _, p := range s.Partitions {
		position, err := p.Position.Offset()
		if err != nil || p.UpdatedAt.IsZero() {
			return 0, 0, false
		}
		end, err := p.End.Offset()
		if err != nil {
			return 0, 0, false
		}
		begin, _ := p.Begin.Offset() // 0 where it is the beginning of the log
		end = min(max(end-begin, 0), maxLag)
		done += min(max(position-begin, 0), end)
		total += end
	}
	return done, total, true
}

// Rate is the events in a second over about the last minute, in two digits, so
// that it changes seldom; ok is false while too little was seen.
func (s Snapshot) Rate() (perSecond int64, ok bool) {
	if !s.measured {
		return 0, false
	}
	return contract.TwoDigits(s.perSecond), true
}

// Left is how long the lag takes at the rate, in steps; ok is false below one event a second.
func (s Snapshot) Left() (time.Duration, bool) {
	left, known := s.Lag()
	if s.Build != nil {
		done, total, ok := s.Work()
		left, known = total-done, ok
	}
	if !known || !s.measured {
		return 0, false
	}
	return contract.Estimate(left, s.perSecond)
}

// Figures are how far a revision is that is built, nil while that is not known.
func (s Snapshot) Figures() *v1alpha1.BuildProgress {
	done, total, ok := s.Work()
	if !ok {
		return nil
	}
	out := &v1alpha1.BuildProgress{EventsDone: ptr.To(done), EventsTotal: ptr.To(total)}
	if rate, ok := s.Rate(); ok {
		out.EventsPerSecond = ptr.To(rate)
	}
	if left, ok := s.Left(); ok {
		out.EstimatedSecondsLeft = ptr.To(int64(left / time.Second))
	}
	return out
}

// Percent is 100 only where nothing is left.
func Percent(done, total int64) string {
	if done >= total {
		return "100%"
	}
	return fmt.Sprintf("%d%%", min(99, int64(float64(done)/float64(total)*100)))
}

// measure notes how far a revision is, and says how fast it was.
func (m *memory) measure(s *Snapshot, now time.Time) {
	done, _, ok := s.Work()
	if !ok {
		return
	}
	if n := len(m.samples); n > 0 && (done < m.samples[n-1].done || now.Sub(m.samples[n-1].at) > window) {
		// It was begun anew, or nobody looked for long.
		m.samples = nil
	}
	if n := len(m.samples); n == 0 || now.Sub(m.samples[n-1].at) >= time.Second {
		m.samples = append(m.samples, sample{now, done})
	}
	for len(m.samples) > 1 && now.Sub(m.samples[1].at) >= window {
		m.samples = m.samples[1:]
	}
	first := m.samples[0]
	if span := now.Sub(first.at); span >= leastSpan {
		s.perSecond, s.measured = float64(done-first.done)/span.Seconds(), true
	}
}

// Count writes a number as people read it: 14, 9321, 12k, 1.2M.
func Count(n int64) string {
	switch {
	case n < 10_000:
		return strconv.FormatInt(n, 10)
	case n < 1_000_000:
		return fmt.Sprintf("%dk", n/1000)
	}
	return fmt.Sprintf("%.1fM", float64(n)/1e6)
}

// Span writes a duration of whole seconds as people read it: 30s, 1m20s, 14m, 2h5m.
func Span(d time.Duration) string {
	n := int64(max(d, 0).Round(time.Second) / time.Second)
	hours, minutes, seconds := n/3600, n/60%60, n%60
	out := ""
	if hours > 0 {
		out += fmt.Sprintf("%dh", hours)
	}
	if minutes > 0 {
		out += fmt.Sprintf("%dm", minutes)
	}
	if out == "" || (seconds > 0 && hours == 0) {
		out += fmt.Sprintf("%ds", seconds)
	}
	return out
}
