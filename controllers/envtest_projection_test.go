// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package controllers_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/controllers"
	"github.com/projectionist-dev/projectionist/controllers/progress"
	"github.com/projectionist-dev/projectionist/controllers/statuscheck"
)

func TestHappyPath(t *testing.T) {
	w := newWorld(t)
	p := w.running()
	for _, c := range []string{"Available", "SpecAccepted", "SourceReady", "StoreReady"} {
		if s := statusOf(p, c); s != metav1.ConditionTrue {
			t.Errorf("%s is %s", c, s)
		}
	}
	if p.Status.Lag != "0" || p.Status.Status != "CaughtUp" || p.Status.Partitions != 4 || ptr.Deref(p.Status.Replicas, 0) != 1 {
		t.Errorf("status: %+v", p.Status)
	}
	d := w.deployment()
	if d.Name != "totals-"+p.Status.ActiveRevision || !strings.Contains(p.Status.Selector, p.Status.ActiveRevision) {
		t.Errorf("Deployment %s, selector %s, revision %s", d.Name, p.Status.Selector, p.Status.ActiveRevision)
	}
	for _, v := range d.Spec.Template.Spec.Volumes {
		if v.Secret != nil && v.Secret.SecretName == "reads-owner" {
			t.Error("projectors see the DDL credentials")
		}
	}
	if k := statuscheck.Kstatus(statuscheck.Subject{Generation: p.Generation, ObservedGeneration: *p.Status.ObservedGeneration, Conditions: p.Status.Conditions}); k != "Current" {
		t.Errorf("kstatus is %s", k)
	}
}

// A converged system sends nothing that changes anything (Law 9).
func TestQuiescence(t *testing.T) {
	w := newWorld(t)
	w.running()
	for range 10 {
		w.now = w.now.Add(6 * time.Second)
		if n := w.pass(); n != 0 {
			t.Fatalf("%d mutating requests from a converged system", n)
		}
	}
}

// Only the lag changes: at most one write in 30 seconds.
func TestLagIsWrittenSeldom(t *testing.T) {
	w := newWorld(t)
	w.running()
	lag := int64(0)
	w.poller.answer = func(target progress.Target) (*contract.ProjectorStatus, error) {
		s, err := w.caughtUp(target)
		lag += 700
		for i := range s.Partitions {
			s.Partitions[i].Lag = lag
		}
		return s, err
	}
	var writes int64
	for range 12 {
		w.now = w.now.Add(5 * time.Second)
		writes += w.pass()
	}
	if writes == 0 || writes > 3 {
		t.Fatalf("%d writes in a minute in which only the lag changed", writes)
	}
	w.check()
}

// Conditions come from the world: without the status they are the same again (Law 8).
func TestDeletedStatusComesBack(t *testing.T) {
	w := newWorld(t)
	before := w.running()
	var topic v1alpha1.EventTopic
	w.must(w.c.Get(w.ctx, client.ObjectKey{Namespace: w.ns, Name: "orders"}, &topic))
	topicBefore := topic.DeepCopy()
	for _, o := range []client.Object{before.DeepCopy(), &topic} {
		w.must(w.c.Status().Patch(w.ctx, o, client.RawPatch(types.JSONPatchType, []byte(`[{"op":"remove","path":"/status"}]`))))
	}
	w.settle()
	if got := w.projection(); form(got.Status) != form(before.Status) {
		t.Errorf("the status came back as\n%s\nwant\n%s", form(got.Status), form(before.Status))
	}
	w.must(w.c.Get(w.ctx, client.ObjectKey{Namespace: w.ns, Name: "orders"}, &topic))
	if form(topic.Status) != form(topicBefore.Status) {
		t.Errorf("the topic's status came back as\n%s\nwant\n%s", form(topic.Status), form(topicBefore.Status))
	}
}

// A restart of the operator changes nothing.
func TestRestart(t *testing.T) {
	w := newWorld(t)
	before := w.running()
	w.restart()
	if n := w.pass(); n != 0 {
		t.Errorf("%d mutating requests after a restart", n)
	}
	if got := w.projection(); got.ResourceVersion != before.ResourceVersion {
		t.Errorf("the status was written")
	}
}

func TestBadSpecWhileRunning(t *testing.T) {
	w := newWorld(t)
	w.running()
	d := w.deployment()
	w.change(func(p *v1alpha1.Projection) {
		p.Spec.Models[0].Handlers[0].Add["total"] = "event.("
		p.Spec.LagTargetSeconds = 5
	})
	w.settle()
	p := w.projection()
	w.wants(p, "SpecAccepted", metav1.ConditionFalse, v1alpha1.ReasonInvalidSpec)
	message := w.wants(p, "Ready", metav1.ConditionFalse, v1alpha1.ReasonInvalidSpec)
	if !strings.Contains(message, "models[totals].handlers[placed].add.total") || !strings.Contains(message, "goes on") {
		t.Errorf("message: %s", message)
	}
	if statusOf(p, "Stalled") != metav1.ConditionTrue || statusOf(p, "Available") != metav1.ConditionTrue || p.Status.Status != "Refused" {
		t.Errorf("status: %+v", p.Status)
	}
	if got := w.deployment(); got.Generation != d.Generation {
		t.Error("a refused spec changed the Deployment")
	}
	w.change(func(p *v1alpha1.Projection) { p.Spec.Models[0].Handlers[0].Add["total"] = "event.amount" })
	w.settle()
	w.wants(w.projection(), "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
}

func TestMissingReferences(t *testing.T) {
	w := newWorld(t)
	b, topic, s, p := w.objects()
	w.create(p)
	w.settle()
	got := w.projection()
	w.wants(got, "SpecAccepted", metav1.ConditionUnknown, v1alpha1.ReasonReferenceMissing)
	message := w.wants(got, "Ready", metav1.ConditionFalse, v1alpha1.ReasonReferenceMissing)
	if !strings.Contains(message, `"orders"`) || !strings.Contains(message, `"reads"`) {
		t.Errorf("message: %s", message)
	}
	w.create(topic)
	w.settle()
	w.wants(w.projection(), "Ready", metav1.ConditionFalse, v1alpha1.ReasonReferenceMissing)
	w.create(b, s)
	w.settle()
	w.wants(w.projection(), "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
}

func TestWrongPasswordAndUnreachable(t *testing.T) {
	w := newWorld(t)
	w.results = func(r contract.Request) *contract.Result {
		if r.Action == contract.ActionProbeStore {
			return &contract.Result{Reason: "AuthenticationFailed", Path: "spec.postgres.secretRef", Message: "the server refused the password of user app"}
		}
		return goodResult(r)
	}
	b, topic, s, p := w.objects()
	w.create(b, topic, s, p)
	for range 6 {
		w.pass()
		w.check()
		w.runJobs()
		w.now = w.now.Add(time.Second)
	}
	w.must(w.c.Get(w.ctx, client.ObjectKeyFromObject(s), s))
	if c := find(s.Status.Conditions, "Stalled"); c == nil || c.Reason != "AuthenticationFailed" || !strings.HasPrefix(c.Message, "spec.postgres.secretRef: ") {
		t.Errorf("store: %+v", s.Status.Conditions)
	}
	got := w.projection()
	w.wants(got, "Ready", metav1.ConditionFalse, v1alpha1.ReasonWaitingForStore)
	w.wants(got, "StoreReady", metav1.ConditionFalse, "AuthenticationFailed")
	// It is tried again by itself, each time later.
	w.results = goodResult
	w.now = w.now.Add(3 * time.Minute)
	w.settle()
	w.wants(w.projection(), "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
	var jobs batchv1.JobList
	w.must(w.c.List(w.ctx, &jobs, client.InNamespace(w.ns)))
	if len(jobs.Items) != 4 {
		t.Errorf("%d Jobs are kept, want one for each of four actions", len(jobs.Items))
	}
}

func TestNameTaken(t *testing.T) {
	w := newWorld(t)
	w.results = func(r contract.Request) *contract.Result {
		if r.Action == contract.ActionPrepare {
			return &contract.Result{Reason: "NameTaken", Path: "spec.models[totals]", Message: "table totals exists and is not this projection's"}
		}
		return goodResult(r)
	}
	b, topic, s, p := w.objects()
	w.create(b, topic, s, p)
	for range 8 {
		w.pass()
		w.check()
		w.runJobs()
		w.now = w.now.Add(time.Second)
	}
	got := w.projection()
	w.wants(got, "Stalled", metav1.ConditionTrue, v1alpha1.ReasonNameTaken)
	w.wants(got, "Available", metav1.ConditionFalse, v1alpha1.ReasonNotServing)
}

func TestStoppedPartitionAndFaults(t *testing.T) {
	w := newWorld(t)
	w.running()
	good := w.poller.answer
	change := func(edit func(*contract.ProjectorStatus)) {
		w.poller.answer = func(target progress.Target) (*contract.ProjectorStatus, error) {
			s, err := good(target)
			if err == nil {
				edit(s)
			}
			return s, err
		}
		w.now = w.now.Add(5 * time.Second)
		w.settle()
	}
	change(func(s *contract.ProjectorStatus) {
		s.Partitions[2].CaughtUp = false
		s.Partitions[2].Stopped = &contract.Stop{Position: "18220114", Reason: "HandlerError", Path: "models[totals].handlers[placed].add.total", Message: "event.amount is a string, expected a number"}
	})
	p := w.projection()
	message := w.wants(p, "Ready", metav1.ConditionFalse, "HandlerError")
	if !strings.HasPrefix(message, "Partition orders/2 stopped at position 18220114: models[totals].handlers[placed].add.total: event.amount is a string") {
		t.Errorf("message: %s", message)
	}
	w.wants(p, "Stalled", metav1.ConditionTrue, "HandlerError")
	w.wants(p, "Available", metav1.ConditionTrue, v1alpha1.ReasonServing)

	change(func(s *contract.ProjectorStatus) {
		s.Store = contract.Health{Reason: "Unreachable", Message: "the database refuses connections"}
	})
	p = w.projection()
	w.wants(p, "Ready", metav1.ConditionFalse, v1alpha1.ReasonWaitingForStore)
	w.wants(p, "Reconciling", metav1.ConditionTrue, v1alpha1.ReasonWaitingForStore)
	w.wants(p, "StoreReady", metav1.ConditionFalse, "Unreachable")

	change(func(s *contract.ProjectorStatus) { s.Partitions[0].CaughtUp, s.Partitions[0].Lag = false, 5000 })
	w.wants(w.projection(), "Ready", metav1.ConditionTrue, v1alpha1.ReasonWithinLagTarget)
	w.now = w.now.Add(2 * time.Minute)
	w.settle()
	w.wants(w.projection(), "Ready", metav1.ConditionFalse, v1alpha1.ReasonLagging)

	w.poller.answer = func(progress.Target) (*contract.ProjectorStatus, error) { return nil, errors.New("cannot be reached") }
	w.now = w.now.Add(5 * time.Second)
	w.settle()
	w.wants(w.projection(), "Ready", metav1.ConditionFalse, v1alpha1.ReasonLagging) // one lost poll changes nothing
	w.now = w.now.Add(30 * time.Second)
	w.settle()
	p = w.projection()
	w.wants(p, "Ready", metav1.ConditionUnknown, v1alpha1.ReasonProjectorsUnreachable)
	w.wants(p, "Available", metav1.ConditionTrue, v1alpha1.ReasonServing)
	w.poller.answer = good
	w.settle()
	w.wants(w.projection(), "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
}

func TestReplicasAreCapped(t *testing.T) {
	w := newWorld(t)
	w.running()
	w.change(func(p *v1alpha1.Projection) { p.Spec.Projector.Replicas = 9 })
	w.settle()
	if d := w.deployment(); *d.Spec.Replicas != 4 {
		t.Errorf("%d replicas for 4 partitions", *d.Spec.Replicas)
	}
	if m := w.wants(w.projection(), "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp); !strings.Contains(m, "LimitedByPartitions") {
		t.Errorf("message: %s", m)
	}
}

func TestSuspend(t *testing.T) {
	w := newWorld(t)
	w.running()
	w.change(func(p *v1alpha1.Projection) { p.Spec.Suspend = ptr.To(true) })
	w.settle()
	p := w.projection()
	w.wants(p, "Ready", metav1.ConditionFalse, v1alpha1.ReasonSuspended)
	w.wants(p, "Available", metav1.ConditionTrue, v1alpha1.ReasonServing)
	if d := w.deployment(); *d.Spec.Replicas != 0 {
		t.Errorf("%d replicas", *d.Spec.Replicas)
	}
	w.change(func(p *v1alpha1.Projection) { p.Spec.Suspend = nil })
	w.settle()
	w.wants(w.projection(), "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
}

// New settings of a broker reach the projections that use it, after a prepare has proven them.
func TestBrokerSettingsReachProjections(t *testing.T) {
	w := newWorld(t)
	w.running()
	prepares := 0
	w.results = func(r contract.Request) *contract.Result {
		if r.Action == contract.ActionPrepare {
			prepares++
		}
		return goodResult(r)
	}
	var b v1alpha1.EventBroker
	w.must(w.c.Get(w.ctx, client.ObjectKey{Namespace: w.ns, Name: "main"}, &b))
	b.Spec.Kafka.BootstrapServers = []string{"kafka-2:9092"}
	w.must(w.c.Update(w.ctx, &b))
	before := w.deployment()
	w.settle()
	d := w.deployment()
	if prepares != 1 || d.Name != before.Name || d.Generation == before.Generation {
		t.Errorf("%d prepares, Deployment %s of generation %d", prepares, d.Name, d.Generation)
	}
	var maps corev1.ConfigMapList
	w.must(w.c.List(w.ctx, &maps, client.InNamespace(w.ns), client.MatchingLabels{"app.kubernetes.io/managed-by": "projectionist"}))
	if len(maps.Items) != 1 || !strings.Contains(maps.Items[0].Data["contract.json"], "kafka-2:9092") {
		t.Errorf("%d contracts are kept", len(maps.Items))
	}
}

// What others change in the operator's objects, or delete, is put right.
func TestDrift(t *testing.T) {
	w := newWorld(t)
	w.running()
	d := w.deployment()
	d.Spec.Template.Spec.Containers[0].Image = "example.com/other:1"
	w.must(w.c.Update(w.ctx, d))
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "totals"}}
	w.must(w.c.Delete(w.ctx, service))
	w.settle()
	if got := w.deployment().Spec.Template.Spec.Containers[0].Image; got != w.options.ProjectorImage {
		t.Errorf("image %s", got)
	}
	w.must(w.c.Get(w.ctx, client.ObjectKeyFromObject(service), service))
	d = w.deployment()
	w.must(w.c.Delete(w.ctx, d))
	w.settle()
	w.wants(w.projection(), "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
}

// An object of someone else's is never taken over.
func TestObjectTaken(t *testing.T) {
	w := newWorld(t)
	theirs := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "totals"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}
	w.create(theirs)
	b, topic, s, p := w.objects()
	w.create(b, topic, s, p)
	w.settle()
	message := w.wants(w.projection(), "Stalled", metav1.ConditionTrue, v1alpha1.ReasonObjectTaken)
	if !strings.Contains(message, "Service totals") {
		t.Errorf("message: %s", message)
	}
	w.must(w.c.Get(w.ctx, client.ObjectKeyFromObject(theirs), theirs))
	if len(theirs.OwnerReferences) != 0 || theirs.Spec.Ports[0].Port != 80 {
		t.Error("it was taken over")
	}
	w.must(w.c.Delete(w.ctx, theirs))
	w.settle()
	w.wants(w.projection(), "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
}

func TestDeletionRetains(t *testing.T) {
	w := newWorld(t)
	p := w.running()
	if len(p.Finalizers) != 0 {
		t.Fatalf("finalizers %v", p.Finalizers)
	}
	w.must(w.c.Delete(w.ctx, p))
	if err := w.c.Get(w.ctx, client.ObjectKeyFromObject(p), p); !apierrors.IsNotFound(err) {
		t.Fatalf("it is still there: %v", err)
	}
}

func TestDeletionDrops(t *testing.T) {
	w := newWorld(t)
	retired := false
	var group string
	w.results = func(r contract.Request) *contract.Result {
		if r.Action == contract.ActionRetire {
			retired = r.Owner.Name == "totals" && r.Owner.Cluster == "cluster-1" && r.Broker != nil && r.Broker.Name == "main" && slices.Equal(r.Groups, []string{group})
		}
		return goodResult(r)
	}
	w.running()
	w.change(func(p *v1alpha1.Projection) { p.Spec.DeletionPolicy = v1alpha1.DeletionPolicyDelete })
	w.settle()
	p := w.projection()
	if len(p.Finalizers) != 1 || p.Finalizers[0] != controllers.Finalizer {
		t.Fatalf("finalizers %v", p.Finalizers)
	}
	group = fmt.Sprintf("projectionist.%s.totals.%s", w.ns, p.Status.ActiveRevision)
	w.must(w.c.Delete(w.ctx, p))
	w.deleting(p)
	if !retired {
		t.Error("nothing was retired")
	}
}

func TestDeletionLetsGo(t *testing.T) {
	for name, arrange := range map[string]func(*world){
		"budget": func(w *world) {
			w.results = func(r contract.Request) *contract.Result {
				if r.Action == contract.ActionRetire {
					w.now = w.now.Add(4 * time.Minute)
					return &contract.Result{Reason: "Unreachable", Message: "the database refuses connections", Retryable: true}
				}
				return goodResult(r)
			}
		},
		"store": func(w *world) {
			w.must(w.c.Delete(w.ctx, &v1alpha1.ReadStore{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "reads"}}))
		},
		"namespace": func(w *world) {
			w.must(w.c.Delete(w.ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.ns}}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.running()
			w.change(func(p *v1alpha1.Projection) { p.Spec.DeletionPolicy = v1alpha1.DeletionPolicyDelete })
			w.settle()
			p := w.projection()
			w.must(w.c.Delete(w.ctx, p))
			arrange(w)
			w.deleting(p)
			warned := false
			for len(w.recorder.Events) > 0 {
				e := <-w.recorder.Events
				warned = warned || strings.Contains(e, "Warning RetireFailed") && strings.Contains(e, "totals")
			}
			if !warned {
				t.Error("no Warning says what remains")
			}
		})
	}
}

// In a namespace that is being deleted nothing is made, and nothing fails for it.
func TestTerminatingNamespace(t *testing.T) {
	w := newWorld(t)
	w.running()
	w.must(w.c.Delete(w.ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.ns}}))
	w.must(w.c.Delete(w.ctx, w.deployment()))
	w.must(w.c.Delete(w.ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "totals"}}))
	w.now = w.now.Add(2 * time.Hour)
	w.pass()
	var ds appsv1.DeploymentList
	w.must(w.c.List(w.ctx, &ds, client.InNamespace(w.ns)))
	if len(ds.Items) != 0 {
		t.Error("a Deployment was made again")
	}
}

// deleting works until the projection is gone.
func (w *world) deleting(p *v1alpha1.Projection) {
	w.t.Helper()
	for range 30 {
		w.pass()
		w.runJobs()
		var pods corev1.PodList
		w.must(w.c.List(w.ctx, &pods, client.InNamespace(w.ns), client.MatchingLabels{"app.kubernetes.io/component": "projector"}))
		for i := range pods.Items {
			w.must(w.c.Delete(w.ctx, &pods.Items[i], client.GracePeriodSeconds(0)))
		}
		if apierrors.IsNotFound(w.c.Get(w.ctx, client.ObjectKeyFromObject(p), p)) {
			return
		}
		w.now = w.now.Add(10 * time.Second)
	}
	w.t.Fatalf("it is still there: %+v", p.Status)
}

// A value of a payload, were a projector to send one where none belongs, gets nowhere (Law 7).
func TestCanary(t *testing.T) {
	const canary = "CANARY-4711"
	w := newWorld(t)
	good := w.poller.answer
	w.poller.answer = func(target progress.Target) (*contract.ProjectorStatus, error) {
		s, err := good(target)
		if err == nil {
			s.Pod, s.Projection.Name, s.DataHash = canary, canary, canary
			s.Partitions[0].Position, s.Partitions[0].End, s.Partitions[0].Waiting = canary, canary, canary
		}
		return s, err
	}
	w.running()
	for _, list := range []client.ObjectList{&v1alpha1.ProjectionList{}, &corev1.ConfigMapList{}, &batchv1.JobList{}} {
		w.must(w.c.List(w.ctx, list, client.InNamespace(w.ns)))
		if data, _ := json.Marshal(list); strings.Contains(string(data), canary) {
			t.Errorf("the canary is in %T", list)
		}
	}
	for len(w.recorder.Events) > 0 {
		if e := <-w.recorder.Events; strings.Contains(e, canary) {
			t.Errorf("the canary is in an Event: %s", e)
		}
	}
}

func find(conditions []metav1.Condition, kind string) *metav1.Condition {
	for i := range conditions {
		if conditions[i].Type == kind {
			return &conditions[i]
		}
	}
	return nil
}

func statusOf(p *v1alpha1.Projection, kind string) metav1.ConditionStatus {
	if c := find(p.Status.Conditions, kind); c != nil {
		return c.Status
	}
	return ""
}

// form is a status without its times.
func form(status any) string {
	data, _ := json.Marshal(status)
	var m map[string]any
	_ = json.Unmarshal(data, &m)
	for _, c := range m["conditions"].([]any) {
		delete(c.(map[string]any), "lastTransitionTime")
	}
	data, _ = json.MarshalIndent(m, "", " ")
	return string(data)
}
