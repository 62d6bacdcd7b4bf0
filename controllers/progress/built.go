// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package progress

import (
	"slices"
	"time"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
)

// What has to be seen of a build for its rate to say something about the next one: so many events, for so long, and a
// share of the log. An operator that was started anew sees of a revision that was built long ago only how it keeps up.
const (
	leastEvents = 1000
	leastShare  = 10
)

// gauge adds up what a build takes, over the times in which it went on. The zero value is ready to use.
type gauge struct {
	// at and done are those of the last look; bulk says what done counts, moving that it went on.
	at           time.Time
	done         int64
	bulk, moving bool

	events int64
	took   time.Duration
	// over is true once every partition was at its end: what comes then is as fast as events come in.
	over  bool
	built *v1alpha1.Built
}

// look gives what the build took, nil while it is not over.
func (g *gauge) look(s *Snapshot, now time.Time) *v1alpha1.Built {
	if g.over {
		return g.built
	}
	done, total, ok := s.Work()
	before := *g
	g.at, g.done, g.bulk, g.moving = now, done, s.Build != nil, ok && unhindered(s)
	// A bulk build counts from where it began, positions count from zero.
	if g.moving && before.moving && g.bulk == before.bulk && done >= before.done && now.Sub(before.at) <= window {
		g.events += done - before.done
		g.took += now.Sub(before.at)
	}
	if ok && !g.bulk && !slices.ContainsFunc(s.Partitions, func(p Partition) bool { return !p.Once }) {
		g.over = true
		if g.events >= leastEvents && g.events >= total/leastShare && g.took >= leastSpan {
			g.built = &v1alpha1.Built{Events: g.events, Seconds: int64((g.took + time.Second - 1) / time.Second)}
		}
	}
	return g.built
}

// unhindered reports whether nothing but the work itself takes time.
func unhindered(s *Snapshot) bool {
	return s.Source.OK && s.Store.OK && !slices.ContainsFunc(s.Partitions, func(p Partition) bool { return p.Stopped != nil || !p.Owned })
}
