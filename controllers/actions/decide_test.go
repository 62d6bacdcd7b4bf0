// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package actions

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/controllers/resources"
)

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func good() *contract.Result {
	return &contract.Result{Version: 1, Action: contract.ActionProbeStore, OK: true, Store: &contract.StoreFacts{Database: "reads"}}
}

func bad() *contract.Result {
	return &contract.Result{Version: 1, Action: contract.ActionProbeStore, Reason: "Unreachable", Message: "no answer", Retryable: true}
}

// job makes a Job as resources builds it: created at start, ended at end unless that is zero.
func job(sequence int, inputs string, attempt int, end time.Time, edits ...func(*batchv1.Job)) batchv1.Job {
	j := batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("job-%d", sequence), UID: types.UID(fmt.Sprintf("job-uid-%d", sequence)),
			CreationTimestamp: metav1.NewTime(start),
			Labels:            map[string]string{resources.LabelAction: string(contract.ActionProbeStore)},
			Annotations: map[string]string{
				resources.AnnotationInputs: inputs, resources.AnnotationSequence: fmt.Sprint(sequence), resources.AnnotationAttempt: fmt.Sprint(attempt),
			},
		},
		Spec: batchv1.JobSpec{ActiveDeadlineSeconds: ptr.To[int64](90)},
	}
	if !end.IsZero() {
		j.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobComplete, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(end)}}
	}
	for _, e := range edits {
		e(&j)
	}
	return j
}

func stamped(r *contract.Result) func(*batchv1.Job) {
	return func(j *batchv1.Job) {
		data, _ := json.Marshal(r)
		j.Annotations[resources.AnnotationResult] = string(data)
	}
}

func pod(j batchv1.Job, edit func(*corev1.Pod)) corev1.Pod {
	p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: j.Name + "-pod", OwnerReferences: []metav1.OwnerReference{{UID: j.UID, Name: j.Name, Kind: "Job", Controller: ptr.To(true)}},
	}}
	edit(&p)
	return p
}

func left(r *contract.Result, code int32) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		data, _ := json.Marshal(r)
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: resources.ContainerName, State: corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Message: string(data)},
		}}}
	}
}

func waitingFor(reason string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: resources.ContainerName, Image: "example.com/x:1", State: corev1.ContainerState{
			Waiting: &corev1.ContainerStateWaiting{Reason: reason},
		}}}
	}
}

func TestDecide(t *testing.T) {
	q := Question{Inputs: "a", RepeatAfter: time.Hour}
	end := start.Add(5 * time.Second)
	one := job(1, "a", 1, end)
	stampedGood := job(1, "a", 1, end, stamped(good()))
	second := func(edits ...func(*batchv1.Job)) batchv1.Job {
		return job(2, "a", 1, time.Time{}, edits...)
	}
	for name, c := range map[string]struct {
		q     Question
		jobs  []batchv1.Job
		pods  []corev1.Pod
		now   time.Time
		check func(State) bool
	}{
		"nothing is known": {q, nil, nil, start, func(s State) bool {
			return s.Result == nil && s.Create != nil && s.Create.Sequence == 1 && s.Create.Attempt == 1
		}},
		"held": {Question{Inputs: "a", Hold: true}, nil, nil, start, func(s State) bool { return s.Create == nil }},
		"under way": {q, []batchv1.Job{second()}, []corev1.Pod{pod(second(), func(*corev1.Pod) {})}, start, func(s State) bool {
			return s.Result == nil && s.Running == "job-2" && s.Create == nil && s.Hindered == nil && s.RequeueAfter > 0
		}},
		"a good answer is copied and kept for an hour": {q, []batchv1.Job{one}, []corev1.Pod{pod(one, left(good(), 0))}, end.Add(time.Minute), func(s State) bool {
			return s.OK() && s.LastGood.Store.Database == "reads" && s.Stamp["job-1"] != nil && s.Create == nil && s.RequeueAfter == 59*time.Minute
		}},
		"a copied answer needs no pod and no further copy": {q, []batchv1.Job{stampedGood}, nil, end, func(s State) bool { return s.OK() && len(s.Stamp) == 0 }},
		"asked again after an hour, with what is known": {q, []batchv1.Job{stampedGood}, nil, end.Add(time.Hour), func(s State) bool {
			return s.OK() && s.Create != nil && s.Create.Sequence == 2 && s.Create.Attempt == 1 && s.Create.LastGood.OK
		}},
		"never again where not asked for": {Question{Inputs: "a"}, []batchv1.Job{stampedGood}, nil, end.Add(100 * time.Hour), func(s State) bool { return s.Create == nil && s.RequeueAfter == 0 }},
		"an answer stands while it is asked again": {q, []batchv1.Job{stampedGood, second()}, nil, start.Add(time.Second), func(s State) bool {
			return s.OK() && s.Running == "job-2" && len(s.Delete) == 0
		}},
		"older answers go": {q, []batchv1.Job{stampedGood, job(2, "a", 1, end, stamped(bad()))}, nil, end, func(s State) bool {
			return s.Failed() && s.LastGood.OK && len(s.Delete) == 1 && s.Delete[0].Name == "job-1"
		}},
		"the last good answer survives its Job": {q, []batchv1.Job{job(2, "a", 1, end, stamped(bad()), func(j *batchv1.Job) {
			data, _ := json.Marshal(good())
			j.Annotations[resources.AnnotationLastGood] = string(data)
		})}, nil, end, func(s State) bool { return s.Failed() && s.LastGood.Store.Database == "reads" }},
		"a failure pauses": {q, []batchv1.Job{job(3, "a", 3, end, stamped(bad()))}, nil, end.Add(time.Second), func(s State) bool {
			return s.Failed() && s.Create == nil && s.RequeueAfter == 19*time.Second
		}},
		"and is tried again": {q, []batchv1.Job{job(3, "a", 3, end, stamped(bad()))}, nil, end.Add(20 * time.Second), func(s State) bool {
			return s.Create != nil && s.Create.Sequence == 4 && s.Create.Attempt == 4
		}},
		"a good answer with something left is asked again soon": {Question{Inputs: "a", RepeatAfter: time.Hour, Unsettled: func(r *contract.Result) bool { return r.Store != nil }},
			[]batchv1.Job{job(3, "a", 3, end, stamped(good()))}, nil, end.Add(20 * time.Second), func(s State) bool {
				return s.OK() && s.Create != nil && s.Create.Sequence == 4 && s.Create.Attempt == 4
			}},
		"another question is asked at once": {Question{Inputs: "b"}, []batchv1.Job{job(3, "a", 3, end, stamped(bad()))}, nil, end, func(s State) bool {
			return s.Result == nil && s.Create != nil && s.Create.Sequence == 4 && s.Create.Attempt == 1 && len(s.Delete) == 0
		}},
		"and then the old answer goes": {Question{Inputs: "b"}, []batchv1.Job{one, job(2, "b", 1, time.Time{})}, nil, start, func(s State) bool {
			return s.Result == nil && len(s.Delete) == 1 && s.Delete[0].Name == "job-1"
		}},
		"no answer is a failure": {q, []batchv1.Job{job(1, "a", 1, end, func(j *batchv1.Job) {
			j.Status.Conditions[0].Type, j.Status.Conditions[0].Reason = batchv1.JobFailed, batchv1.JobReasonDeadlineExceeded
		})}, nil, end, func(s State) bool {
			return s.Failed() && s.Result.Retryable && s.Result.Reason == ReasonProbeFailed && strings.Contains(s.Result.Message, "90 seconds")
		}},
		"an image that cannot be pulled is named": {q, []batchv1.Job{second()}, []corev1.Pod{pod(second(), waitingFor("ImagePullBackOff"))}, start, func(s State) bool {
			return s.Hindered != nil && s.Hindered.Reason == ReasonPodsFailing && strings.Contains(s.Hindered.Message, "example.com/x:1") && s.Stamp["job-2"] != nil
		}},
		"a pod that is never made is named": {q, []batchv1.Job{second()}, nil, start.Add(time.Minute), func(s State) bool {
			return s.Hindered != nil && strings.Contains(s.Hindered.Message, "quota")
		}},
		"why it hung is known after the deadline": {q, []batchv1.Job{job(1, "a", 1, end, stamped(&contract.Result{
			Version: 1, Action: contract.ActionProbeStore, Reason: ReasonPodsFailing, Message: "no image", Retryable: true}))}, nil, end, func(s State) bool {
			return s.Failed() && s.Result.Reason == ReasonPodsFailing
		}},
		"an exit code is believed over an answer": {q, []batchv1.Job{one}, []corev1.Pod{pod(one, left(good(), 1))}, end, func(s State) bool { return s.Failed() }},
		"an answer to another action is none": {q, []batchv1.Job{one}, []corev1.Pod{pod(one, left(&contract.Result{Version: 1, Action: contract.ActionRetire, OK: true}, 0))}, end, func(s State) bool {
			return s.Failed() && s.Result.Reason == ReasonProbeFailed
		}},
		"another's pod is not heard": {q, []batchv1.Job{one}, []corev1.Pod{pod(second(), left(good(), 0))}, end, func(s State) bool { return s.Failed() }},
		"a Job that is being deleted is not there": {q, []batchv1.Job{job(1, "a", 1, end, stamped(good()), func(j *batchv1.Job) {
			j.DeletionTimestamp = ptr.To(metav1.NewTime(end))
		})}, nil, end, func(s State) bool { return s.Result == nil && s.Create != nil }},
	} {
		t.Run(name, func(t *testing.T) {
			if s := Decide(c.q, c.jobs, c.pods, c.now); !c.check(s) {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestPause(t *testing.T) {
	for attempt, want := range map[int]time.Duration{0: 5 * time.Second, 1: 5 * time.Second, 2: 10 * time.Second, 5: 80 * time.Second, 6: 2 * time.Minute, 1000: 2 * time.Minute} {
		if got := Pause(attempt); got != want {
			t.Errorf("attempt %d: %s, want %s", attempt, got, want)
		}
	}
}

func TestInputsIgnoreTheSequence(t *testing.T) {
	a, _ := Inputs(contract.Request{Action: contract.ActionRetire, Sequence: 1}, "x")
	b, _ := Inputs(contract.Request{Action: contract.ActionRetire, Sequence: 2}, "x")
	c, _ := Inputs(contract.Request{Action: contract.ActionRetire, Sequence: 1}, "y")
	if a != b || a == c {
		t.Errorf("%s %s %s", a, b, c)
	}
}

// The Job whose answer is still needed stays until another has told.
func TestDecideKeeps(t *testing.T) {
	jobs := []batchv1.Job{job(1, "a", 1, start.Add(time.Second), stamped(good())), job(2, "b", 1, time.Time{})}
	if s := Decide(Question{Inputs: "b"}, jobs, nil, start); len(s.Delete) != 1 {
		t.Errorf("deletes %d Jobs, want the old one", len(s.Delete))
	}
	if s := Decide(Question{Inputs: "b", Keep: "job-1"}, jobs, nil, start); len(s.Delete) != 0 {
		t.Errorf("deletes %s", s.Delete[0].Name)
	}
}

// A final answer stays, whatever else was asked after it, and what was asked since is of no use any more.
func TestFinalAnswers(t *testing.T) {
	no := &contract.Result{Version: 1, Action: contract.ActionProbeStore, Reason: "AssertionFailed", Message: "m"}
	later := start.Add(time.Hour)
	for name, c := range map[string]struct {
		jobs    []batchv1.Job
		create  bool
		deletes int
	}{
		"a no":                    {[]batchv1.Job{job(1, "a", 1, start, stamped(no))}, false, 0},
		"a yes":                   {[]batchv1.Job{job(1, "a", 1, start, stamped(good()))}, false, 0},
		"a fault":                 {[]batchv1.Job{job(1, "a", 1, start, stamped(bad()))}, true, 0},
		"asked otherwise since":   {[]batchv1.Job{job(1, "a", 1, start, stamped(no)), job(2, "b", 1, time.Time{})}, false, 1},
		"asked otherwise before":  {[]batchv1.Job{job(1, "b", 1, start, stamped(no)), job(2, "a", 1, start, stamped(no))}, false, 1},
		"only asked otherwise":    {[]batchv1.Job{job(1, "b", 1, start, stamped(no))}, true, 0},
		"a fault, then otherwise": {[]batchv1.Job{job(1, "a", 1, start, stamped(bad())), job(2, "b", 1, start, stamped(no))}, true, 0},
	} {
		s := Decide(Question{Inputs: "a", Final: true}, c.jobs, nil, later)
		if (s.Create != nil) != c.create || len(s.Delete) != c.deletes {
			t.Errorf("%s: creates %+v, deletes %d", name, s.Create, len(s.Delete))
		}
	}
	if s := Decide(Question{Inputs: "a"}, []batchv1.Job{job(1, "a", 1, start, stamped(no))}, nil, later); s.Create == nil {
		t.Error("a no that is not final is not asked again")
	}
}
