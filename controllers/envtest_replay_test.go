// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package controllers_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/controllers/plan/replay"
	"github.com/projectionist-dev/projectionist/controllers/progress"
	"github.com/projectionist-dev/projectionist/controllers/resources"
	"github.com/projectionist-dev/projectionist/controllers/statuscheck"
)

// ask makes a Replay of the projection.
func (w *world) ask(name string, edit func(*v1alpha1.ReplaySpec)) *v1alpha1.Replay {
	w.t.Helper()
	r := &v1alpha1.Replay{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: name},
		Spec:       v1alpha1.ReplaySpec{ProjectionRef: v1alpha1.LocalRef{Name: "totals"}},
	}
	if edit != nil {
		edit(&r.Spec)
	}
	w.create(r)
	return r
}

func (w *world) replayNamed(name string) *v1alpha1.Replay {
	w.t.Helper()
	r := &v1alpha1.Replay{}
	w.must(w.c.Get(w.ctx, client.ObjectKey{Namespace: w.ns, Name: name}, r))
	return r
}

// says checks the word and the reason of a Replay, and gives its message.
func (w *world) says(name, word, reason string) string {
	w.t.Helper()
	r := w.replayNamed(name)
	c := find(r.Status.Conditions, "Ready")
	if c == nil || r.Status.Status != word || c.Reason != reason {
		w.t.Fatalf("Replay %s: %s", name, form(r.Status))
	}
	return c.Message
}

func (w *world) suspend(name string, is bool) {
	w.t.Helper()
	r := w.replayNamed(name)
	r.Spec.Suspend = ptr.To(is)
	w.must(w.c.Update(w.ctx, r))
	w.settle()
}

// reading makes the projectors of other revisions than the given one be at a position of 1,000 on each of their partitions,
// until it is set to that.
func (w *world) reading(than string) (at *string) {
	good := w.poller.answer
	at = ptr.To("100")
	w.poller.answer = func(target progress.Target) (*contract.ProjectorStatus, error) {
		s, err := good(target)
		if err == nil && s.Revision != than && *at != "1000" {
			for i := range s.Partitions {
				p := &s.Partitions[i]
				p.Position, p.End = contract.Position(*at), "1000"
				position, _ := p.Position.Offset()
				p.CaughtUp, p.Lag, p.EventTime = false, 1000-position, w.now.Add(-time.Hour)
			}
		}
		return s, err
	}
	return at
}

// A Replay from beginning to end, with a restart of the operator on the way: readers have all of the time what they had.
func TestReplay(t *testing.T) {
	w := newWorld(t)
	a := w.running().Status.ActiveRevision
	at := w.reading(a)
	r := w.ask("again", func(s *v1alpha1.ReplaySpec) { s.TTLSecondsAfterFinished = ptr.To[int32](600) })
	if got := ptr.Deref(r.Status.ObservedGeneration, 0); got != -1 {
		t.Errorf("a fresh Replay has seen generation %d", got)
	}
	w.settle()
	for range 3 {
		*at = map[string]string{"100": "300", "300": "500", "500": "700"}[*at]
		w.now = w.now.Add(6 * time.Second)
		w.pass()
		w.check()
	}
	p := w.projection()
	b := p.Status.TargetRevision
	message := w.wants(p, "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
	if p.Status.Status != "Rebuilding" || p.Status.ActiveRevision != a || b == a || w.serves() != a || stateOf(p, b) != "Building" {
		t.Errorf("status: %s", form(p.Status))
	}
	if !strings.Contains(message, "Replay again: revision "+b+" is built beside "+a) {
		t.Errorf("message: %s", message)
	}
	w.says("again", "Building", v1alpha1.ReasonBuilding)
	s := w.replayNamed("again").Status
	if s.Revision != b || s.Progress != "70%" || *s.EventsDone != 2800 || *s.EventsTotal != 4000 || s.Rate != "130/s" || s.Left != "10s" || len(s.Partitions) != 4 ||
		s.Partitions[3].Position != "700" || s.StartedAt == nil || s.FinishedAt != nil {
		t.Errorf("status: %s", form(s))
	}
	// The projection's own status follows at most every 30 seconds.
	w.now = w.now.Add(30 * time.Second)
	w.pass()
	p = w.projection()
	i := slices.IndexFunc(p.Status.Revisions, func(r v1alpha1.RevisionStatus) bool { return r.Name == b })
	if g := p.Status.Revisions[i].Progress; g == nil || *g.EventsDone != 2800 || p.Status.Revisions[i].Reason != v1alpha1.ReasonBuilding || p.Status.Revisions[i].Attempt != string(r.UID) {
		t.Errorf("status: %s", form(p.Status.Revisions))
	}
	record := &appsv1.ControllerRevision{}
	w.must(w.c.Get(w.ctx, client.ObjectKey{Namespace: w.ns, Name: resources.RevisionName("totals", b)}, record))
	known, err := resources.Recorded(record)
	if err != nil || known.Contract.Attempt != string(r.UID) || !slices.Contains(known.Attempts, string(r.UID)) || known.Replay != "again" {
		t.Errorf("record: %+v, %v", known, err)
	}
	w.restart()
	w.settle()
	if got := w.replayNamed("again").Status; w.projection().Status.TargetRevision != b || len(w.deployments()) != 2 || got.Progress != "70%" {
		t.Errorf("after a restart: %s", form(got))
	}
	// What a status says is not what it is made of.
	lost := w.replayNamed("again")
	lost.Status = v1alpha1.ReplayStatus{ObservedGeneration: ptr.To[int64](-1)}
	w.must(w.c.Status().Update(w.ctx, lost))
	w.settle()
	if got := w.replayNamed("again").Status; got.Status != "Building" || got.Revision != b || got.Progress != "70%" {
		t.Errorf("without a status: %s", form(got))
	}

	*at = "1000"
	w.now = w.now.Add(5 * time.Second)
	w.settle()
	p = w.projection()
	w.wants(p, "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
	if p.Status.ActiveRevision != b || p.Status.Status != "CaughtUp" || w.serves() != b || stateOf(p, a) != "Kept" {
		t.Errorf("status: %s", form(p.Status))
	}
	w.says("again", "Complete", v1alpha1.ReasonComplete)
	s = w.replayNamed("again").Status
	if s.FinishedAt == nil || s.Progress != "100%" || s.Rate != "" || s.Left != "" || find(s.Conditions, "Complete") == nil {
		t.Errorf("status: %s", form(s))
	}
	subject := statuscheck.Subject{Kind: "Replay", Generation: 1, ObservedGeneration: *s.ObservedGeneration, Conditions: s.Conditions}
	if got := statuscheck.Kstatus(subject); got != "Current" {
		t.Errorf("kstatus makes %s of it", got)
	}
	for range 5 {
		w.now = w.now.Add(6 * time.Second)
		if n := w.pass(); n != 0 {
			t.Fatalf("%d mutating requests from a Replay that has ended: %v", n, w.last.Load())
		}
	}
	w.now = w.now.Add(10 * time.Minute)
	w.settle()
	if err := w.c.Get(w.ctx, client.ObjectKeyFromObject(r), r); !apierrors.IsNotFound(err) {
		t.Errorf("it is still there: %v", err)
	}
	if p = w.projection(); p.Status.ActiveRevision != b || p.Status.TargetRevision != b {
		t.Errorf("its end changed something: %s", form(p.Status))
	}
}

// Without its status, a Replay that has ended is found to have, and nothing is built again.
func TestReplayStatusIsLost(t *testing.T) {
	w := newWorld(t)
	a := w.running().Status.ActiveRevision
	w.ask("again", nil)
	w.settle()
	b := w.projection().Status.ActiveRevision
	w.now = w.now.Add(2 * time.Hour)
	w.settle()
	if got := w.records(); b == a || len(got) != 1 || got[0] != b {
		t.Fatalf("records %v", got)
	}
	r := w.replayNamed("again")
	r.Annotations = nil
	w.must(w.c.Update(w.ctx, r))
	r.Status = v1alpha1.ReplayStatus{ObservedGeneration: ptr.To[int64](-1)}
	w.must(w.c.Status().Update(w.ctx, r))
	w.settle()
	w.says("again", "Complete", v1alpha1.ReasonComplete)
	if got := w.records(); len(got) != 1 || got[0] != b {
		t.Errorf("records %v", got)
	}
}

// Replays of one projection go one after the other, the oldest first.
func TestReplaysQueue(t *testing.T) {
	w := newWorld(t)
	a := w.running().Status.ActiveRevision
	at := w.reading(a)
	w.ask("one", nil)
	w.ask("two", nil)
	w.settle()
	w.says("one", "Building", v1alpha1.ReasonBuilding)
	if m := w.says("two", "Queued", v1alpha1.ReasonReplayInProgress); m != "Replay one of Projection totals goes first" {
		t.Errorf("message: %s", m)
	}
	if replay.RecordOf(w.replayNamed("two")) != nil {
		t.Error("it has begun")
	}
	// Its progress is not written at each look.
	var writes int64
	for i := range 4 {
		w.now = w.now.Add(time.Second)
		*at = strconv.Itoa(200 + i)
		writes += w.pass()
	}
	if writes > 1 {
		t.Errorf("%d mutating requests in 4 seconds of building: %v", writes, w.last.Load())
	}
	*at = "1000"
	w.now = w.now.Add(5 * time.Second)
	w.settle()
	w.says("one", "Complete", v1alpha1.ReasonComplete)
	w.says("two", "Complete", v1alpha1.ReasonComplete)
	if got := w.projection().Status.Sequence; got != 3 {
		t.Errorf("sequence %d", got)
	}
}

// A Replay that is suspended does not begin, or its projectors end until it goes on.
func TestReplaySuspend(t *testing.T) {
	w := newWorld(t)
	a := w.running().Status.ActiveRevision
	at := w.reading(a)
	w.ask("again", func(s *v1alpha1.ReplaySpec) { s.Suspend = ptr.To(true) })
	w.settle()
	w.says("again", "Suspended", v1alpha1.ReasonSuspended)
	if len(w.records()) != 1 || find(w.replayNamed("again").Status.Conditions, "Suspended") == nil {
		t.Errorf("records %v", w.records())
	}
	w.suspend("again", false)
	w.now = w.now.Add(5 * time.Second)
	w.settle()
	w.says("again", "Building", v1alpha1.ReasonBuilding)
	b := w.projection().Status.TargetRevision
	replicas := func(revision string) int32 {
		d := &appsv1.Deployment{}
		w.must(w.c.Get(w.ctx, client.ObjectKey{Namespace: w.ns, Name: resources.RevisionName("totals", revision)}, d))
		return *d.Spec.Replicas
	}
	*at = "1000" // Even where nothing was left to do, readers are not moved.
	w.suspend("again", true)
	w.says("again", "Suspended", v1alpha1.ReasonSuspended)
	p := w.projection()
	w.wants(p, "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
	if replicas(b) != 0 || replicas(a) != 1 || stateOf(p, b) != "Suspended" || w.serves() != a {
		t.Errorf("%d and %d replicas, status %s", replicas(b), replicas(a), form(p.Status))
	}
	// That its lag is not known any more is written in its time.
	w.now = w.now.Add(30 * time.Second)
	w.settle()
	for range 5 {
		w.now = w.now.Add(6 * time.Second)
		if n := w.pass(); n != 0 {
			t.Fatalf("%d mutating requests while it is suspended: %v", n, w.last.Load())
		}
	}
	w.suspend("again", false)
	w.now = w.now.Add(5 * time.Second)
	w.settle()
	w.says("again", "Complete", v1alpha1.ReasonComplete)
	if w.serves() != b {
		t.Error("readers were not moved")
	}
}

// An edit of what rows are made of takes the place of a Replay; one of anything else does not.
func TestReplaySuperseded(t *testing.T) {
	w := newWorld(t)
	a := w.running().Status.ActiveRevision
	at := w.reading(a)
	w.ask("again", nil)
	w.settle()
	b := w.projection().Status.TargetRevision
	w.change(func(p *v1alpha1.Projection) { p.Spec.Projector.Replicas, p.Spec.LagTargetSeconds = 2, 90 })
	w.now = w.now.Add(5 * time.Second)
	w.settle()
	w.says("again", "Building", v1alpha1.ReasonBuilding)
	w.fold("event.amount * 2")
	w.settle()
	message := w.says("again", "Failed", v1alpha1.ReasonSuperseded)
	if !strings.Contains(message, "Projection totals was changed meanwhile (what rows are made of)") || !strings.Contains(message, "Make another Replay") {
		t.Errorf("message: %s", message)
	}
	p := w.projection()
	w.wants(p, "Ready", metav1.ConditionFalse, v1alpha1.ReasonBuilding)
	if slices.Contains(w.records(), b) || w.book["totals"].Find(b) != nil || w.serves() != a {
		t.Errorf("records %v, bookkeeping %+v", w.records(), w.book["totals"])
	}
	*at = "1000"
	w.now = w.now.Add(5 * time.Second)
	w.settle()
	w.wants(w.projection(), "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
	w.says("again", "Failed", v1alpha1.ReasonSuperseded)
}

// A Replay that is deleted is given up, and leaves nothing behind.
func TestReplayDeletedMidway(t *testing.T) {
	w := newWorld(t)
	a := w.running().Status.ActiveRevision
	w.reading(a)
	r := w.ask("again", nil)
	w.settle()
	if got := w.deployments(); len(got) != 2 {
		t.Fatalf("Deployments of %v", got)
	}
	w.must(w.c.Delete(w.ctx, r))
	w.settle()
	p := w.projection()
	w.wants(p, "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
	if got := w.records(); len(got) != 1 || got[0] != a || len(w.deployments()) != 1 || len(w.book["totals"].Revisions) != 1 || p.Status.TargetRevision != a || p.Status.Status != "CaughtUp" {
		t.Errorf("records %v, status %s", got, form(p.Status))
	}
}

// What a Replay builds is verified as the Projection says before readers see it.
func TestReplayIsVerified(t *testing.T) {
	w := newWorld(t)
	a := w.running().Status.ActiveRevision
	w.change(func(p *v1alpha1.Projection) {
		p.Spec.Rollout.Verify = &v1alpha1.Verify{Sample: "1%", Assertions: []v1alpha1.Assertion{{Name: "few", Model: "totals", All: "count < 3"}}, DeadlineSeconds: 600}
	})
	no := &contract.Result{Reason: "AssertionFailed", Path: "spec.rollout.verify.assertions[few]", Message: "assertion few: totals with its 9 rows does not meet it"}
	answer, asked := no, 0
	w.results = func(q contract.Request) *contract.Result {
		if q.Action != contract.ActionVerify {
			return goodResult(q)
		}
		asked++
		out := *answer
		return &out
	}
	w.settle()
	w.ask("one", nil)
	w.settle()
	if m := w.says("one", "Stalled", v1alpha1.ReasonAssertionFailed); !strings.Contains(m, "assertion few") || asked != 1 || w.serves() != a {
		t.Errorf("asked %d times, message %s", asked, m)
	}
	w.must(w.c.Delete(w.ctx, w.replayNamed("one")))
	answer = &contract.Result{OK: true, Message: "1% of the rows are right"}
	w.settle()
	w.ask("two", nil)
	w.settle()
	w.says("two", "Complete", v1alpha1.ReasonComplete)
	if b := w.projection().Status.ActiveRevision; asked != 2 || b == a || w.serves() != b {
		t.Errorf("asked %d times, readers see %s", asked, w.serves())
	}
}

// A Replay is refused before anything is made where events are gone.
func TestReplayRefused(t *testing.T) {
	w := newWorld(t)
	w.running()
	w.trim()
	w.ask("again", nil)
	w.settle()
	if m := w.says("again", "Failed", v1alpha1.ReasonReplayNotPossible); !strings.Contains(m, "EventTopic orders") {
		t.Errorf("message: %s", m)
	}
	w.wants(w.projection(), "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
	if got := w.records(); len(got) != 1 {
		t.Errorf("records %v", got)
	}
}

// A Replay waits for its Projection, and fails where that goes.
func TestReplayWithoutProjection(t *testing.T) {
	w := newWorld(t)
	w.ask("again", nil)
	w.settle()
	if m := w.says("again", "Pending", v1alpha1.ReasonReferenceMissing); !strings.Contains(m, "Projection totals does not exist") {
		t.Errorf("message: %s", m)
	}
	b, topic, s, p := w.objects()
	p.Spec.Suspend = ptr.To(true)
	w.create(b, topic, s, p)
	w.settle()
	w.says("again", "Pending", v1alpha1.ReasonProjectionSuspended)
	w.poller.answer = func(target progress.Target) (*contract.ProjectorStatus, error) { return w.caughtUp(target) }
	w.change(func(p *v1alpha1.Projection) { p.Spec.Suspend = nil })
	w.settle()
	w.says("again", "Complete", v1alpha1.ReasonComplete)

	w.reading(w.projection().Status.ActiveRevision)
	w.ask("once-more", nil)
	w.settle()
	w.says("once-more", "Building", v1alpha1.ReasonBuilding)
	w.must(w.c.Delete(w.ctx, w.projection()))
	w.settle()
	w.says("once-more", "Failed", v1alpha1.ReasonProjectionDeleted)
	w.says("again", "Complete", v1alpha1.ReasonComplete)
}

// A Replay that waits for a human to promote it rests, and nothing is written meanwhile.
func TestReplayPromotedByHand(t *testing.T) {
	w := newWorld(t)
	a := w.running().Status.ActiveRevision
	w.ask("again", func(s *v1alpha1.ReplaySpec) { s.Promotion = v1alpha1.PromotionManual })
	w.settle()
	w.says("again", "Ready", v1alpha1.ReasonAwaitingPromotion)
	p := w.projection()
	w.wants(p, "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
	if w.serves() != a {
		t.Error("readers were moved")
	}
	for range 5 {
		w.now = w.now.Add(6 * time.Second)
		if n := w.pass(); n != 0 {
			t.Fatalf("%d mutating requests while it waits: %v", n, w.last.Load())
		}
	}
	b := p.Status.TargetRevision
	w.change(func(p *v1alpha1.Projection) { p.Spec.Rollout.ActiveRevision = b })
	w.settle()
	w.says("again", "Complete", v1alpha1.ReasonComplete)
	if w.serves() != b {
		t.Error("readers were not moved")
	}
}

// Of a Replay nothing but suspend can be changed.
func TestReplayIsImmutable(t *testing.T) {
	w := newWorld(t)
	w.ask("again", nil)
	for name, edit := range map[string]func(*v1alpha1.ReplaySpec){
		"projectionRef": func(s *v1alpha1.ReplaySpec) { s.ProjectionRef.Name = "others" },
		"promotion":     func(s *v1alpha1.ReplaySpec) { s.Promotion = v1alpha1.PromotionManual },
		"ttl":           func(s *v1alpha1.ReplaySpec) { s.TTLSecondsAfterFinished = ptr.To[int32](1) },
		"verify":        func(s *v1alpha1.ReplaySpec) { s.Verify = &v1alpha1.Verify{} },
	} {
		r := w.replayNamed("again")
		edit(&r.Spec)
		if err := w.c.Update(w.ctx, r); err == nil || !strings.Contains(err.Error(), "only suspend can be changed") {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.suspend("again", true)
	w.suspend("again", false)
}
