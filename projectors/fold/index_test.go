// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package fold

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// TestIndex: whatever hashes keys have, all of them the same among it, a row is found by its key until it is the last one and removed.
func TestIndex(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var x table
		spread := rapid.SampledFrom([]uint32{1, 3, 1 << 31}).Draw(r, "hashes")
		hash := func(k string) uint32 { return hashOf([]byte(k)) % spread }
		want := map[string]int32{}
		var order []string
		for range rapid.IntRange(0, 200).Draw(r, "steps") {
			k := fmt.Sprint(rapid.IntRange(0, 60).Draw(r, "key"))
			if at, ok := want[k]; !ok {
				if got := x.find(hash(k), []byte(k)); got != -1 {
					r.Fatalf("%s is row %d before it is added", k, got)
				}
				x.muts = append(x.muts, mutation{key: k})
				x.index.add(hash(k))
				want[k] = int32(len(order))
				order = append(order, k)
			} else if got := x.find(hash(k), []byte(k)); got != at {
				r.Fatalf("%s is row %d, want %d", k, got, at)
			}
			if last := len(order) - 1; last >= 0 && rapid.IntRange(0, 4).Draw(r, "remove") == 0 {
				x.index.removeLast(hash(order[last]))
				delete(want, order[last])
				order, x.muts = order[:last], x.muts[:last]
			}
		}
		for k, at := range want {
			if got := x.find(hash(k), []byte(k)); got != at {
				r.Fatalf("%s is row %d, want %d", k, got, at)
			}
		}
	})
}
