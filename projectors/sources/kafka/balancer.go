// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package kafka

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/segmentio/kafka-go"

	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/sources/assign"
)

// balancer is the group's assignment protocol: every member publishes what it
// owns when it joins, and the member that the broker made leader shares anew.
// It speaks of the broker's topics.
type balancer struct {
	// count gives the number of partitions per topic. kafka-go's own list is
	// empty as soon as one of the topics does not exist.
	count func() (map[string]int32, error)

	mu         sync.Mutex
	generation int32
	owned      map[string][]int32
	// counts is set when this member, as leader, made the last assignment.
	counts map[string]int32
}

// userData is what members publish. Its form is part of the protocol between
// releases: fields may only be added.
type userData struct {
	Version    int                `json:"v"`
	Generation int32              `json:"generation"`
	Owned      map[string][]int32 `json:"owned,omitempty"`
}

func (b *balancer) ProtocolName() string { return "projectionist-sticky-v1" }

func (b *balancer) UserData() ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.counts = nil
	data, err := json.Marshal(userData{Version: 1, Generation: b.generation, Owned: b.owned})
	if err != nil {
		return nil, fmt.Errorf("kafka: group metadata: %w", err)
	}
	return data, nil
}

func (b *balancer) AssignGroups(members []kafka.GroupMember, partitions []kafka.Partition) kafka.GroupMemberAssignments {
	counts, err := b.count()
	if err != nil {
		counts = map[string]int32{}
		for _, p := range partitions {
			counts[p.Topic]++
		}
	}
	var all []event.TopicPartition
	for topic, n := range counts {
		for p := range n {
			all = append(all, event.TopicPartition{Topic: topic, Partition: p})
		}
	}
	b.mu.Lock()
	b.counts = counts
	b.mu.Unlock()

	in := make([]assign.Member, 0, len(members))
	out := make(kafka.GroupMemberAssignments, len(members))
	for _, m := range members {
		out[m.ID] = map[string][]int{}
		var u userData
		// A member whose data cannot be read owns nothing, as one that is new.
		_ = json.Unmarshal(m.UserData, &u)
		owner := assign.Member{ID: m.ID, Generation: u.Generation}
		for _, topic := range slices.Sorted(maps.Keys(u.Owned)) {
			for _, p := range u.Owned[topic] {
				owner.Owned = append(owner.Owned, event.TopicPartition{Topic: topic, Partition: p})
			}
		}
		in = append(in, owner)
	}
	for id, ps := range assign.Sticky(in, all) {
		for _, p := range ps {
			out[id][p.Topic] = append(out[id][p.Topic], int(p.Partition))
		}
	}
	return out
}

// assigned notes what this member has in a generation, and gives the counts if
// it made the assignment.
func (b *balancer) assigned(generation int32, owned map[string][]int32) map[string]int32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.generation, b.owned = generation, owned
	return b.counts
}
