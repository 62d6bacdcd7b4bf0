// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package progress

import (
	"cmp"
	"slices"
)

func sortPartitions(ps []Partition) {
	slices.SortFunc(ps, func(a, b Partition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic),
			cmp.Compare(a.Partition, b.Partition))
	})
}

// Lag is the number of events still to be applied over all partitions; ok is
// false while the end of a partition's log was never seen.
func (s Snapshot) Lag() (lag int64, ok bool) {
	if !s.Heard {
		return 0, false
	}
	for _, p := range s.Partitions {
		if p.UpdatedAt.IsZero() {
			return 0, false
		}
		lag += max(p.Lag, 0)
	}
	return lag, true
}

// lowLag is the bound of the lowest steps.
const lowLag = 100

// Low reports whether a lag is in the lowest steps: what is on its way in any
// projection that events come to.
func Low(lag int64) bool { return lag < lowLag }

// Bucket is a lag in the steps that a status shows, so that it changes seldom.
func Bucket(lag int64) string {
	switch {
	case lag <= 0:
		return "0"
	case Low(lag):
		return "<100"
	case lag < 1_000:
		return "<1k"
	case lag < 10_000:
		return "<10k"
	case lag < 100_000:
		return "<100k"
	case lag < 1_000_000:
		return "<1M"
	default:
		return ">1M"
	}
}
