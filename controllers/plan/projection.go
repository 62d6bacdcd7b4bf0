// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/change"
	"github.com/projectionist-dev/projectionist/controllers/actions"
	"github.com/projectionist-dev/projectionist/controllers/plan/rollout"
	"github.com/projectionist-dev/projectionist/controllers/progress"
	"github.com/projectionist-dev/projectionist/controllers/resources"
)

// Observation is all that is known of a projection at one moment.
type Observation struct {
	Now        time.Time
	Projection *v1alpha1.Projection
	// Store, Broker and Topics are what the spec refers to; what does not exist is nil or missing.
	Store  *v1alpha1.ReadStore
	Broker *v1alpha1.EventBroker
	Topics map[string]*v1alpha1.EventTopic

	Spec Spec
	// Facts is what the bookkeeping says of revisions, nil while no action has told.
	Facts *contract.RevisionFacts
	// Rollout is what was decided about revisions.
	Rollout rollout.Decision

	// Running, Target and Prepare are those of the revision that readers see, before there is one of the first.
	Running *Running
	Target  Target
	Prepare actions.State
	// Pods are that revision's, whatever state they are in.
	Pods     []corev1.Pod
	Progress progress.Snapshot
	// Blocked says why an object that is needed cannot be made, nil if all can.
	Blocked *Verdict
}

// Prepared reports whether the tables of what readers see are known to be as they should.
func (o *Observation) Prepared() bool { return o.Prepare.OK() }

// MayPrepare reports whether broker, topics and store are in a state to be
// worked on, by their own conditions: what projectors say is of the settings that
// they were started with, and newer ones may be what mends it.
func MayPrepare(o *Observation) bool {
	return probedSource(o).Status == metav1.ConditionTrue && probedStore(o).Status == metav1.ConditionTrue
}

// MayWrite reports whether the store is in a state to be worked on, by its own condition.
func MayWrite(o *Observation) bool { return probedStore(o).Status == metav1.ConditionTrue }

// Incomplete says which events a revision that is built now would lack, "" if
// none. What compaction removes is nothing that its rows could depend on: the ordering rule sees to that.
func Incomplete(c *contract.Contract, topics map[string]*v1alpha1.EventTopic) string {
	names := make([]string, len(c.Topics))
	for i := range c.Topics {
		names[i] = c.Topics[i].Name
	}
	return Missing(names, topics)
}

// Missing says which events of topics are gone, "" if none.
func Missing(names []string, topics map[string]*v1alpha1.EventTopic) string {
	all := make([]*v1alpha1.EventTopic, len(names))
	for i, name := range names {
		all[i] = topics[name]
	}
	return change.Missing(all)
}

// Projection gives the status of a projection.
func Projection(o *Observation) v1alpha1.ProjectionStatus {
	p := o.Projection
	partitions := Partitions(p, o.Progress.Expected, o.Topics)
	_, limited := Replicas(p, partitions)
	src, st := source(o), store(o)
	v := verdict(o, src, st)
	if v.Ready == metav1.ConditionTrue {
		v.Message = joined(v.Message, limited, o.Rollout.Note)
	}
	out := v1alpha1.ProjectionStatus{
		ObservedGeneration: ptr.To(p.Generation),
		Status:             word(v),
		Partitions:         partitions,
		Replicas:           ptr.To[int32](0),
	}
	if s := o.Rollout.Say; s != nil && s.Replay != "" && v.Ready == metav1.ConditionTrue {
		out.Status = v1alpha1.StatusRebuilding
	}
	if c := o.Spec.Contract; c != nil {
		out.TargetRevision, out.DataHash = c.Revision, c.DataHash
	}
	out.Revisions = o.Rollout.Revisions
	if active := o.active(); active != "" {
		out.ActiveRevision = active
		out.Selector = labels.SelectorFromSet(resources.ProjectorSelector(resources.Bounded(p.Name), active)).String()
	}
	if o.Facts != nil {
		out.Sequence = max(o.Facts.Sequence, 0)
	}
	if o.Running != nil && o.Running.Deployment != nil {
		out.Replicas = ptr.To(o.Running.Deployment.Status.Replicas)
	}
	if lag, ok := o.Progress.Lag(); ok {
		out.Lag = progress.Bucket(lag)
	}
	out.Conditions = Conditions(p.Status.Conditions, p.Generation, o.Now, v, available(o), accepted(o), src, st)
	return out
}

// active is the revision that readers see: what the bookkeeping says, and until
// it is heard, what runs.
func (o *Observation) active() string { return o.Rollout.Active }

func available(o *Observation) Fact {
	if o.active() != "" {
		return Fact{v1alpha1.ConditionAvailable, metav1.ConditionTrue, v1alpha1.ReasonServing, "readers can select from every view"}
	}
	return Fact{v1alpha1.ConditionAvailable, metav1.ConditionFalse, v1alpha1.ReasonNotServing, "the views do not exist yet"}
}

func accepted(o *Observation) Fact {
	f := Fact{Type: v1alpha1.ConditionSpecAccepted}
	goesOn := ""
	if o.Running != nil {
		goesOn = fmt.Sprintf("revision %s goes on as before", o.Running.Revision)
	}
	switch {
	case o.Spec.Contract != nil:
		f.Status, f.Reason = metav1.ConditionTrue, v1alpha1.ReasonAccepted
		f.Message = "the spec is revision " + o.Spec.Contract.Revision
	case o.Spec.Reason == v1alpha1.ReasonReferenceMissing:
		f.Status, f.Reason, f.Message = metav1.ConditionUnknown, o.Spec.Reason, joined(o.Spec.Message, goesOn)
	default:
		f.Status, f.Reason, f.Message = metav1.ConditionFalse, o.Spec.Reason, joined(o.Spec.Message, goesOn)
	}
	return f
}

// source says whether events can be read: from the projectors where they speak,
// else from the last probes.
func source(o *Observation) Fact {
	f := Fact{Type: v1alpha1.ConditionSourceReady}
	if h := o.Progress.Source; o.Progress.Heard {
		f.Status, f.Reason, f.Message = metav1.ConditionTrue, v1alpha1.ReasonReachable, "the projectors read the topics"
		if !h.OK {
			f.Status, f.Reason, f.Message = metav1.ConditionFalse, actions.Reason(h.Reason, v1alpha1.ReasonUnreachable), orElse(h.Message, "the projectors cannot read the topics")
		}
		return f
	}
	return probedSource(o)
}

// probedSource says whether events can be read, by the last probes.
func probedSource(o *Observation) Fact {
	f := Fact{Type: v1alpha1.ConditionSourceReady}
	for _, ref := range o.Projection.Spec.Topics {
		t := o.Topics[ref.Name]
		if t == nil {
			f.Status, f.Reason = metav1.ConditionFalse, v1alpha1.ReasonReferenceMissing
			f.Message = fmt.Sprintf("EventTopic %s does not exist in namespace %s", ref.Name, o.Projection.Namespace)
			return f
		}
		if !settled(t.Status.Conditions, t.Status.ObservedGeneration, t.Generation) {
			return fromReady(f, "EventTopic "+t.Name, t.Status.Conditions)
		}
	}
	switch {
	case o.Broker == nil:
		f.Status, f.Reason, f.Message = metav1.ConditionFalse, v1alpha1.ReasonReferenceMissing, "the EventBroker of the topics does not exist"
	case !settled(o.Broker.Status.Conditions, o.Broker.Status.ObservedGeneration, o.Broker.Generation):
		f = fromReady(f, "EventBroker "+o.Broker.Name, o.Broker.Status.Conditions)
	default:
		f.Status, f.Reason, f.Message = metav1.ConditionTrue, v1alpha1.ReasonReachable, "the broker and every topic were reached"
	}
	return f
}

func store(o *Observation) Fact {
	f := Fact{Type: v1alpha1.ConditionStoreReady}
	if h := o.Progress.Store; o.Progress.Heard {
		f.Status, f.Reason, f.Message = metav1.ConditionTrue, v1alpha1.ReasonReachable, "the projectors write to the store"
		if !h.OK {
			f.Status, f.Reason, f.Message = metav1.ConditionFalse, actions.Reason(h.Reason, v1alpha1.ReasonUnreachable), orElse(h.Message, "the projectors cannot write to the store")
		}
		return f
	}
	return probedStore(o)
}

// probedStore says whether the store can be written, by its last probe.
func probedStore(o *Observation) Fact {
	f := Fact{Type: v1alpha1.ConditionStoreReady}
	switch {
	case o.Store == nil:
		f.Status, f.Reason = metav1.ConditionFalse, v1alpha1.ReasonReferenceMissing
		f.Message = fmt.Sprintf("ReadStore %s does not exist in namespace %s", o.Projection.Spec.StoreRef.Name, o.Projection.Namespace)
	case !settled(o.Store.Status.Conditions, o.Store.Status.ObservedGeneration, o.Store.Generation):
		f = fromReady(f, "ReadStore "+o.Store.Name, o.Store.Status.Conditions)
	default:
		f.Status, f.Reason, f.Message = metav1.ConditionTrue, v1alpha1.ReasonReachable, "the store was reached and may be used"
	}
	return f
}

func settled(conditions []metav1.Condition, observed *int64, generation int64) bool {
	return isTrue(conditions, v1alpha1.ConditionReady) && ptr.Deref(observed, -1) == generation
}

// fromReady passes on why another resource is not ready.
func fromReady(f Fact, who string, conditions []metav1.Condition) Fact {
	c := Find(conditions, v1alpha1.ConditionReady)
	if c == nil || c.Status == metav1.ConditionTrue {
		f.Status, f.Reason, f.Message = metav1.ConditionUnknown, v1alpha1.ReasonPending, who+" has not been looked at yet"
		return f
	}
	f.Status, f.Reason, f.Message = c.Status, actions.Reason(c.Reason, v1alpha1.ReasonPending), who+" is not ready: "+c.Message
	return f
}

// words gives the one word of a verdict's reason, where it is not that of its kind.
var words = map[string]string{
	v1alpha1.ReasonCaughtUp:              v1alpha1.StatusCaughtUp,
	v1alpha1.ReasonWithinLagTarget:       v1alpha1.StatusCatchingUp,
	v1alpha1.ReasonCatchingUp:            v1alpha1.StatusCatchingUp,
	v1alpha1.ReasonLagging:               v1alpha1.StatusCatchingUp,
	v1alpha1.ReasonQueued:                v1alpha1.StatusRebuilding,
	v1alpha1.ReasonBuilding:              v1alpha1.StatusRebuilding,
	v1alpha1.ReasonVerifying:             v1alpha1.StatusRebuilding,
	v1alpha1.ReasonPromoting:             v1alpha1.StatusRebuilding,
	v1alpha1.ReasonAwaitingPromotion:     v1alpha1.StatusWaiting,
	v1alpha1.ReasonPinned:                v1alpha1.StatusWaiting,
	v1alpha1.ReasonSuspended:             v1alpha1.StatusSuspended,
	v1alpha1.ReasonPreparing:             v1alpha1.StatusPreparing,
	v1alpha1.ReasonStarting:              v1alpha1.StatusPreparing,
	v1alpha1.ReasonProjectorsUnreachable: v1alpha1.StatusUnreachable,
	v1alpha1.ReasonDeleting:              v1alpha1.StatusDeleting,
	v1alpha1.ReasonInvalidSpec:           v1alpha1.StatusRefused,
	v1alpha1.ReasonOrderNotGuaranteed:    v1alpha1.StatusRefused,
	v1alpha1.ReasonCompactedTopic:        v1alpha1.StatusRefused,
	v1alpha1.ReasonUnsupported:           v1alpha1.StatusRefused,
}

func word(v Verdict) string {
	if w, ok := words[v.Reason]; ok {
		return w
	}
	switch v.Kind {
	case Stuck:
		return v1alpha1.StatusStalled
	case Working:
		return v1alpha1.StatusWaiting
	case Done:
	}
	return v1alpha1.StatusPending
}

// Retiring gives the status of a projection whose tables are being dropped.
func Retiring(p *v1alpha1.Projection, s actions.State, stopped bool, now time.Time) v1alpha1.ProjectionStatus {
	v := working(v1alpha1.ReasonDeleting, "a Job drops the projection's tables and views")
	switch {
	case !stopped:
		v.Message = "the projectors end first, then a Job drops the projection's tables and views"
	case s.Failed():
		v.Message = "the tables could not be dropped yet, and it is tried again until ten minutes after the deletion: " + failed(s.Result).Message
	case s.Hindered != nil:
		v.Message = s.Hindered.Message
	}
	out := *p.Status.DeepCopy()
	out.ObservedGeneration, out.Status, out.Lag = ptr.To(p.Generation), word(v), ""
	away := Fact{v1alpha1.ConditionAvailable, metav1.ConditionFalse, v1alpha1.ReasonDeleting, "the views are being dropped"}
	spec := Fact{v1alpha1.ConditionSpecAccepted, metav1.ConditionUnknown, v1alpha1.ReasonDeleting, "the projection is being deleted"}
	source := Fact{v1alpha1.ConditionSourceReady, metav1.ConditionUnknown, v1alpha1.ReasonDeleting, "the projection is being deleted"}
	store := Fact{v1alpha1.ConditionStoreReady, metav1.ConditionUnknown, v1alpha1.ReasonDeleting, "the projection is being deleted"}
	out.Conditions = Conditions(p.Status.Conditions, p.Generation, now, v, away, spec, source, store)
	return out
}
