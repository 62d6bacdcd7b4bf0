// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package stores

import "slices"

// Recorded is how many partitions of a topic a revision of a projection has, or has had, position rows for.
type Recorded struct {
	Topic, TopicID string
	Count          int32
}

// AsRecorded leaves out the starts of partitions that no other revision of the
// projection knows of yet: their topic has grown, and nobody has seen it. The
// new revision has to see it, too, so that there is a barrier between what keys
// have in their old partitions and in their new ones (CORRECTNESS 1). A topic
// that is new to the projection, or was made anew at the broker, is taken as it is.
func AsRecorded(starts []Start, recorded []Recorded) []Start {
	return slices.DeleteFunc(slices.Clone(starts), func(s Start) bool {
		var known int32
		for _, r := range recorded {
			if r.Topic == s.Topic && (r.TopicID == s.TopicID || r.TopicID == "" || s.TopicID == "") {
				known = max(known, r.Count)
			}
		}
		return known > 0 && s.Partition >= known
	})
}
