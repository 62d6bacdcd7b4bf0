// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
)

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

const active, built = "7c9f400000", "b2d1000000"

func made(name string, minutes int) *v1alpha1.Replay {
	return &v1alpha1.Replay{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop", UID: types.UID("uid-" + name), CreationTimestamp: metav1.NewTime(noon.Add(time.Duration(minutes) * time.Minute))},
		Spec:       v1alpha1.ReplaySpec{ProjectionRef: v1alpha1.LocalRef{Name: "orders"}},
	}
}

func (r Record) on(o *v1alpha1.Replay) *v1alpha1.Replay {
	data, _ := json.Marshal(r)
	o.Annotations = map[string]string{Annotation: string(data)}
	return o
}

func ended(o *v1alpha1.Replay, how string) *v1alpha1.Replay {
	o.Status.Conditions = []metav1.Condition{
		{Type: v1alpha1.ConditionReady, Status: "False", Reason: "Why", Message: "because"}, {Type: how, Status: metav1.ConditionTrue},
	}
	o.Status.FinishedAt = ptr.To(metav1.NewTime(noon))
	return o
}

// world is a Replay that may begin.
func world() *Input {
	p := &v1alpha1.Projection{ObjectMeta: metav1.ObjectMeta{Name: "orders", UID: "p", Generation: 3}}
	p.Status = v1alpha1.ProjectionStatus{
		ObservedGeneration: ptr.To[int64](3), ActiveRevision: active, TargetRevision: active, DataHash: "1:a", Sequence: 4,
		Conditions: []metav1.Condition{{Type: v1alpha1.ConditionSpecAccepted, Status: metav1.ConditionTrue}},
		Revisions:  []v1alpha1.RevisionStatus{{Name: active, State: v1alpha1.RevisionActive, PromotedAt: ptr.To(metav1.NewTime(noon))}},
	}
	return &Input{Now: noon.Add(time.Hour), Replay: made("again", 0), Projection: p}
}

// from makes it a Replay from some time ago, of handlers that do an operation.
func (in *Input) from(operation string, ago time.Duration) {
	in.Replay.Spec.From.Time = ptr.To(metav1.NewTime(in.Now.Add(-ago)))
	h := contract.Handler{Name: "h", Topic: "orders", OnAbsent: "Create", Key: map[string]string{"id": "event.id"}}
	if value := map[string]string{"n": "event.n"}; operation == "add" {
		h.Add = value
	} else {
		h.Set = value
	}
	in.Contract = &contract.Contract{Topics: []contract.Topic{{Name: "orders", KeyedBy: "event.id"}}, Models: []contract.Model{{
		Name: "m", Key: []string{"id"}, Columns: []contract.Column{{Name: "id", Type: "text"}, {Name: "n", Type: "int64"}}, Handlers: []contract.Handler{h},
	}}}
}

var of = Record{Projection: "p", DataHash: "1:a"}

// begin gives it a record, and its revision a state.
func (in *Input) begin(state, reason string) *v1alpha1.RevisionStatus {
	of.on(in.Replay)
	s := &in.Projection.Status
	s.Revisions = append(s.Revisions, v1alpha1.RevisionStatus{Name: built, State: state, Reason: reason, Message: "m", Attempt: string(in.Replay.UID)})
	return &s.Revisions[len(s.Revisions)-1]
}

func TestDecide(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(*Input)
		want string
		says string
	}{
		"may begin": {func(*Input) {}, "Working/Preparing: Preparing, begins", "about to be made"},
		"remembers the token": {func(in *Input) { in.Projection.Spec.ReplayToken = "one" },
			"Working/Preparing: Preparing, begins", ""},
		"no projection": {func(in *Input) { in.Projection = nil }, "Working/Pending: ReferenceMissing", "Projection orders does not exist in namespace shop"},
		"a projection that goes": {func(in *Input) { in.Projection.DeletionTimestamp = ptr.To(metav1.NewTime(noon)) },
			"Working/Pending: ReferenceMissing", "is being deleted"},
		"suspended":                            {func(in *Input) { in.Replay.Spec.Suspend = ptr.To(true) }, "Suspended/Suspended: Suspended", "has not begun"},
		"suspended projection":                 {func(in *Input) { in.Projection.Spec.Suspend = ptr.To(true) }, "Working/Pending: ProjectionSuspended", ""},
		"not looked at":                        {func(in *Input) { in.Projection.Generation++ }, "Working/Pending: Pending", "not been looked at"},
		"not accepted":                         {func(in *Input) { in.Projection.Status.Conditions = nil }, "Working/Pending: SpecNotAccepted", "kubectl projection status orders"},
		"first build":                          {func(in *Input) { in.Projection.Status.ActiveRevision = "" }, "Working/Pending: RolloutInProgress", "first time"},
		"a change first":                       {func(in *Input) { in.Projection.Status.TargetRevision = "0000000000" }, "Working/Pending: RolloutInProgress", "not yet 0000000000"},
		"events are gone":                      {func(in *Input) { in.Missing = "EventTopic orders: 2 partitions." }, "Failed/Failed: ReplayNotPossible", "are gone: EventTopic orders: 2 partitions. Nothing"},
		"from a time, of events that are gone": {func(in *Input) { in.from("id", time.Hour); in.Missing = "x" }, "Working/Preparing: Preparing, begins", ""},
		"from the earliest": {func(in *Input) {
			in.Replay.Spec.From.Earliest, in.Missing = &v1alpha1.ReplayEarliest{}, "EventTopic orders: 2 partitions."
		},
			"Failed/Failed: ReplayNotPossible", ""},
		"from a time, of what is not known": {func(in *Input) { in.from("id", time.Hour); in.Contract = nil }, "Working/Pending: Preparing", "not known yet"},
		"from a time to come":               {func(in *Input) { in.from("id", -time.Hour) }, "Failed/Failed: StartNotPossible", "spec.from.time: it lies in the future"},
		"from a time, of sums": {func(in *Input) { in.from("add", time.Hour) }, "Failed/Failed: StartNotPossible",
			"cannot begin at 2026-11-26T12:00:00Z: models[m].handlers[h].add.n: add builds on"},
		"from a position": {func(in *Input) {
			in.from("id", time.Hour)
			in.Replay.Spec.From = v1alpha1.ReplayFrom{Positions: []v1alpha1.ReplayPosition{{Topic: "orders", Partition: ptr.To[int32](1), Position: "5"}}}
		}, "Working/Preparing: Preparing, begins", ""},
		"from a position of another topic": {func(in *Input) {
			in.from("id", time.Hour)
			in.Replay.Spec.From = v1alpha1.ReplayFrom{Positions: []v1alpha1.ReplayPosition{{Topic: "payments", Partition: ptr.To[int32](1), Position: "5"}}}
		}, "Failed/Failed: StartNotPossible", "spec.from.positions[0].topic: the projection reads no topic payments: name one of orders"},
		"a prepare refuses the start": {func(in *Input) {
			in.from("id", time.Hour)
			in.begin(v1alpha1.RevisionPreparing, v1alpha1.ReasonStartNotPossible).Stalled = ptr.To(true)
		}, "Failed/Failed: StartNotPossible", "m. Nothing"},
		"a topic has grown": {func(in *Input) { in.from("id", time.Hour); in.begin(v1alpha1.RevisionPreparing, "TopicGrown") }, "Working/Preparing: TopicGrown", "m"},
		"from a time, and readers see it": {func(in *Input) {
			in.from("id", time.Hour)
			in.begin(v1alpha1.RevisionActive, "").PromotedAt = ptr.To(metav1.NewTime(noon))
		}, "Complete/Complete: Complete", "it holds what events from 2026-11-26T12:00:00Z on have made"},
		"its verify is refused": {func(in *Input) { in.Refused = "spec.verify.assertions[few].all: no such column." },
			"Failed/Failed: InvalidSpec", "spec.verify.assertions[few].all: no such column. Nothing of Projection orders was changed"},
		"its verify is refused, though it is held": {func(in *Input) { in.Refused, in.Replay.Spec.Suspend = "x", ptr.To(true) }, "Failed/Failed: InvalidSpec", ""},
		"its verify would be refused, and it has begun": {func(in *Input) { in.Refused = "x"; in.begin(v1alpha1.RevisionBuilding, v1alpha1.ReasonBuilding) },
			"Working/Building: Building", "m"},
		"an older one first":  {func(in *Input) { in.All = []v1alpha1.Replay{*made("old", -1), *made("older", -2)} }, "Working/Queued: ReplayInProgress", "Replay older of Projection orders goes first, and 1 more"},
		"a younger one later": {func(in *Input) { in.All = []v1alpha1.Replay{*in.Replay, *made("young", 1)} }, "Working/Preparing: Preparing, begins", ""},
		"an older one that ended": {func(in *Input) { in.All = []v1alpha1.Replay{*ended(made("old", -1), v1alpha1.ConditionComplete)} },
			"Working/Preparing: Preparing, begins", ""},
		"an older one that is held": {func(in *Input) {
			in.All = []v1alpha1.Replay{*made("old", -1)}
			in.All[0].Spec.Suspend = ptr.To(true)
		}, "Working/Preparing: Preparing, begins", ""},
		"a younger one that has begun, and is held": {func(in *Input) {
			in.All = []v1alpha1.Replay{*of.on(made("young", 1)), *made("old", -1)}
			in.All[0].Spec.Suspend = ptr.To(true)
		}, "Working/Queued: ReplayInProgress", "Replay young"},
		"its record is lost, and it is done": {func(in *Input) { in.Done = []string{"uid-again"} }, "Complete/Complete: Complete", ""},

		"begun, and nothing seen of it":  {func(in *Input) { of.on(in.Replay) }, "Working/Preparing: Preparing", ""},
		"building":                       {func(in *Input) { in.begin(v1alpha1.RevisionBuilding, v1alpha1.ReasonBuilding) }, "Working/Building: Building", "m"},
		"waits for its place":            {func(in *Input) { in.begin(v1alpha1.RevisionQueued, v1alpha1.ReasonQueued) }, "Working/Queued: Queued", "m"},
		"waits for a human":              {func(in *Input) { in.begin(v1alpha1.RevisionReady, v1alpha1.ReasonAwaitingPromotion) }, "Working/Ready: AwaitingPromotion", "m"},
		"pinned":                         {func(in *Input) { in.begin(v1alpha1.RevisionReady, v1alpha1.ReasonPinned) }, "Resting/Ready: Pinned", "m"},
		"an event stops it":              {func(in *Input) { in.begin(v1alpha1.RevisionBuilding, "HandlerError").Stalled = ptr.To(true) }, "Stuck/Stalled: HandlerError", "m"},
		"promoting":                      {func(in *Input) { in.begin(v1alpha1.RevisionPromoting, v1alpha1.ReasonPromoting) }, "Working/Promoting: Promoting", "m"},
		"readers see it":                 {func(in *Input) { in.begin(v1alpha1.RevisionActive, "").PromotedAt = ptr.To(metav1.NewTime(noon)) }, "Complete/Complete: Complete", "readers see revision b2d1000000, which was built, since 2026-11-26T12:00:00Z"},
		"readers have seen it, and left": {func(in *Input) { in.begin(v1alpha1.RevisionKept, "").PromotedAt = ptr.To(metav1.NewTime(noon)) }, "Complete/Complete: Complete", ""},
		"events went while it waited":    {func(in *Input) { in.begin(v1alpha1.RevisionQueued, v1alpha1.ReasonReplayNotPossible); in.Missing = "x" }, "Failed/Failed: ReplayNotPossible", ""},
		"events went while it was built": {func(in *Input) { in.begin(v1alpha1.RevisionBuilding, v1alpha1.ReasonBuilding); in.Missing = "x" }, "Working/Building: Building", ""},
		"held on the way": {func(in *Input) {
			in.begin(v1alpha1.RevisionBuilding, v1alpha1.ReasonBuilding)
			in.Replay.Spec.Suspend = ptr.To(true)
		}, "Suspended/Suspended: Suspended", "stays"},
		"held too late": {func(in *Input) {
			in.begin(v1alpha1.RevisionPromoting, v1alpha1.ReasonPromoting)
			in.Replay.Spec.Suspend = ptr.To(true)
		}, "Working/Promoting: Promoting", ""},
		"goes on, which nobody has seen": {func(in *Input) { in.begin(v1alpha1.RevisionSuspended, v1alpha1.ReasonSuspended) }, "Working/Suspended: Preparing", "goes on"},
		"the projection is held":         {func(in *Input) { in.begin(v1alpha1.RevisionBuilding, ""); in.Projection.Spec.Suspend = ptr.To(true) }, "Working/Pending: ProjectionSuspended", ""},
		"the projection is gone":         {func(in *Input) { of.on(in.Replay); in.Projection = nil }, "Failed/Failed: ProjectionDeleted", ""},
		"the projection goes":            {func(in *Input) { of.on(in.Replay); in.Projection.DeletionTimestamp = ptr.To(metav1.NewTime(noon)) }, "Failed/Failed: ProjectionDeleted", ""},
		"the projection is another":      {func(in *Input) { of.on(in.Replay); in.Projection.UID = "q" }, "Failed/Failed: ProjectionDeleted", ""},
		"the fold was changed":           {func(in *Input) { of.on(in.Replay); in.Projection.Status.DataHash = "1:b" }, "Failed/Failed: Superseded", "what rows are made of"},
		"a token was set":                {func(in *Input) { of.on(in.Replay); in.Projection.Spec.ReplayToken = "t" }, "Failed/Failed: Superseded", "spec.replayToken"},
		"the change is not looked at":    {func(in *Input) { of.on(in.Replay); in.Projection.Spec.ReplayToken, in.Projection.Generation = "t", 9 }, "Working/Preparing: Preparing", ""},
		"another algorithm":              {func(in *Input) { of.on(in.Replay); in.Projection.Status.DataHash = "2:b" }, "Working/Preparing: Preparing", ""},
		"changed, and not given up":      {func(in *Input) { in.begin(v1alpha1.RevisionPromoting, ""); in.Projection.Status.DataHash = "1:b" }, "Working/Pending: Superseded", "being given up"},
		"changed, and readers not known": {func(in *Input) {
			of.on(in.Replay)
			in.Projection.Status.DataHash, in.Projection.Status.Sequence = "1:b", 0
		}, "Working/Pending: Superseded", ""},
		"changed, and dropped": {func(in *Input) { in.begin(v1alpha1.RevisionDiscarding, ""); in.Projection.Status.DataHash = "1:b" }, "Failed/Failed: Superseded", ""},
		"changed after readers had seen it": {func(in *Input) {
			in.begin(v1alpha1.RevisionKept, "").PromotedAt = ptr.To(metav1.NewTime(noon))
			in.Projection.Status.DataHash = "1:b"
		}, "Complete/Complete: Complete", ""},
		"the change is refused": {func(in *Input) {
			in.begin(v1alpha1.RevisionBuilding, "")
			in.Projection.Status.Conditions[0].Status = "False"
			in.Projection.Status.DataHash = "1:b"
		}, "Working/Building: Preparing", ""},

		"complete stays": {func(in *Input) { ended(of.on(in.Replay), v1alpha1.ConditionComplete); in.Projection = nil }, "Complete/Complete: Why", "because"},
		"failed stays":   {func(in *Input) { ended(in.Replay, v1alpha1.ConditionFailed) }, "Failed/Failed: Why", "because"},
		"its time is not over": {func(in *Input) {
			ended(in.Replay, v1alpha1.ConditionFailed).Spec.TTLSecondsAfterFinished = ptr.To[int32](3601)
		}, "Failed/Failed: Why, again in 1s", ""},
		"its time is over": {func(in *Input) {
			ended(in.Replay, v1alpha1.ConditionFailed).Spec.TTLSecondsAfterFinished = ptr.To[int32](3600)
		}, "Failed/Failed: Why, deleted", ""},
	} {
		t.Run(name, func(t *testing.T) {
			in := world()
			c.edit(in)
			d := Decide(*in)
			got := fmt.Sprintf("%s/%s: %s", []string{"Working", "Stuck", "Resting", "Suspended", "Complete", "Failed"}[d.State], d.Word, d.Reason)
			if d.Begin != nil {
				got += ", begins"
				if *d.Begin != (Record{Projection: "p", DataHash: "1:a", ReplayToken: in.Projection.Spec.ReplayToken}) {
					t.Errorf("record %+v", *d.Begin)
				}
			}
			if d.Delete {
				got += ", deleted"
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

func TestUnderWay(t *testing.T) {
	one, two := of.on(made("one", 0)), of.on(made("two", 1))
	for name, c := range map[string]struct {
		all  []*v1alpha1.Replay
		hash string
		want string
	}{
		"the oldest":              {[]*v1alpha1.Replay{two, one}, "1:a", "one"},
		"none that has no record": {[]*v1alpha1.Replay{made("new", -1), two}, "1:a", "two"},
		"none that has ended":     {[]*v1alpha1.Replay{ended(of.on(made("old", -1)), v1alpha1.ConditionFailed), two}, "1:a", "two"},
		"none of another spec":    {[]*v1alpha1.Replay{one}, "1:b", ""},
		"while a spec is refused": {[]*v1alpha1.Replay{one}, "", "one"},
		"none of another":         {[]*v1alpha1.Replay{Record{Projection: "q", DataHash: "1:a"}.on(made("x", 0))}, "1:a", ""},
	} {
		var all []v1alpha1.Replay
		for _, r := range c.all {
			all = append(all, *r)
		}
		got := ""
		if r := UnderWay(all, "p", c.hash, ""); r != nil {
			got = r.Name
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestVerifies: connections are counted for a Replay that may still have something verified, of the projection that is asked about.
func TestVerifies(t *testing.T) {
	own := func(r *v1alpha1.Replay) v1alpha1.Replay {
		r.Spec.Verify = &v1alpha1.Verify{}
		return *r
	}
	for name, c := range map[string]struct {
		all  []v1alpha1.Replay
		want bool
	}{
		"none":        {nil, false},
		"without one": {[]v1alpha1.Replay{*made("a", 0)}, false},
		"not begun":   {[]v1alpha1.Replay{*made("a", 0), own(made("b", 1))}, true},
		"begun":       {[]v1alpha1.Replay{own(of.on(made("a", 0)))}, true},
		"ended":       {[]v1alpha1.Replay{own(ended(made("a", 0), v1alpha1.ConditionComplete))}, false},
	} {
		if got := Verifies(c.all, "orders"); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
		if Verifies(c.all, "others") {
			t.Errorf("%s: of another projection", name)
		}
	}
}
