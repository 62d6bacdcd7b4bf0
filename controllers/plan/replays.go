// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/controllers/plan/replay"
	"github.com/projectionist-dev/projectionist/controllers/progress"
)

// maxReplayPartitions is how many partitions a Replay's status shows.
const maxReplayPartitions = 64

// Replay gives the status of a Replay. Figures that are not known now stay as they were: they are measures, and no state.
func Replay(r *v1alpha1.Replay, d replay.Decision, s progress.Snapshot, now time.Time) v1alpha1.ReplayStatus {
	old := r.Status.DeepCopy()
	out := v1alpha1.ReplayStatus{
		ObservedGeneration: ptr.To(r.Generation), Status: d.Word,
		Revision: old.Revision, StartedAt: old.StartedAt, FinishedAt: moment(d.FinishedAt),
		Partitions: old.Partitions, Progress: old.Progress, Rows: replayedRows(old.Rows, d.Rows), BuildProgress: v1alpha1.BuildProgress{EventsDone: old.EventsDone, EventsTotal: old.EventsTotal},
	}
	if b := d.Revision; b != nil {
		out.Revision, out.StartedAt = b.Name, b.CreatedAt
	}
	if d.Reads != "" {
		out.Revision = d.Reads
	}
	if out.StartedAt == nil {
		out.StartedAt = moment(d.StartedAt)
	}
	howFar(&out, d, s)
	v, facts := replayVerdict(d)
	out.Conditions = Conditions(old.Conditions, r.Generation, now, v, facts...)
	return out
}

func replayedRows(old *v1alpha1.ReplayedRows, f *contract.ReplayFacts) *v1alpha1.ReplayedRows {
	if f == nil {
		return old
	}
	atLeast0 := func(n int64) *int64 { return ptr.To(max(n, 0)) }
	return &v1alpha1.ReplayedRows{Written: atLeast0(f.Written), Deleted: atLeast0(f.Deleted), Equal: atLeast0(f.Equal), EventsRead: atLeast0(f.Events)}
}

// howFar fills in figures: those of now while it is built, and the end of the log once it got there.
func howFar(out *v1alpha1.ReplayStatus, d replay.Decision, s progress.Snapshot) {
	built := s.Figures()
	switch {
	case d.Word == v1alpha1.RevisionBuilding && built != nil:
		out.BuildProgress = *built
		out.Progress = progress.Percent(*built.EventsDone, *built.EventsTotal)
		if built.EventsPerSecond != nil {
			out.Rate = progress.Count(*built.EventsPerSecond) + "/s"
		}
		if built.EstimatedSecondsLeft != nil {
			out.Left = progress.Span(time.Duration(*built.EstimatedSecondsLeft) * time.Second)
		}
		out.Partitions = replayPartitions(s)
	case d.Word == v1alpha1.RevisionReady, d.Word == v1alpha1.RevisionPromoting, d.State == replay.Complete:
		// It may have got there between two looks. What comes in later is no part of it.
		if out.Progress == "100%" || built == nil {
			break
		}
		out.EventsDone, out.EventsTotal, out.Progress = built.EventsTotal, built.EventsTotal, "100%"
		out.Partitions = replayPartitions(s)
	}
}

func replayPartitions(s progress.Snapshot) []v1alpha1.ReplayPartition {
	var out []v1alpha1.ReplayPartition
	for i := range s.Partitions {
		p := &s.Partitions[i]
		if len(out) == maxReplayPartitions {
			break
		}
		if p.Position != "" {
			out = append(out, v1alpha1.ReplayPartition{Topic: p.Topic, Partition: ptr.To(p.Partition), Position: string(p.Position), End: string(p.End)})
		}
	}
	return out
}

func replayVerdict(d replay.Decision) (Verdict, []Fact) {
	v := working(d.Reason, d.Message)
	also := func(kind string) []Fact { return []Fact{{kind, metav1.ConditionTrue, d.Reason, d.Message}} }
	switch d.State {
	case replay.Stuck:
		v.Kind = Stuck
	case replay.Resting:
		v.Kind = Done
	case replay.Suspended:
		v.Kind = Done
		return v, also(v1alpha1.ConditionSuspended)
	case replay.Complete:
		return ready(d.Reason, d.Message), also(v1alpha1.ConditionComplete)
	case replay.Failed:
		v.Kind = Stuck
		return v, also(v1alpha1.ConditionFailed)
	case replay.Working:
	}
	return v, nil
}

func moment(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	out := metav1.NewTime(t.Truncate(time.Second))
	return &out
}
