// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"errors"
	"testing"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
)

// TestFigures: what is known is counted and estimated from a measured rate, and of what is not known it is said why.
func TestFigures(t *testing.T) {
	const active, other = "aaaaaaaaaa", "bbbbbbbbbb"
	pod := func(revision string, size int64, ends ...int64) contract.ProjectorStatus {
		s := contract.ProjectorStatus{Revision: revision, SizeBytes: size}
		for i, end := range ends {
			s.Partitions = append(s.Partitions, contract.PartitionStatus{Topic: "orders", Partition: int32(i), End: contract.OffsetPosition(end)})
		}
		return s
	}
	revision := func(name string, events, seconds int64) v1alpha1.RevisionStatus {
		return v1alpha1.RevisionStatus{Name: name, Built: v1alpha1.Built{Events: events, Seconds: seconds}}
	}
	unmeasured := v1alpha1.RevisionStatus{Name: active}
	for name, c := range map[string]struct {
		pods      []contract.ProjectorStatus
		failed    error
		revisions []v1alpha1.RevisionStatus
		replay    Replay
		space     Space
	}{
		"all is known": {
			[]contract.ProjectorStatus{pod(active, 3_100_000_000, 6_000_000, 12_220_114)}, nil, []v1alpha1.RevisionStatus{revision(active, 17_000_000, 223)},
			Replay{Events: 18_220_114, EventsPerSecond: 76_000, MeasuredOn: active, EstimatedSeconds: 240}, Space{Bytes: 3_100_000_000, Of: active},
		},
		"several pods, of which one has lost a partition a moment ago": {
			[]contract.ProjectorStatus{pod(active, 100, 500, 500), pod(active, 200, 600)}, nil, []v1alpha1.RevisionStatus{revision(active, 1000, 10)},
			Replay{Events: 1100, EventsPerSecond: 100, MeasuredOn: active, EstimatedSeconds: 15}, Space{Bytes: 200, Of: active},
		},
		"another revision's rate, where that of the active one was not measured": {
			[]contract.ProjectorStatus{pod(active, 100, 500, 500)}, nil, []v1alpha1.RevisionStatus{revision(other, 1000, 10), unmeasured},
			Replay{Events: 1000, EventsPerSecond: 100, MeasuredOn: other, EstimatedSeconds: 10}, Space{Bytes: 100, Of: active},
		},
		"the active one's rate goes before others": {
			[]contract.ProjectorStatus{pod(active, 100, 500, 500)}, nil, []v1alpha1.RevisionStatus{revision(other, 1000, 1), revision(active, 1000, 10)},
			Replay{Events: 1000, EventsPerSecond: 100, MeasuredOn: active, EstimatedSeconds: 10}, Space{Bytes: 100, Of: active},
		},
		"other revisions' pods": {
			[]contract.ProjectorStatus{pod(other, 999, 500, 500)}, nil, []v1alpha1.RevisionStatus{revision(active, 1000, 10)},
			Replay{EventsUnknown: noAnswer, EventsPerSecond: 100, MeasuredOn: active, TimeUnknown: "the number of events is not known"}, Space{Unknown: noAnswer},
		},
		"a partition is missing, no rate and no size": {
			[]contract.ProjectorStatus{pod(active, 0, 500)}, nil, []v1alpha1.RevisionStatus{unmeasured},
			Replay{EventsUnknown: "not every partition's end is known to the projectors of " + active, TimeUnknown: notMeasured},
			Space{Unknown: "the projectors of " + active + " have not measured its tables"},
		},
		"no answer": {
			nil, errors.New("away"), nil, Replay{EventsUnknown: noAnswer, TimeUnknown: notMeasured}, Space{Unknown: noAnswer},
		},
		"an empty log": {
			[]contract.ProjectorStatus{pod(active, 100, 0, 0)}, nil, []v1alpha1.RevisionStatus{revision(active, 1000, 10)},
			Replay{EventsPerSecond: 100, MeasuredOn: active}, Space{Bytes: 100, Of: active},
		},
		"a rate that says nothing": {
			[]contract.ProjectorStatus{pod(active, 100, 500, 500)}, nil, []v1alpha1.RevisionStatus{revision(active, 1000, 10_000)},
			Replay{Events: 1000, MeasuredOn: active, TimeUnknown: active + " was built at less than one event a second"}, Space{Bytes: 100, Of: active},
		},
	} {
		t.Run(name, func(t *testing.T) {
			topic := v1alpha1.EventTopic{}
			topic.Name, topic.Status.Partitions = "orders", 2
			after := After{Contract: &contract.Contract{Topics: []contract.Topic{{Name: "orders"}}}, Topics: []v1alpha1.EventTopic{topic}}
			p := &Plan{Active: active, Replay: &Replay{EventsUnknown: notAsked, TimeUnknown: notAsked}, Space: &Space{Unknown: notAsked}}
			p.figures(c.pods, c.failed, c.revisions, after)
			got := *p.Replay
			got.Topics = nil
			if got.Events != c.replay.Events || got.EventsUnknown != c.replay.EventsUnknown || got.EventsPerSecond != c.replay.EventsPerSecond || got.MeasuredOn != c.replay.MeasuredOn ||
				got.EstimatedSeconds != c.replay.EstimatedSeconds || got.TimeUnknown != c.replay.TimeUnknown {
				t.Errorf("replay %+v, want %+v", got, c.replay)
			}
			if *p.Space != c.space {
				t.Errorf("space %+v, want %+v", *p.Space, c.space)
			}
		})
	}
}
