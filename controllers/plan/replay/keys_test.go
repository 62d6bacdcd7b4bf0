// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/controllers/actions"
)

// ofKeys is a Replay of two keys that may begin.
func ofKeys() *Input {
	in := world()
	in.Replay.Spec.Keys = v1alpha1.ReplayKeys{Model: "totals", Values: []string{"a", "b"}}
	in.Job.Revision = active
	in.Job.Create = &actions.Create{Sequence: 1, Attempt: 1}
	return in
}

// answered gives it a Job that has ended.
func (in *Input) answered(r contract.Result) {
	in.Job.Began, in.Job.Create, in.Job.Result = noon, nil, &r
}

func (in *Input) runs() { in.Job.Began, in.Job.Create, in.Job.Running = noon, nil, "job" }

func TestDecideKeys(t *testing.T) {
	away := contract.Result{Reason: "Unreachable", Message: "no answer", Retryable: true}
	no := contract.Result{Reason: "OrderArrival", Message: "model totals has order: Arrival"}
	yes := contract.Result{OK: true, At: noon, Replay: &contract.ReplayFacts{Revision: active, Written: 30, Deleted: 2, Equal: 68, Events: 232130}}
	keysFirst := func(name string, minutes int) v1alpha1.Replay {
		r := made(name, minutes)
		r.Spec.Keys = v1alpha1.ReplayKeys{Model: "totals", Values: []string{"c"}}
		return *r
	}
	for name, c := range map[string]struct {
		edit func(*Input)
		want string
		says string
	}{
		"may begin":                   {func(*Input) {}, "Working/Running: ReplayingKeys, asks", "2 keys of model totals, which are made anew in revision 7c9f400000"},
		"no projection":               {func(in *Input) { in.Projection = nil }, "Working/Pending: ReferenceMissing", "does not exist"},
		"one that goes":               {func(in *Input) { in.Projection.DeletionTimestamp = ptr.To(metav1.NewTime(noon)) }, "Working/Pending: ReferenceMissing", "being deleted"},
		"it went midway":              {func(in *Input) { in.runs(); in.Projection = nil }, "Failed/Failed: ProjectionDeleted", "before the rows were made anew"},
		"it goes midway":              {func(in *Input) { in.runs(); in.Projection.DeletionTimestamp = ptr.To(metav1.NewTime(noon)) }, "Failed/Failed: ProjectionDeleted", ""},
		"suspended":                   {func(in *Input) { in.Replay.Spec.Suspend = ptr.To(true) }, "Suspended/Suspended: Suspended", "no Job is made"},
		"suspended late":              {func(in *Input) { in.runs(); in.Replay.Spec.Suspend = ptr.To(true) }, "Working/Running: ReplayingKeys", "does not hold up a Job that runs"},
		"suspended between two tries": {func(in *Input) { in.answered(away); in.Replay.Spec.Suspend = ptr.To(true) }, "Suspended/Suspended: Suspended", ""},
		"suspended projection":        {func(in *Input) { in.Projection.Spec.Suspend = ptr.To(true) }, "Working/Pending: ProjectionSuspended", ""},
		"not looked at":               {func(in *Input) { in.Projection.Generation++ }, "Working/Pending: Pending", ""},
		"not accepted":                {func(in *Input) { in.Projection.Status.Conditions = nil }, "Working/Pending: SpecNotAccepted", ""},
		"first build":                 {func(in *Input) { in.Projection.Status.ActiveRevision = "" }, "Working/Pending: RolloutInProgress", "first time"},
		"a change is built":           {func(in *Input) { in.Projection.Status.TargetRevision = built }, "Working/Running: ReplayingKeys, asks", ""},
		"readers are being moved": {func(in *Input) {
			in.Projection.Status.Revisions = append(in.Projection.Status.Revisions, v1alpha1.RevisionStatus{Name: built, State: v1alpha1.RevisionPromoting})
		}, "Working/Pending: RolloutInProgress", "moved to revision " + built},
		"readers are being moved while it runs": {func(in *Input) {
			in.runs()
			in.Projection.Status.Revisions[0].State = v1alpha1.RevisionPromoting
		}, "Working/Running: ReplayingKeys", ""},
		"no projectors":             {func(in *Input) { in.Job.Revision = "" }, "Working/Pending: Starting, again in 10s", "projectors of revision 7c9f400000"},
		"events are gone":           {func(in *Input) { in.Missing = "EventTopic orders" }, "Working/Running: ReplayingKeys, asks", ""},
		"one of keys first":         {func(in *Input) { in.All = []v1alpha1.Replay{keysFirst("old", -1)} }, "Working/Queued: ReplayInProgress", "Replay old"},
		"one of keys later":         {func(in *Input) { in.All = []v1alpha1.Replay{*in.Replay, keysFirst("young", 1)} }, "Working/Running: ReplayingKeys, asks", ""},
		"one of all rows beside it": {func(in *Input) { in.All = []v1alpha1.Replay{*of.on(made("old", -1))} }, "Working/Running: ReplayingKeys, asks", ""},
		"one of keys beside all": {func(in *Input) {
			in.Replay.Spec.Keys = v1alpha1.ReplayKeys{}
			in.All = []v1alpha1.Replay{keysFirst("old", -1)}
		}, "Working/Preparing: Preparing, begins", ""},
		"too large": {func(in *Input) { in.Job.TooLarge = 130049 }, "Failed/Failed: InvalidSpec", "have 130049 bytes there, and at most 130048 are taken: split them"},
		"runs":      {func(in *Input) { in.runs() }, "Working/Running: ReplayingKeys", ""},
		"its pod does not start": {func(in *Input) {
			in.runs()
			in.Job.Hindered = &contract.Result{Reason: "PodsFailing", Message: "no image", Retryable: true}
		}, "Working/Running: PodsFailing", "no image"},
		"its Job is refused":    {func(in *Input) { in.Job.Hindered = &contract.Result{Reason: "ObjectRefused", Message: "no"} }, "Stuck/Stalled: ObjectRefused", ""},
		"an environment fault":  {func(in *Input) { in.answered(away); in.Job.RequeueAfter = time.Second }, "Working/Running: Unreachable, asks, again in 1s", "tried again: no answer"},
		"a no":                  {func(in *Input) { in.answered(no) }, "Failed/Failed: OrderArrival", "nothing was changed: model totals has order: Arrival"},
		"a no without a reason": {func(in *Input) { in.answered(contract.Result{Reason: "a b", Message: "m"}) }, "Failed/Failed: ProbeFailed", ""},
		"done":                  {func(in *Input) { in.answered(yes) }, "Complete/Complete: Complete", "30 rows written, 2 deleted, 68 were right already; 232130 events read, in revision 7c9f400000"},
		"done, and suspended":   {func(in *Input) { in.answered(yes); in.Replay.Spec.Suspend = ptr.To(true) }, "Complete/Complete: Complete", ""},
		"done stays":            {func(in *Input) { ended(in.Replay, v1alpha1.ConditionComplete); in.Projection = nil }, "Complete/Complete: Why", "because"},
		"done, and its time is over": {func(in *Input) {
			ended(in.Replay, v1alpha1.ConditionComplete).Spec.TTLSecondsAfterFinished = ptr.To[int32](9)
		}, "Complete/Complete: Why, deleted", ""},
	} {
		t.Run(name, func(t *testing.T) {
			in := ofKeys()
			c.edit(in)
			d := Decide(*in)
			got := fmt.Sprintf("%s/%s: %s", []string{"Working", "Stuck", "Resting", "Suspended", "Complete", "Failed"}[d.State], d.Word, d.Reason)
			for what, is := range map[string]bool{", asks": d.Ask, ", begins": d.Begin != nil, ", deleted": d.Delete} {
				if is {
					got += what
				}
			}
			if d.Wake > 0 {
				got += ", again in " + d.Wake.String()
			}
			if got != c.want || !strings.Contains(d.Message, c.says) || d.Message == "" {
				t.Errorf("got  %s: %s\nwant %s: %s", got, d.Message, c.want, c.says)
			}
			if ends := d.State == Complete || d.State == Failed; ends == d.FinishedAt.IsZero() {
				t.Errorf("finished at %s", d.FinishedAt)
			}
		})
	}
}

// One of keys is no attempt at a revision, whatever its annotations say.
func TestKeysAreNotUnderWay(t *testing.T) {
	r := of.on(made("one", 0))
	r.Spec.Keys = v1alpha1.ReplayKeys{Model: "totals", Values: []string{"a"}}
	if got := UnderWay([]v1alpha1.Replay{*r}, "p", "1:a", ""); got != nil {
		t.Errorf("%s is under way", got.Name)
	}
}

// TestKeysTakeConnections: they are counted for a Replay of keys that has not ended, of the projection that is asked about.
func TestKeysTakeConnections(t *testing.T) {
	of := func(r *v1alpha1.Replay) v1alpha1.Replay {
		r.Spec.Keys = v1alpha1.ReplayKeys{Model: "totals", Values: []string{"a"}}
		return *r
	}
	for name, c := range map[string]struct {
		all  []v1alpha1.Replay
		want bool
	}{
		"none":    {nil, false},
		"of all":  {[]v1alpha1.Replay{*made("a", 0)}, false},
		"of keys": {[]v1alpha1.Replay{*made("a", 0), of(made("b", 1))}, true},
		"ended":   {[]v1alpha1.Replay{of(ended(made("a", 0), v1alpha1.ConditionFailed))}, false},
	} {
		if got := Keys(c.all, "orders"); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
		if Keys(c.all, "others") {
			t.Errorf("%s: of another projection", name)
		}
	}
}
