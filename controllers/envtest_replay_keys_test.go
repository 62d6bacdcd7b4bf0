// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package controllers_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/controllers/resources"
)

// keys makes a Replay of some keys.
func (w *world) keys(name string, values ...string) *v1alpha1.Replay {
	return w.ask(name, func(s *v1alpha1.ReplaySpec) { s.Keys = v1alpha1.ReplayKeys{Model: "totals", Values: values} })
}

// keyJobs are the Jobs of Replays of keys.
func (w *world) keyJobs() []batchv1.Job {
	w.t.Helper()
	var jobs batchv1.JobList
	w.must(w.c.List(w.ctx, &jobs, client.InNamespace(w.ns), client.MatchingLabels{resources.LabelAction: string(contract.ActionReplayKeys)}))
	return slices.DeleteFunc(jobs.Items, func(j batchv1.Job) bool { return !j.DeletionTimestamp.IsZero() })
}

// answer makes the Jobs of Replays of keys end with a result, nil lets them run; the requests go to seen.
func (w *world) answer(result *contract.Result) (seen *[]contract.Request) {
	seen = new([]contract.Request)
	w.results = func(q contract.Request) *contract.Result {
		if q.Action != contract.ActionReplayKeys {
			return goodResult(q)
		}
		*seen = append(*seen, q)
		if result == nil {
			return nil
		}
		out := *result
		return &out
	}
	return seen
}

var replayedKeys = &contract.Result{OK: true, Replay: &contract.ReplayFacts{Written: 1, Deleted: 1, Equal: 0, Events: 17}}

// A Replay of some keys is one Job on what readers see, with a projector's rights; it makes no revision, and nothing once it has ended.
func TestReplayKeys(t *testing.T) {
	w := newWorld(t)
	a := w.running().Status.ActiveRevision
	seen := w.answer(&contract.Result{Reason: "Unreachable", Message: "no answer", Retryable: true})
	r := w.keys("some", "$(HOME)", "a$$b")
	w.settle()
	if m := w.says("some", "Running", v1alpha1.ReasonUnreachable); !strings.Contains(m, "tried again: no answer") {
		t.Errorf("message: %s", m)
	}
	if len(*seen) != 1 || (*seen)[0].Replay.Model != "totals" || !slices.Equal((*seen)[0].Replay.Keys, r.Spec.Keys.Values) {
		t.Fatalf("asked %+v", *seen)
	}
	w.answer(nil)
	w.now = w.now.Add(5 * time.Second)
	w.settle()
	// A Job that runs is not held up. That it has no pod is said ten seconds later, by the API server's clock.
	w.suspend("some", true)
	if got := w.replayNamed("some").Status; got.Status != "Running" {
		t.Errorf("status: %s", form(got))
	}
	jobs := w.keyJobs()
	i := slices.IndexFunc(jobs, func(j batchv1.Job) bool { return len(j.Status.Conditions) == 0 })
	if i < 0 || !metav1.IsControlledBy(&jobs[i], w.replayNamed("some")) {
		t.Fatalf("Jobs %+v", jobs)
	}
	projectors := w.deployment().Spec.Template.Spec
	pod := jobs[i].Spec.Template.Spec
	if got := resources.ContractOf(&pod); got == "" || got != resources.ContractOf(&projectors) {
		t.Errorf("the Job mounts %q, projectors %q", got, resources.ContractOf(&projectors))
	}
	for _, v := range pod.Volumes {
		if v.Secret != nil && v.Secret.SecretName == "reads-owner" {
			t.Error("the Job sees the credentials for DDL")
		}
	}
	if !slices.ContainsFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Secret != nil && v.Secret.SecretName == "reads-app" }) {
		t.Error("the Job does not see the credentials of projectors")
	}
	w.restart()
	w.answer(replayedKeys)
	w.settle()
	if m := w.says("some", "Complete", v1alpha1.ReasonComplete); m != "1 row written, 1 deleted, 0 were right already; 17 events read, in revision "+a {
		t.Errorf("message: %s", m)
	}
	s := w.replayNamed("some").Status
	if s.Revision != a || s.StartedAt == nil || s.FinishedAt == nil || s.Rows == nil || *s.Rows.Written != 1 || *s.Rows.Deleted != 1 || *s.Rows.Equal != 0 || *s.Rows.EventsRead != 17 {
		t.Errorf("status: %s", form(s))
	}
	if got := w.records(); len(got) != 1 || got[0] != a || w.projection().Status.TargetRevision != a {
		t.Errorf("records %v", got)
	}
	for range 3 {
		w.now = w.now.Add(time.Hour / 4)
		if n := w.pass(); n != 0 {
			t.Fatalf("%d mutating requests from one that has ended: %v", n, w.last.Load())
		}
	}
	// Without its status it is found again from its Job, and no row is made twice.
	lost := w.replayNamed("some")
	lost.Status = v1alpha1.ReplayStatus{ObservedGeneration: ptr.To[int64](-1)}
	w.must(w.c.Status().Update(w.ctx, lost))
	again := w.answer(replayedKeys)
	w.settle()
	if got := w.replayNamed("some").Status; got.Status != "Complete" || *got.Rows.EventsRead != 17 || len(*again) != 0 {
		t.Errorf("asked %d times, status %s", len(*again), form(got))
	}
}

// What waiting does not change ends it, and so does a request that no environment variable holds.
func TestReplayKeysRefused(t *testing.T) {
	w := newWorld(t)
	w.running()
	seen := w.answer(&contract.Result{Reason: "OrderArrival", Message: "model totals has order: Arrival"})
	w.keys("some", "a")
	w.settle()
	if m := w.says("some", "Failed", "OrderArrival"); m != "nothing was changed: model totals has order: Arrival" {
		t.Errorf("message: %s", m)
	}
	w.now = w.now.Add(time.Hour / 2)
	w.settle()
	if len(*seen) != 1 {
		t.Errorf("asked %d times", len(*seen))
	}
	w.keys("large", slices.Repeat([]string{strings.Repeat(`"`, 66)}, 990)...)
	w.settle()
	if m := w.says("large", "Failed", v1alpha1.ReasonInvalidSpec); !strings.Contains(m, "split them over several Replays") {
		t.Errorf("message: %s", m)
	}
	if len(*seen) != 1 {
		t.Errorf("asked %d times", len(*seen))
	}
}

// They go one after the other, beside what is built, and of what readers see when they go.
func TestReplayKeysBesideABuild(t *testing.T) {
	w := newWorld(t)
	a := w.running().Status.ActiveRevision
	at := w.reading(a)
	w.ask("all", nil)
	w.settle()
	seen := w.answer(nil)
	w.keys("one", "a")
	w.settle()
	w.keys("two", "b")
	w.settle()
	w.says("all", "Building", v1alpha1.ReasonBuilding)
	if m := w.says("two", "Queued", v1alpha1.ReasonReplayInProgress); m != "Replay one of Projection totals goes first" {
		t.Errorf("message: %s", m)
	}
	if jobs := w.keyJobs(); len(jobs) != 1 || jobs[0].Labels[resources.LabelRevision] != a {
		t.Fatalf("Jobs %+v", jobs)
	}
	// Readers move meanwhile: the rows that they see now are asked for.
	*at = "1000"
	w.now = w.now.Add(5 * time.Second)
	w.settle()
	w.says("all", "Complete", v1alpha1.ReasonComplete)
	b := w.projection().Status.ActiveRevision
	if jobs := w.keyJobs(); b == a || len(jobs) != 1 || jobs[0].Labels[resources.LabelRevision] != b {
		t.Fatalf("Jobs %+v", jobs)
	}
	if len(*seen) == 0 {
		t.Error("nothing was asked")
	}
	w.answer(replayedKeys)
	w.settle()
	for _, name := range []string{"one", "two"} {
		w.says(name, "Complete", v1alpha1.ReasonComplete)
		if got := w.replayNamed(name).Status.Revision; got != b {
			t.Errorf("%s: rows of %s", name, got)
		}
	}
}

// Suspended, it does not begin. With its Projection deleted midway it fails, and its Job does not hold that up.
func TestReplayKeysWithoutProjection(t *testing.T) {
	w := newWorld(t)
	w.running()
	w.answer(nil)
	w.ask("some", func(s *v1alpha1.ReplaySpec) {
		s.Keys = v1alpha1.ReplayKeys{Model: "totals", Values: []string{"a"}}
		s.Suspend = ptr.To(true)
	})
	w.settle()
	w.says("some", "Suspended", v1alpha1.ReasonSuspended)
	if len(w.keyJobs()) != 0 {
		t.Error("it has begun")
	}
	w.suspend("some", false)
	if len(w.keyJobs()) != 1 {
		t.Fatal("it has not begun")
	}
	w.must(w.c.Delete(w.ctx, w.projection()))
	w.settle()
	w.says("some", "Failed", v1alpha1.ReasonProjectionDeleted)
	if jobs := w.keyJobs(); len(jobs) != 0 {
		t.Errorf("Jobs %+v", jobs)
	}
}

// An old contract stays as long as the pod of a Replay's Job mounts it.
func TestReplayKeysKeepTheirContract(t *testing.T) {
	w := newWorld(t)
	w.running()
	w.answer(nil)
	w.keys("some", "a")
	w.settle()
	jobs := w.keyJobs()
	if len(jobs) != 1 {
		t.Fatalf("Jobs %+v", jobs)
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: w.ns, Name: "some-pod", Labels: jobs[0].Spec.Template.Labels,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(&jobs[0], batchv1.SchemeGroupVersion.WithKind("Job"))},
		},
		Spec: jobs[0].Spec.Template.Spec,
	}
	w.create(pod)
	old := resources.ContractOf(&pod.Spec)
	there := func() bool {
		err := w.c.Get(w.ctx, client.ObjectKey{Namespace: w.ns, Name: old}, &corev1.ConfigMap{})
		w.must(client.IgnoreNotFound(err))
		return err == nil
	}
	w.change(func(p *v1alpha1.Projection) { p.Spec.LagTargetSeconds = 77 })
	w.settle()
	w.now = w.now.Add(2 * time.Minute)
	w.settle()
	if now := w.deployment().Spec.Template.Spec; resources.ContractOf(&now) == old || !there() {
		t.Errorf("projectors run %s, and %s is there: %t", resources.ContractOf(&now), old, there())
	}
	pod.Status.Phase = corev1.PodSucceeded
	w.must(w.c.Status().Update(w.ctx, pod))
	w.settle()
	if there() {
		t.Error("it stays when its pod has ended")
	}
}
