// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"testing"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
)

// TestLiveLag: the greatest of what was seen, of the revision that readers saw and while another one was built; and nothing exact where
// a look lacked a partition.
func TestLiveLag(t *testing.T) {
	const active, built = "7c9f400000", "b2d1000000"
	view := func(state, sees, bucket string, lags ...int64) *View {
		v := &View{Status: v1alpha1.ProjectionStatus{Partitions: 2, ActiveRevision: sees, Revisions: []v1alpha1.RevisionStatus{
			{Name: active, State: v1alpha1.RevisionActive, Lag: bucket}, {Name: built, State: state},
		}}}
		s := contract.ProjectorStatus{Revision: active}
		for i, lag := range lags {
			s.Partitions = append(s.Partitions, contract.PartitionStatus{Partition: int32(i), Lag: lag})
		}
		v.Projectors = []contract.ProjectorStatus{s}
		return v
	}
	building := v1alpha1.RevisionBuilding
	for name, c := range map[string]struct {
		looks []*View
		want  string
	}{
		"nothing is built":        {[]*View{view(v1alpha1.RevisionReady, active, "<1k", 5, 5)}, ""},
		"the greatest":            {[]*View{view(building, active, "0", 0, 0), view(building, active, "<1k", 200, 12), view(v1alpha1.RevisionVerifying, active, "0", 1, 0)}, "at most 212 events"},
		"one event":               {[]*View{view(building, active, "0", 1, 0)}, "at most 1 event"},
		"not once readers moved":  {[]*View{view(building, active, "0", 3, 0), view(building, built, "0", 900, 0)}, "at most 3 events"},
		"nor while it only waits": {[]*View{view(building, active, "0", 3, 0), view(v1alpha1.RevisionReady, active, "0", 900, 0)}, "at most 3 events"},
		"a partition was missing": {[]*View{view(building, active, "<100", 3, 0), view(building, active, "<1k", 3), view(building, active, "0", 3, 0)}, "below 1k events, by the status"},
		"far behind":              {[]*View{view(building, active, ">1M")}, "at times above 1M events, by the status"},
		"none by the status":      {[]*View{view(building, active, "0")}, "none, by the status"},
		"nothing is known":        {[]*View{view(building, active, "")}, ""},
	} {
		var l liveLag
		for _, v := range c.looks {
			l.look(v)
		}
		if got := l.String(); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
