// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package actions

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/controllers/resources"
)

// Reasons that the operator itself finds, where the Job left no result.
const (
	// ReasonProbeFailed is v1alpha1.ReasonProbeFailed: the Job ended without a result.
	ReasonProbeFailed = "ProbeFailed"
	// ReasonPodsFailing is v1alpha1.ReasonPodsFailing: the Job's pod cannot be started.
	ReasonPodsFailing = "PodsFailing"
)

// stuckAfter is how long a pod may take to start before it is reported.
const stuckAfter = 10 * time.Second

// maxMessage bounds what is taken from a result's message.
const maxMessage = 2048

// view is a Job with what its annotations and pods say.
type view struct {
	job      *batchv1.Job
	inputs   string
	sequence int64
	attempt  int
	lastGood *contract.Result
	stamped  *contract.Result
	// result is what its pod left, nil while there is none.
	result   *contract.Result
	finished bool
	at       time.Time
}

// observe reads a Job and those of pods that are its own.
func observe(job *batchv1.Job, pods []corev1.Pod) view {
	v := view{job: job, inputs: job.Annotations[resources.AnnotationInputs]}
	v.sequence, _ = strconv.ParseInt(job.Annotations[resources.AnnotationSequence], 10, 64)
	v.attempt, _ = strconv.Atoi(job.Annotations[resources.AnnotationAttempt])
	v.lastGood = parse(job.Annotations[resources.AnnotationLastGood])
	v.stamped = parse(job.Annotations[resources.AnnotationResult])
	v.finished, v.at = finished(job)
	action := contract.Action(job.Labels[resources.LabelAction])
	for i := range pods {
		if !metav1.IsControlledBy(&pods[i], job) {
			continue
		}
		if r := fromPod(&pods[i], action); r != nil && (v.result == nil || r.OK) {
			v.result = r
		}
	}
	return v
}

func finished(job *batchv1.Job) (bool, time.Time) {
	for _, c := range job.Status.Conditions {
		if (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) && c.Status == corev1.ConditionTrue {
			return true, c.LastTransitionTime.Time
		}
	}
	return false, time.Time{}
}

func parse(data string) *contract.Result {
	if data == "" {
		return nil
	}
	r := new(contract.Result)
	if json.Unmarshal([]byte(data), r) != nil || r.Version < 1 {
		return nil
	}
	return r
}

// fromPod reads the Result that the container left. What it says is trusted no
// further than its own action.
func fromPod(pod *corev1.Pod, action contract.Action) *contract.Result {
	for _, s := range pod.Status.ContainerStatuses {
		if s.Name != resources.ContainerName || s.State.Terminated == nil {
			continue
		}
		r := parse(s.State.Terminated.Message)
		if r == nil || r.Action != action {
			return nil
		}
		if s.State.Terminated.ExitCode != 0 {
			r.OK = false
		}
		if len(r.Message) > maxMessage {
			r.Message = strings.ToValidUTF8(r.Message[:maxMessage], "")
		}
		return r
	}
	return nil
}

// hindrance says why a Job that is not finished does not get on, nil if it does.
func hindrance(v view, pods []corev1.Pod, now time.Time) *contract.Result {
	mine := 0
	for i := range pods {
		pod := &pods[i]
		if !metav1.IsControlledBy(pod, v.job) {
			continue
		}
		mine++
		if why := Waiting(pod, now); why != "" {
			return synthetic(v, ReasonPodsFailing, fmt.Sprintf("the pod %s of Job %s does not start: %s", pod.Name, v.job.Name, why), now)
		}
	}
	if mine == 0 && now.Sub(v.job.CreationTimestamp.Time) > stuckAfter {
		return synthetic(v, ReasonPodsFailing, fmt.Sprintf("no pod could be made for Job %s: a quota, a limit range or an admission rule may refuse it; see kubectl describe job %s", v.job.Name, v.job.Name), now)
	}
	return nil
}

// Waiting says in a few words why a pod's container does not run, "" when it
// runs, has run, or has not had time to.
func Waiting(pod *corev1.Pod, now time.Time) string {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable &&
			now.Sub(c.LastTransitionTime.Time) > stuckAfter {
			return "no node takes it: " + clip(c.Message)
		}
	}
	for _, s := range pod.Status.ContainerStatuses {
		w := s.State.Waiting
		if w == nil {
			continue
		}
		switch w.Reason {
		case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull":
			return fmt.Sprintf("image %s cannot be pulled (%s)", s.Image, w.Reason)
		case "CreateContainerConfigError", "CreateContainerError", "RunContainerError":
			return w.Reason + ": " + clip(w.Message)
		case "CrashLoopBackOff":
			why := "its container keeps ending (CrashLoopBackOff)"
			if t := s.LastTerminationState.Terminated; t != nil {
				why = fmt.Sprintf("its container keeps ending, last with exit code %d (%s)", t.ExitCode, t.Reason)
			}
			return why + "; see kubectl logs " + pod.Name
		}
	}
	return ""
}

func clip(s string) string {
	const limit = 256
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "..."
	}
	return s
}

func synthetic(v view, reason, message string, now time.Time) *contract.Result {
	return &contract.Result{
		Version: contract.Version, Action: contract.Action(v.job.Labels[resources.LabelAction]),
		Reason: reason, Message: message, Retryable: true, At: now.UTC().Truncate(time.Second),
	}
}

// outcome is the result of a finished Job: what its pod left, else what was
// stamped while it could be seen, else what the Job itself says.
func outcome(v view) *contract.Result {
	switch {
	case v.result != nil:
		return v.result
	case v.stamped != nil:
		return v.stamped
	}
	why := "its pod left no result"
	for _, c := range v.job.Status.Conditions {
		if c.Type == batchv1.JobFailed && c.Status == corev1.ConditionTrue && c.Reason == batchv1.JobReasonDeadlineExceeded {
			why = "it did not end in time"
			if d := v.job.Spec.ActiveDeadlineSeconds; d != nil {
				why = fmt.Sprintf("it did not end within %d seconds", *d)
			}
		}
	}
	return synthetic(v, ReasonProbeFailed, fmt.Sprintf("Job %s gave no answer: %s. It is tried again", v.job.Name, why), v.at)
}

// Ended reports whether a Job has ended.
func Ended(job *batchv1.Job) bool {
	done, _ := finished(job)
	return done
}

// Unread reports whether a Job has ended and its result was not copied yet.
func Unread(job *batchv1.Job) bool {
	done, _ := finished(job)
	return done && job.Annotations[resources.AnnotationResult] == ""
}
