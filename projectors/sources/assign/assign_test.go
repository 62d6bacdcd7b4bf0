// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package assign_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/sources/assign"
)

func TestSticky(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var parts []event.TopicPartition
		for i := range rapid.IntRange(1, 3).Draw(t, "topics") {
			for p := range rapid.IntRange(0, 12).Draw(t, "partitions") {
				parts = append(parts, event.TopicPartition{Topic: fmt.Sprint("t", i), Partition: int32(p)})
			}
		}
		// Claims may be stale, double, or on partitions that are gone.
		claim := rapid.Custom(func(t *rapid.T) event.TopicPartition {
			return event.TopicPartition{Topic: fmt.Sprint("t", rapid.IntRange(0, 3).Draw(t, "ct")), Partition: rapid.Int32Range(0, 14).Draw(t, "cp")}
		})
		var members []assign.Member
		for i := range rapid.IntRange(1, 6).Draw(t, "members") {
			members = append(members, assign.Member{
				ID: fmt.Sprint("m", i), Generation: rapid.Int32Range(0, 3).Draw(t, "gen"),
				Owned: rapid.SliceOfN(claim, 0, 10).Draw(t, "owned"),
			})
		}
		got := assign.Sticky(members, parts)
		seen := map[event.TopicPartition]bool{}
		low, high := len(parts), 0
		for _, m := range members {
			ps := got[m.ID]
			low, high = min(low, len(ps)), max(high, len(ps))
			for _, p := range ps {
				if seen[p] {
					t.Fatalf("%v is assigned twice", p)
				}
				seen[p] = true
			}
		}
		if len(seen) != len(parts) {
			t.Fatalf("%d of %d partitions assigned", len(seen), len(parts))
		}
		if high-low > 1 {
			t.Fatalf("shares from %d to %d", low, high)
		}

		rand.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
		rand.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		if again := assign.Sticky(members, parts); !reflect.DeepEqual(got, again) {
			t.Fatalf("the order of the input changed the result: %v, then %v", got, again)
		}

		// What was assigned stays when nothing changed.
		for i := range members {
			members[i].Generation, members[i].Owned = 4, got[members[i].ID]
		}
		if again := assign.Sticky(members, parts); !reflect.DeepEqual(got, again) {
			t.Fatalf("moved without need: %v, then %v", got, again)
		}

		// A newcomer takes no more than its share, and no one else moves.
		grown := assign.Sticky(append(members, assign.Member{ID: "new"}), parts)
		for _, m := range members {
			old := map[event.TopicPartition]bool{}
			for _, p := range m.Owned {
				old[p] = true
			}
			for _, p := range grown[m.ID] {
				if !old[p] {
					t.Fatalf("%v moved between old members", p)
				}
			}
		}
	})
}
