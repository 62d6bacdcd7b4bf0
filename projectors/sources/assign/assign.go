// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package assign shares partitions among the members of a group.
//
// Invariants: the result depends on the input's content alone, not on its
// order; every partition goes to exactly one member; members' numbers of
// partitions differ by at most one; and as many partitions stay where they were
// as that allows, since a partition that moves costs a claim in the store.
//
// Neighbours: the kafka and memory sources.
package assign

import (
	"cmp"
	"maps"
	"slices"

	"github.com/projectionist-dev/projectionist/projectors/event"
)

// Member is one member of a group, and what it says it has.
type Member struct {
	ID string
	// Generation is the one in which Owned was assigned. Of two members that
	// claim the same partition the later generation is right.
	Generation int32
	Owned      []event.TopicPartition
}

// Sticky assigns each of the partitions to one of the members.
func Sticky(members []Member, partitions []event.TopicPartition) map[string][]event.TopicPartition {
	out := make(map[string][]event.TopicPartition, len(members))
	if len(members) == 0 {
		return out
	}
	free := make(map[event.TopicPartition]bool, len(partitions))
	for _, p := range partitions {
		free[p] = true
	}

	// The latest claim on a partition holds; the lower id between equals.
	ranked := slices.Clone(members)
	slices.SortFunc(ranked, func(a, b Member) int {
		return cmp.Or(-cmp.Compare(a.Generation, b.Generation), cmp.Compare(a.ID, b.ID))
	})
	kept := make(map[string][]event.TopicPartition, len(members))
	for _, m := range ranked {
		for _, p := range m.Owned {
			if free[p] {
				delete(free, p)
				kept[m.ID] = append(kept[m.ID], p)
			}
		}
	}

	// Those who have most get the shares that are larger by one.
	ids := make([]string, 0, len(members))
	for _, m := range members {
		ids = append(ids, m.ID)
	}
	slices.SortFunc(ids, func(a, b string) int {
		return cmp.Or(-cmp.Compare(len(kept[a]), len(kept[b])), cmp.Compare(a, b))
	})
	total := len(free)
	for _, ps := range kept {
		total += len(ps)
	}
	share, larger := total/len(ids), total%len(ids)
	quota := make(map[string]int, len(ids))
	for i, id := range ids {
		quota[id] = share
		if i < larger {
			quota[id]++
		}
		ps := kept[id]
		slices.SortFunc(ps, event.TopicPartition.Compare)
		for len(ps) > quota[id] {
			free[ps[len(ps)-1]] = true
			ps = ps[:len(ps)-1]
		}
		out[id] = ps
	}

	// The rest goes one by one to whoever has least, so that the partitions of
	// each topic spread over the members.
	for _, p := range slices.SortedFunc(maps.Keys(free), event.TopicPartition.Compare) {
		best := ""
		for _, id := range ids {
			if len(out[id]) < quota[id] && (best == "" || len(out[id]) < len(out[best])) {
				best = id
			}
		}
		out[best] = append(out[best], p)
	}
	for _, ps := range out {
		slices.SortFunc(ps, event.TopicPartition.Compare)
	}
	return out
}
