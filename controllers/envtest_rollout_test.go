// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package controllers_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/controllers/progress"
	"github.com/projectionist-dev/projectionist/controllers/resources"
)

// fold changes what the rows of the projection are a function of.
func (w *world) fold(expression v1alpha1.Expression) {
	w.t.Helper()
	w.change(func(p *v1alpha1.Projection) { p.Spec.Models[0].Handlers[0].Add["total"] = expression })
}

// deployments are the revisions that have projectors, sorted.
func (w *world) deployments() []string {
	w.t.Helper()
	var list appsv1.DeploymentList
	w.must(w.c.List(w.ctx, &list, client.InNamespace(w.ns)))
	var out []string
	for i := range list.Items {
		out = append(out, list.Items[i].Labels[resources.LabelRevision])
	}
	slices.Sort(out)
	return out
}

// records are the revisions that have a ControllerRevision.
func (w *world) records() []string {
	w.t.Helper()
	var list appsv1.ControllerRevisionList
	w.must(w.c.List(w.ctx, &list, client.InNamespace(w.ns)))
	var out []string
	for i := range list.Items {
		out = append(out, list.Items[i].Labels[resources.LabelRevision])
	}
	slices.Sort(out)
	return out
}

func (w *world) serves() string {
	w.t.Helper()
	s := &corev1.Service{}
	w.must(w.c.Get(w.ctx, client.ObjectKey{Namespace: w.ns, Name: "totals"}, s))
	return s.Spec.Selector[resources.LabelRevision]
}

func stateOf(p *v1alpha1.Projection, name string) string {
	for _, r := range p.Status.Revisions {
		if r.Name == name {
			return r.State
		}
	}
	return ""
}

// backlog makes the projectors of other revisions than the given one report a backlog until the function that it gives is called.
func (w *world) backlog(than string) (reached func()) {
	good := w.poller.answer
	w.poller.answer = func(target progress.Target) (*contract.ProjectorStatus, error) {
		s, err := good(target)
		if err == nil && s.Revision != than {
			for i := range s.Partitions {
				s.Partitions[i].CaughtUp, s.Partitions[i].Lag, s.Partitions[i].EventTime = false, 300_000, w.now.Add(-time.Hour)
			}
		}
		return s, err
	}
	return func() { w.poller.answer = good }
}

// A change of the fold: a second revision beside the first, then the switch, then the first is dropped.
func TestChangeIsBuiltBeside(t *testing.T) {
	w := newWorld(t)
	a := w.running().Status.ActiveRevision
	live := w.deployment()
	reached := w.backlog(a)
	w.fold("event.amount * 2")
	w.settle()
	p := w.projection()
	b := p.Status.TargetRevision
	message := w.wants(p, "Reconciling", metav1.ConditionTrue, v1alpha1.ReasonBuilding)
	w.wants(p, "Available", metav1.ConditionTrue, v1alpha1.ReasonServing)
	w.wants(p, "Ready", metav1.ConditionFalse, v1alpha1.ReasonBuilding)
	for _, part := range []string{"revision " + b + " is built beside " + a, "0 of 4 partitions caught up, 1.2M events to go", "models[totals].handlers[placed].add.total"} {
		if !strings.Contains(message, part) {
			t.Errorf("message: %s, which lacks %q", message, part)
		}
	}
	if p.Status.Status != "Rebuilding" || p.Status.ActiveRevision != a || b == a || p.Status.Lag != "0" ||
		!strings.Contains(p.Status.Selector, a) || w.serves() != a || stateOf(p, b) != "Building" || stateOf(p, a) != "Active" {
		t.Errorf("status: %+v", p.Status)
	}
	if got := w.deployments(); len(got) != 2 {
		t.Fatalf("Deployments of %v", got)
	}
	// The live one is not touched, and goes on taking edits in place.
	same := &appsv1.Deployment{}
	w.must(w.c.Get(w.ctx, client.ObjectKeyFromObject(live), same))
	if same.Generation != live.Generation {
		t.Error("the Deployment that readers depend on was changed")
	}
	w.change(func(p *v1alpha1.Projection) { p.Spec.Projector.Replicas = 2 })
	w.settle()
	w.must(w.c.Get(w.ctx, client.ObjectKeyFromObject(live), same))
	if *same.Spec.Replicas != 2 {
		t.Errorf("%d replicas", *same.Spec.Replicas)
	}
	// A restart, and a status that is gone, change nothing on the way.
	w.restart()
	w.settle()
	if got := w.projection().Status; got.ActiveRevision != a || got.TargetRevision != b || len(w.deployments()) != 2 {
		t.Errorf("after a restart: %+v", got)
	}

	reached()
	w.now = w.now.Add(5 * time.Second)
	w.settle()
	p = w.projection()
	w.wants(p, "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
	if p.Status.ActiveRevision != b || !strings.Contains(p.Status.Selector, b) || w.serves() != b || p.Status.Sequence != 2 ||
		stateOf(p, a) != "Kept" || stateOf(p, b) != "Active" || len(w.deployments()) != 2 {
		t.Errorf("status: %+v", p.Status)
	}
	for range 5 {
		w.now = w.now.Add(6 * time.Second)
		if n := w.pass(); n != 0 {
			t.Fatalf("%d mutating requests while a revision is kept: %v", n, w.last.Load())
		}
	}

	w.now = w.now.Add(time.Hour)
	w.settle()
	p = w.projection()
	if got := w.deployments(); len(got) != 1 || got[0] != b {
		t.Errorf("Deployments of %v", got)
	}
	if got := w.records(); len(got) != 1 || got[0] != b || w.book["totals"].Find(a) != nil || len(p.Status.Revisions) != 1 {
		t.Errorf("records %v, bookkeeping %+v, status %+v", got, w.book["totals"], p.Status.Revisions)
	}
	var maps corev1.ConfigMapList
	w.must(w.c.List(w.ctx, &maps, client.InNamespace(w.ns), client.MatchingLabels{"app.kubernetes.io/managed-by": "projectionist"}))
	if len(maps.Items) != 1 {
		t.Errorf("%d contracts are kept", len(maps.Items))
	}
	for range 5 {
		w.now = w.now.Add(6 * time.Second)
		if n := w.pass(); n != 0 {
			t.Fatalf("%d mutating requests from a converged system: %v", n, w.last.Load())
		}
	}
	// Without any Job, a prepare tells again what readers see.
	var jobs batchv1.JobList
	w.must(w.c.List(w.ctx, &jobs, client.InNamespace(w.ns)))
	for i := range jobs.Items {
		w.must(w.c.Delete(w.ctx, &jobs.Items[i], client.PropagationPolicy(metav1.DeletePropagationBackground)))
	}
	w.must(w.c.DeleteAllOf(w.ctx, &corev1.Pod{}, client.InNamespace(w.ns), client.MatchingLabels{resources.LabelComponent: resources.ComponentAction},
		client.GracePeriodSeconds(0)))
	w.settle()
	if got := w.projection().Status; got.ActiveRevision != b || got.Sequence != 2 || w.serves() != b {
		t.Errorf("without Jobs: %+v", got)
	}
	w.wants(w.projection(), "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
}

// Readers move when they are told to, and back.
func TestPromoteAndRollBackByHand(t *testing.T) {
	w := newWorld(t)
	a := w.running().Status.ActiveRevision
	pin := func(name string) {
		w.change(func(p *v1alpha1.Projection) { p.Spec.Rollout.ActiveRevision = name })
		w.settle()
	}
	w.change(func(p *v1alpha1.Projection) { p.Spec.Rollout.Promotion = v1alpha1.PromotionManual })
	w.fold("event.amount * 2")
	w.settle()
	p := w.projection()
	b := p.Status.TargetRevision
	message := w.wants(p, "Ready", metav1.ConditionFalse, v1alpha1.ReasonAwaitingPromotion)
	if !strings.Contains(message, `spec.rollout.activeRevision: "`+b+`"`) || stateOf(p, b) != "Ready" || w.serves() != a {
		t.Errorf("%s; %+v", message, p.Status)
	}
	pin("0123456789")
	message = w.wants(w.projection(), "Stalled", metav1.ConditionTrue, v1alpha1.ReasonUnknownRevision)
	if !strings.Contains(message, a) || !strings.Contains(message, b) || w.serves() != a {
		t.Errorf("message: %s", message)
	}
	pin(b)
	w.wants(w.projection(), "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
	if w.serves() != b || w.projection().Status.Sequence != 2 {
		t.Errorf("status: %+v", w.projection().Status)
	}
	pin(a)
	p = w.projection()
	if w.serves() != a || p.Status.ActiveRevision != a || p.Status.Sequence != 3 || stateOf(p, b) != "Kept" {
		t.Errorf("status: %+v", p.Status)
	}
	w.wants(p, "Ready", metav1.ConditionFalse, v1alpha1.ReasonAwaitingPromotion)
	// What the newest spec asks for stays, however long ago readers left it.
	w.now = w.now.Add(2 * time.Hour)
	w.settle()
	if got := w.deployments(); len(got) != 2 {
		t.Errorf("Deployments of %v", got)
	}
	// Putting the spec back makes what readers see the target.
	w.fold("event.amount")
	pin("")
	w.wants(w.projection(), "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
	if got := w.deployments(); len(got) != 1 || got[0] != a {
		t.Errorf("Deployments of %v", got)
	}
}

// A build that stops never comes near readers, and a correction replaces it.
func TestFailingBuild(t *testing.T) {
	w := newWorld(t)
	a := w.running().Status.ActiveRevision
	good := w.poller.answer
	bad := ""
	w.poller.answer = func(target progress.Target) (*contract.ProjectorStatus, error) {
		s, err := good(target)
		if err == nil && s.Revision != a && (bad == "" || s.Revision == bad) {
			bad = s.Revision
			s.Partitions[1].CaughtUp = false
			s.Partitions[1].Stopped = &contract.Stop{Position: "9", Reason: "HandlerError", Path: "models[totals]", Message: "event.x is missing"}
		}
		return s, err
	}
	w.fold("event.amount * 2")
	w.settle()
	p := w.projection()
	message := w.wants(p, "Stalled", metav1.ConditionTrue, "HandlerError")
	if !strings.Contains(message, "Readers go on with revision "+a) || w.serves() != a || p.Status.ActiveRevision != a {
		t.Errorf("%s; %+v", message, p.Status)
	}
	w.fold("event.amount * 3")
	w.settle()
	p = w.projection()
	w.wants(p, "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
	if p.Status.ActiveRevision == a || p.Status.ActiveRevision == bad || w.book["totals"].Find(bad) != nil || slices.Contains(w.records(), bad) {
		t.Errorf("%+v, records %v", p.Status, w.records())
	}
}

// A replay for GitOps: the same data once more, once for each new token.
func TestReplayToken(t *testing.T) {
	w := newWorld(t)
	before := w.running()
	token := func(s string) *v1alpha1.Projection {
		w.change(func(p *v1alpha1.Projection) { p.Spec.ReplayToken = s })
		w.settle()
		p := w.projection()
		w.wants(p, "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
		return p
	}
	once := token("one")
	if once.Status.ActiveRevision == before.Status.ActiveRevision || once.Status.DataHash != before.Status.DataHash {
		t.Errorf("status: %+v", once.Status)
	}
	if p := token(""); p.Status.ActiveRevision != once.Status.ActiveRevision {
		t.Error("removing the token rebuilt")
	}
	twice := token("two")
	if twice.Status.ActiveRevision == once.Status.ActiveRevision {
		t.Error("another token did not rebuild")
	}
	if p := token("one"); p.Status.ActiveRevision != twice.Status.ActiveRevision {
		t.Error("a token that was used before rebuilt")
	}
}

// Two projections of a store build one after the other.
func TestQueue(t *testing.T) {
	w := newWorld(t)
	a := w.running().Status.ActiveRevision
	_, _, _, second := w.objects()
	second.Name, second.Spec.Models[0].Name = "others", "others"
	w.create(second)
	w.settle()
	reached := w.backlog(a)
	w.fold("event.amount * 2")
	w.settle()
	other := func() *v1alpha1.Projection {
		p := &v1alpha1.Projection{}
		w.must(w.c.Get(w.ctx, client.ObjectKey{Namespace: w.ns, Name: "others"}, p))
		return p
	}
	p := other()
	p.Spec.Models[0].Handlers[0].Add["total"] = "event.amount * 3"
	w.must(w.c.Update(w.ctx, p))
	w.settle()
	p = other()
	message := w.wants(p, "Ready", metav1.ConditionFalse, v1alpha1.ReasonQueued)
	if !strings.Contains(message, "1 projection of ReadStore reads builds first") || stateOf(p, p.Status.TargetRevision) != "Queued" {
		t.Errorf("%s; %+v", message, p.Status)
	}
	reached()
	w.now = w.now.Add(5 * time.Second)
	w.settle()
	w.wants(other(), "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
	w.wants(w.projection(), "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
}

// Connections of the store are shared: a new projection and a new revision wait for them, and what runs goes on.
func TestConnections(t *testing.T) {
	w := newWorld(t)
	a := w.running().Status.ActiveRevision
	limit := func(n int32) {
		t.Helper()
		s := &v1alpha1.ReadStore{}
		w.must(w.c.Get(w.ctx, client.ObjectKey{Namespace: w.ns, Name: "reads"}, s))
		s.Spec.MaxConnections = n
		w.must(w.c.Update(w.ctx, s))
		w.settle()
	}
	pods := *w.deployment().Spec.Replicas
	limit(3*pods + 2 + 2)
	w.wants(w.projection(), "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
	w.fold("event.amount * 2")
	w.settle()
	p := w.projection()
	message := w.wants(p, "Ready", metav1.ConditionFalse, v1alpha1.ReasonQueued)
	if want := fmt.Sprintf("have %d of the %d that its spec.maxConnections allows", 3*pods+4, 3*pods+4); !strings.Contains(message, want) ||
		stateOf(p, p.Status.TargetRevision) != "Queued" || len(w.deployments()) != 1 || w.serves() != a {
		t.Errorf("%s, want %q; %+v", message, want, p.Status)
	}
	_, _, _, second := w.objects()
	second.Name, second.Spec.Models[0].Name = "others", "others"
	w.create(second)
	w.settle()
	other := func() *v1alpha1.Projection {
		p := &v1alpha1.Projection{}
		w.must(w.c.Get(w.ctx, client.ObjectKey{Namespace: w.ns, Name: "others"}, p))
		return p
	}
	w.wants(other(), "Ready", metav1.ConditionFalse, v1alpha1.ReasonQueued)
	// Room for the one that was asked for first.
	limit(3*2*pods + 2*2 + 2)
	w.wants(w.projection(), "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
	w.wants(other(), "Ready", metav1.ConditionFalse, v1alpha1.ReasonQueued)
	limit(3*3*pods + 2*2 + 2)
	w.wants(other(), "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
	limit(5)
	w.now = w.now.Add(time.Minute) // it is written no more often than how far a projection is
	w.settle()
	message = w.wants(w.projection(), "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
	if !strings.Contains(message, "its spec.maxConnections is 5: nothing that runs is stopped") {
		t.Error(message)
	}
}

// trim lets the first events of two partitions of every topic be gone, and the operator find that.
func (w *world) trim() {
	w.t.Helper()
	w.results = func(r contract.Request) *contract.Result {
		out := goodResult(r)
		if out.Topic != nil {
			out.Topic.Trimmed = 2
		}
		return out
	}
	w.now = w.now.Add(2 * time.Hour)
	w.settle()
}

// Events that are gone: the change is refused, and the revision that runs goes on.
func TestReplayNotPossible(t *testing.T) {
	w := newWorld(t)
	a := w.running().Status.ActiveRevision
	w.trim()
	w.fold("event.amount * 2")
	w.settle()
	message := w.wants(w.projection(), "Stalled", metav1.ConditionTrue, v1alpha1.ReasonReplayNotPossible)
	if !strings.Contains(message, "EventTopic orders") || w.serves() != a || len(w.records()) != 1 {
		t.Errorf("message: %s, records %v", message, w.records())
	}
	w.fold("event.amount")
	w.settle()
	w.wants(w.projection(), "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
}

// What the store refuses about a switch is said with the way out, and consent mends it.
func TestReadersWouldBreak(t *testing.T) {
	w := newWorld(t)
	a := w.running().Status.ActiveRevision
	w.results = func(r contract.Request) *contract.Result {
		if r.Action == contract.ActionPromote && !r.Switch.Allow.BreakReaders {
			return &contract.Result{Reason: "ReadersWouldBreak", Message: "view totals would lose column total: consent to BreakReaders in spec.rollout.allow"}
		}
		return goodResult(r)
	}
	w.fold("event.amount * 2")
	for range 12 {
		w.pass()
		w.check()
		w.runJobs()
		w.runDeployments()
		w.now = w.now.Add(time.Second)
	}
	message := w.wants(w.projection(), "Stalled", metav1.ConditionTrue, v1alpha1.ReasonReadersWouldBreak)
	if !strings.HasSuffix(message, "consent to BreakReaders in spec.rollout.allow. Readers go on with revision "+a) || w.serves() != a {
		t.Errorf("message: %s", message)
	}
	w.change(func(p *v1alpha1.Projection) { p.Spec.Rollout.Allow = []v1alpha1.Consent{v1alpha1.ConsentBreakReaders} })
	w.settle()
	w.wants(w.projection(), "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
	if w.serves() == a {
		t.Error("readers were not moved")
	}
	w.change(func(p *v1alpha1.Projection) { p.Spec.Rollout.KeepRevisions = ptr.To[int32](0) })
	w.settle()
	if got := w.deployments(); len(got) != 1 {
		t.Errorf("Deployments of %v", got)
	}
}

// What a hand deletes, or an older release did not have, is made again from what is left, and readers do not notice.
func TestLostRecords(t *testing.T) {
	w := newWorld(t)
	a := w.running().Status.ActiveRevision
	for _, lose := range []client.Object{&appsv1.ControllerRevision{}, &corev1.ConfigMap{}} {
		w.must(w.c.DeleteAllOf(w.ctx, lose, client.InNamespace(w.ns), client.MatchingLabels{resources.LabelManagedBy: resources.ManagedBy}))
		w.settle()
		p := w.projection()
		w.wants(p, "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
		if got := w.records(); p.Status.ActiveRevision != a || w.serves() != a || len(got) != 1 || got[0] != a || len(w.deployments()) != 1 {
			t.Errorf("%T: %+v, records %v", lose, p.Status, got)
		}
	}
}

// A candidate is verified before readers move to it; what fails is said and is not shown, and nothing asks again by itself.
func TestVerifiedBeforeShown(t *testing.T) {
	w := newWorld(t)
	a := w.running().Status.ActiveRevision
	no := &contract.Result{Reason: "AssertionFailed", Path: "spec.rollout.verify.assertions[few]", Message: "assertion few: totals with its 9 rows does not meet it"}
	asked := 0
	w.results = func(q contract.Request) *contract.Result {
		if q.Action != contract.ActionVerify {
			return goodResult(q)
		}
		asked++
		if q.Verify.Assertions[0].Name == "few" {
			out := *no
			return &out
		}
		return &contract.Result{OK: true, Message: "9 rows are what the log says"}
	}
	assert := func(name string) func(p *v1alpha1.Projection) {
		return func(p *v1alpha1.Projection) {
			p.Spec.Models[0].Handlers[0].Add["total"] = "event.amount * 2"
			p.Spec.Rollout.Verify = &v1alpha1.Verify{Sample: "1%", Assertions: []v1alpha1.Assertion{{Name: name, Model: "totals", All: "count < 3"}}, DeadlineSeconds: 600}
		}
	}
	w.change(assert("few"))
	w.settle()
	p := w.projection()
	b := p.Status.TargetRevision
	message := w.wants(p, "Stalled", metav1.ConditionTrue, v1alpha1.ReasonAssertionFailed)
	w.wants(p, "Ready", metav1.ConditionFalse, v1alpha1.ReasonAssertionFailed)
	w.wants(p, "Available", metav1.ConditionTrue, v1alpha1.ReasonServing)
	for _, part := range []string{"its verification failed", "with its 9 rows", "Readers go on with revision " + a, "kubectl projection verify totals --revision " + b} {
		if !strings.Contains(message, part) {
			t.Errorf("message: %s, which lacks %q", message, part)
		}
	}
	if p.Status.ActiveRevision != a || w.serves() != a || stateOf(p, b) != "Unverified" || asked != 1 {
		t.Errorf("asked %d times: %+v", asked, p.Status)
	}
	var jobs batchv1.JobList
	w.must(w.c.List(w.ctx, &jobs, client.InNamespace(w.ns), client.MatchingLabels{resources.LabelAction: string(contract.ActionVerify)}))
	if len(jobs.Items) != 1 {
		t.Fatalf("%d Jobs", len(jobs.Items))
	}
	spec := jobs.Items[0].Spec
	volumes := 0
	for _, v := range spec.Template.Spec.Volumes {
		if v.ConfigMap != nil && strings.HasPrefix(v.ConfigMap.Name, "totals-"+b) {
			volumes++
		}
	}
	if *spec.ActiveDeadlineSeconds != 600+120 || volumes != 1 {
		t.Errorf("the Job: %d s, %+v", *spec.ActiveDeadlineSeconds, spec.Template.Spec.Volumes)
	}
	w.now = w.now.Add(time.Hour)
	w.restart()
	w.settle()
	if asked != 1 {
		t.Errorf("it was verified %d times", asked)
	}
	w.change(assert("other"))
	w.settle()
	p = w.projection()
	if p.Status.ActiveRevision != b || asked != 2 {
		t.Errorf("asked %d times: %+v", asked, p.Status)
	}
	w.wants(p, "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
}

// Somebody deletes the one Job that told that readers were moved, and the spec goes back at once: what an older Job tells
// takes nothing down, and a new one is asked.
func TestNewestAnswerDeleted(t *testing.T) {
	w := newWorld(t)
	a := w.running().Status.ActiveRevision
	w.fold("event.amount * 2")
	w.settle()
	b := w.projection().Status.ActiveRevision
	if b == a || w.projection().Status.Sequence != 2 {
		t.Fatalf("status: %+v", w.projection().Status)
	}
	w.lose(func(job *batchv1.Job) bool {
		return job.Labels[resources.LabelAction] == string(contract.ActionPromote)
	})
	w.change(func(p *v1alpha1.Projection) { p.Spec.Rollout.KeepRevisions = ptr.To[int32](0) })
	w.fold("event.amount")
	for range 40 {
		w.pass()
		w.runJobs()
		if got := w.book["totals"].Active; !slices.Contains(w.deployments(), got) {
			t.Fatalf("readers see %s, and projectors run for %v", got, w.deployments())
		}
		w.runDeployments()
		w.now = w.now.Add(time.Second)
	}
	w.settle()
	p := w.projection()
	w.wants(p, "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
	if got := w.deployments(); p.Status.ActiveRevision != a || w.serves() != a || len(got) != 1 || got[0] != a {
		t.Errorf("status %+v, Deployments of %v", p.Status, got)
	}
}

// lose deletes the Jobs that a test picks, with their pods, as a hand would.
func (w *world) lose(which func(*batchv1.Job) bool) {
	w.t.Helper()
	var jobs batchv1.JobList
	w.must(w.c.List(w.ctx, &jobs, client.InNamespace(w.ns)))
	lost := 0
	for i := range jobs.Items {
		if job := &jobs.Items[i]; which(job) {
			lost++
			w.must(w.c.Delete(w.ctx, job, client.PropagationPolicy(metav1.DeletePropagationBackground)))
			w.must(w.c.Delete(w.ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: job.Name + "-pod"}}, client.GracePeriodSeconds(0)))
		}
	}
	if lost == 0 || lost == len(jobs.Items) {
		w.t.Fatalf("%d of %d Jobs were lost", lost, len(jobs.Items))
	}
}
