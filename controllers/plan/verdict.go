// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/controllers/actions"
	"github.com/projectionist-dev/projectionist/controllers/plan/rollout"
	"github.com/projectionist-dev/projectionist/controllers/progress"
)

// verdict is the table of states, in the order in which a reader should learn
// of them: what needs a human first, then what is waited for, then how far it is.
// Where the newest spec is on its way, what is wrong with the revision that
// readers see comes after it: that may be what it mends.
//
// A Replay that is under way is nothing that is wrong: readers see the newest spec meanwhile.
func verdict(o *Observation, src, st Fact) Verdict {
	say := o.Rollout.Say
	if say == nil || say.Replay == "" {
		return inEffect(o, src, st, say)
	}
	v := inEffect(o, src, st, nil)
	v.Message = joined(v.Message, fmt.Sprintf("Replay %s: %s", say.Replay, say.Message))
	return v
}

func inEffect(o *Observation, src, st Fact, say *rollout.Say) Verdict {
	if o.Blocked != nil {
		return *o.Blocked
	}
	halted, isHalted := stopped(o)
	if isHalted && say == nil {
		return halted
	}
	if v, is := specVerdict(o); is {
		return v
	}
	if say != nil && say.Kind == rollout.Stuck {
		return onTheWay(say, halted)
	}
	if v, is := waiting(o, src, st); is {
		return v
	}
	if say != nil {
		return onTheWay(say, halted)
	}
	if v, is := preparing(o); is {
		return v
	}
	if o.Projection.Spec.Suspend != nil && *o.Projection.Spec.Suspend {
		return Verdict{metav1.ConditionFalse, Done, v1alpha1.ReasonSuspended,
			"spec.suspend is set: no event is applied; tables and positions stay. Set it to false to go on"}
	}
	if v, is := starting(o); is {
		return v
	}
	return following(o)
}

// onTheWay is a newest spec that readers do not see yet.
func onTheWay(s *rollout.Say, halted Verdict) Verdict {
	v := working(s.Reason, s.Message)
	switch s.Kind {
	case rollout.Stuck:
		v.Kind = Stuck
	case rollout.Resting:
		v.Kind = Done
	case rollout.Working:
	}
	if halted.Message != "" {
		v.Message = joined(v.Message, "Of the revision that readers see: "+halted.Message)
	}
	return v
}

// stopped is a partition that needs a human.
func stopped(o *Observation) (Verdict, bool) {
	var first *progress.Partition
	more := 0
	for i := range o.Progress.Partitions {
		p := &o.Progress.Partitions[i]
		if p.Stopped == nil {
			continue
		}
		if first == nil {
			first = p
		} else {
			more++
		}
	}
	if first == nil {
		return Verdict{}, false
	}
	s := first.Stopped
	message := fmt.Sprintf("Partition %s/%d stopped at position %s: %s. Nothing after this event was applied on this partition",
		first.Topic, first.Partition, s.Position, strings.TrimRight(actions.At(s.Path, s.Message), "."))
	if more > 0 {
		message += fmt.Sprintf(". %d more %s stopped, too", more, plural(int64(more), "partition"))
	}
	message = joined(message, s.WayOut())
	return stuck(actions.Reason(s.Reason, v1alpha1.ReasonHandlerError), message), true
}

// specVerdict is a newest spec that was refused.
func specVerdict(o *Observation) (Verdict, bool) {
	goesOn := ""
	if o.active() != "" {
		goesOn = fmt.Sprintf("Revision %s goes on as before", o.active())
	}
	switch {
	case o.Spec.Contract != nil:
		return Verdict{}, false
	case o.Spec.Reason == v1alpha1.ReasonReferenceMissing:
		return working(o.Spec.Reason, joined(o.Spec.Message, goesOn)), true
	}
	return stuck(actions.Reason(o.Spec.Reason, v1alpha1.ReasonInvalidSpec), joined(o.Spec.Message, goesOn)), true
}

// waiting is a broker, topic or store that does not answer.
func waiting(o *Observation, src, st Fact) (Verdict, bool) {
	suspended := o.Projection.Spec.Suspend != nil && *o.Projection.Spec.Suspend
	if suspended && o.Running != nil && o.Prepared() {
		return Verdict{}, false
	}
	switch {
	case st.Status != metav1.ConditionTrue:
		return working(v1alpha1.ReasonWaitingForStore, st.Message), true
	case src.Status != metav1.ConditionTrue:
		return working(v1alpha1.ReasonWaitingForSource, src.Message), true
	}
	return Verdict{}, false
}

func preparing(o *Observation) (Verdict, bool) {
	switch {
	case o.Prepare.OK():
		return Verdict{}, false
	case o.Prepare.Failed():
		v := failed(o.Prepare.Result)
		if o.Prepare.Result.Reason == actions.ReasonProbeFailed {
			v.Reason = v1alpha1.ReasonPrepareFailed
		}
		return v, true
	case o.Prepare.Hindered != nil:
		return failed(o.Prepare.Hindered), true
	}
	return working(v1alpha1.ReasonPreparing, "a Job makes tables, views and positions in the store"), true
}

// starting is a Deployment that is not yet as the newest spec wants it.
func starting(o *Observation) (Verdict, bool) {
	if o.Running == nil || o.Running.Deployment == nil {
		return working(v1alpha1.ReasonStarting, "projector pods are being started"), true
	}
	d := o.Running.Deployment
	trouble := PodTrouble(o.Pods, d, o.Now)
	want := int32(1)
	if d.Spec.Replicas != nil {
		want = *d.Spec.Replicas
	}
	// A pod that is being replaced is no roll-out: what its partitions miss shows as lag.
	rolled := d.Status.ObservedGeneration >= d.Generation && d.Status.Replicas <= d.Status.UpdatedReplicas
	complete := rolled && d.Status.UpdatedReplicas >= want
	switch {
	case !o.Progress.Heard && anyReady(o):
		return unknown(v1alpha1.ReasonProjectorsUnreachable, "no projector pod answers the operator on its port: "+pollErrors(o)+
			". See their logs, and let the operator's namespace reach port 8080 where a NetworkPolicy forbids it"), true
	case trouble != "" && (!complete || !o.Progress.Heard):
		return working(v1alpha1.ReasonPodsFailing, trouble), true
	case !rolled:
		return working(v1alpha1.ReasonStarting, "projector pods of the newest spec are being started"), true
	case !o.Progress.Heard:
		return working(v1alpha1.ReasonStarting, "projector pods are being started"), true
	}
	return Verdict{}, false
}

func anyReady(o *Observation) bool {
	for i := range o.Pods {
		for _, c := range o.Pods[i].Status.Conditions {
			if c.Type == "Ready" && c.Status == "True" {
				return true
			}
		}
	}
	return false
}

// PodTrouble says why the pods of a Deployment do not run, "" if they do or have not had time to.
func PodTrouble(pods []corev1.Pod, d *appsv1.Deployment, now time.Time) string {
	for i := range pods {
		if why := actions.Waiting(&pods[i], now); why != "" {
			return "projector pod " + pods[i].Name + " does not run: " + why
		}
	}
	for _, c := range d.Status.Conditions {
		if c.Type == "ReplicaFailure" && c.Status == "True" {
			return "projector pods cannot be made: " + bounded(c.Message, 512)
		}
	}
	return ""
}

// pollErrors gives one class of failure, the same one for the same set.
func pollErrors(o *Observation) string {
	best := ""
	for _, e := range o.Progress.Errors {
		if best == "" || e < best {
			best = e
		}
	}
	return orElse(best, "there is no address to ask")
}

// following is how far the projectors are. Behind is the time since a partition
// was last seen caught up; one that never was counts from its newest applied
// event. A partition without an owner is only late once that time is over the
// target, so that a rebalance changes nothing.
func following(o *Observation) Verdict {
	target := time.Duration(max(o.Projection.Spec.LagTargetSeconds, 1)) * time.Second
	var late, unowned, once int
	for _, p := range o.Progress.Partitions {
		if p.Known && p.Behind <= target {
			continue
		}
		late++
		if !p.Owned {
			unowned++
		}
		if p.Once {
			once++
		}
	}
	total := len(o.Progress.Partitions)
	switch {
	case total == 0:
		return working(v1alpha1.ReasonStarting, "the projectors have not taken any partition yet")
	case late == 0:
		return onTime(o, target)
	case unowned == late:
		return working(v1alpha1.ReasonStarting, "partitions wait for a projector to take them")
	case once == late:
		return working(v1alpha1.ReasonLagging, fmt.Sprintf("events come in faster than they are applied: partitions are behind by more than lagTargetSeconds (%s). More replicas, up to one for each partition, may help", target))
	}
	return working(v1alpha1.ReasonCatchingUp, "events that were there before are being applied")
}

// onTime is Ready, and says which of the two: caught up, or not far behind.
func onTime(o *Observation, target time.Duration) Verdict {
	total, behind := len(o.Progress.Partitions), 0
	for _, p := range o.Progress.Partitions {
		if !p.CaughtUp {
			behind++
		}
	}
	lag, known := o.Progress.Lag()
	switch {
	case behind == 0:
		return ready(v1alpha1.ReasonCaughtUp, fmt.Sprintf("every event of all %d partitions is applied, up to the end of the log as last seen", total))
	case known && progress.Low(lag):
		return ready(v1alpha1.ReasonCaughtUp, fmt.Sprintf("the newest events of %d of %d partitions are being applied, fewer than 100", behind, total))
	}
	return ready(v1alpha1.ReasonWithinLagTarget, fmt.Sprintf(
		"events of %d of %d partitions are still to be applied; each of these was at the end of its log, or applied an event of a time, less than lagTargetSeconds (%s) ago", behind, total, target))
}
