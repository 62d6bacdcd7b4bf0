// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"hash/fnv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/controllers/actions"
	"github.com/projectionist-dev/projectionist/controllers/apply"
	"github.com/projectionist-dev/projectionist/controllers/plan"
	"github.com/projectionist-dev/projectionist/controllers/resources"
)

// Options are the operator's settings.
type Options struct {
	// ProjectorImage runs projectors and actions.
	ProjectorImage string
	PullPolicy     corev1.PullPolicy
	// ClusterID tells clusters that share a store apart.
	ClusterID string
	// NetworkPolicy makes a NetworkPolicy for each projection.
	NetworkPolicy bool
}

// Base is what all reconcilers share.
type Base struct {
	// Client reads from the cache.
	Client client.Client
	// Live reads from the API server.
	Live     client.Reader
	Scheme   *runtime.Scheme
	Recorder events.EventRecorder
	Now      func() time.Time
	Options  Options
}

// Repeat and deadline of probes.
const (
	probeEvery    = time.Hour
	probeDeadline = 90
	// A prepare makes the new indexes of tables in use, which takes as long as it takes, while nothing else of the projection is done.
	prepareDeadline  = 3600
	promoteDeadline  = 180
	discardDeadline  = 300
	retireDeadline   = 300
	probeJitterRange = 10 * time.Minute
)

// deadlines bound the Jobs of the actions on a revision. Unit: seconds.
var deadlines = map[contract.Action]int64{
	contract.ActionPrepare: prepareDeadline, contract.ActionPromote: promoteDeadline, contract.ActionDiscard: discardDeadline,
}

// verifyGrace is what a verify Job has beyond its own deadline, so that it can say that it was too late. Unit: seconds.
const verifyGrace = 120

// replayKeysDeadline bounds the Job of a Replay of some keys, which reads the whole log; where nothing comes of that, it ends
// itself. Unit: seconds.
const replayKeysDeadline = 24 * 3600

// repeat is when a good probe is repeated: hourly, spread by the owner's UID.
func repeat(uid types.UID) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(uid))
	return probeEvery + time.Duration(h.Sum32())%probeJitterRange
}

// ask observes the Jobs of one owner and action and decides what comes next.
func (b *Base) ask(ctx context.Context, owner client.Object, action contract.Action, q actions.Question) (actions.State, error) {
	jobs, err := b.jobs(ctx, owner, action)
	if err != nil {
		return actions.State{}, err
	}
	return b.askOf(ctx, owner, action, q, jobs)
}

// askOf is ask where the Jobs are known.
func (b *Base) askOf(ctx context.Context, owner client.Object, action contract.Action, q actions.Question, jobs []client.Object) (actions.State, error) {
	own := make([]batchv1.Job, 0, len(jobs))
	reader := client.Reader(b.Client)
	for _, o := range jobs {
		job := *o.(*batchv1.Job)
		own = append(own, job)
		// The cache may show a Job's end before its pod's: what the pod left is read where it cannot be stale.
		if actions.Unread(&job) {
			reader = b.Live
		}
	}
	var pods corev1.PodList
	if len(own) > 0 {
		if err := reader.List(ctx, &pods, client.InNamespace(owner.GetNamespace()),
			client.MatchingLabels(resources.ActionLabels(string(owner.GetUID()), action))); err != nil {
			return actions.State{}, err
		}
	}
	return actions.Decide(q, own, pods.Items, b.Now()), nil
}

// jobs are the Jobs of one owner and action.
func (b *Base) jobs(ctx context.Context, owner client.Object, action contract.Action) ([]client.Object, error) {
	var list batchv1.JobList
	if err := b.Client.List(ctx, &list, client.InNamespace(owner.GetNamespace()),
		client.MatchingLabels(resources.ActionLabels(string(owner.GetUID()), action))); err != nil {
		return nil, err
	}
	var own []client.Object
	for i := range list.Items {
		if metav1.IsControlledBy(&list.Items[i], owner) {
			own = append(own, &list.Items[i])
		}
	}
	return own, nil
}

// attempt is act for a resource whose status says what the API server refuses.
// Another error is returned, but for that of a namespace that is being deleted.
func (b *Base) attempt(ctx context.Context, namespace string, action contract.Action, s *actions.State, build func(actions.Create) resources.Job) error {
	err := b.act(ctx, namespace, *s, build)
	if err == nil {
		return nil
	}
	if refused := plan.Refused(err, action); refused != nil {
		s.Hindered, s.RequeueAfter = refused, blockedRetry
		return nil
	}
	return unlessTerminating(err)
}

// act carries out what ask decided. build makes the Job of a decision.
func (b *Base) act(ctx context.Context, namespace string, s actions.State, build func(actions.Create) resources.Job) error {
	for name, result := range s.Stamp {
		if err := b.stampResult(ctx, namespace, name, result); err != nil {
			return err
		}
	}
	if s.Create != nil {
		job, err := build(*s.Create).Build()
		if err != nil {
			return err
		}
		// The name says all: one that exists is the one that was meant.
		err = b.Client.Create(ctx, job, client.FieldOwner(apply.FieldManager))
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	for _, job := range s.Delete {
		err := b.Client.Delete(ctx, job, client.PropagationPolicy(metav1.DeletePropagationBackground),
			client.Preconditions{UID: &job.UID})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return err
		}
	}
	return nil
}

func (b *Base) stampResult(ctx context.Context, namespace, name string, result *contract.Result) error {
	data, err := json.Marshal(result)
	if err != nil {
		return err
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"annotations": map[string]string{resources.AnnotationResult: string(data)},
	}})
	if err != nil {
		return err
	}
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	return client.IgnoreNotFound(b.Client.Patch(ctx, job,
		client.RawPatch(types.MergePatchType, patch), client.FieldOwner(apply.FieldManager)))
}

// probeJob fills in what the Jobs of all kinds have in common.
func (b *Base) probeJob(owner client.Object, kind string, r contract.Request, inputs string, c actions.Create) resources.Job {
	r.Version, r.Sequence = contract.Version, c.Sequence
	return resources.Job{
		Owner: ownerOf(owner, kind), Request: r, Image: b.Options.ProjectorImage, PullPolicy: b.Options.PullPolicy,
		Inputs: inputs, Attempt: c.Attempt, LastGood: c.LastGood, DeadlineSeconds: probeDeadline,
		Mounts: resources.Mounts{}.Add(r.Broker, r.Store, true),
	}
}

func ownerOf(o client.Object, kind string) resources.Owner {
	return resources.Owner{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: kind,
		Namespace: o.GetNamespace(), Name: o.GetName(), UID: string(o.GetUID()),
	}
}

// writeStatus patches the status once, if it changed, and reports a change of state as an Event.
func (b *Base) writeStatus(ctx context.Context, before, after client.Object, old, now []metav1.Condition) error {
	if equality.Semantic.DeepEqual(before, after) {
		return nil
	}
	// With the lock, what a cache shows that is behind is neither written over nor announced twice.
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	err := b.Client.Status().Patch(ctx, after, patch, client.FieldOwner(apply.FieldManager))
	switch {
	case apierrors.IsConflict(err):
		// The change that came in between brings it back here.
		return nil
	case err != nil:
		return client.IgnoreNotFound(err)
	}
	b.announce(after, old, now)
	return nil
}

// announce records an Event where Ready changed its status, or why it is not True.
func (b *Base) announce(object client.Object, old, now []metav1.Condition) {
	was, is := plan.Find(old, v1alpha1.ConditionReady), plan.Find(now, v1alpha1.ConditionReady)
	if is == nil || (was != nil && was.Status == is.Status && (was.Reason == is.Reason || is.Status == metav1.ConditionTrue)) {
		return
	}
	kind := corev1.EventTypeWarning
	if is.Status == metav1.ConditionTrue || plan.Expected(is.Reason, was != nil && was.Status == metav1.ConditionTrue) {
		kind = corev1.EventTypeNormal
	}
	b.event(object, kind, is.Reason, is.Message)
}

// event records an Event whose note fits the API's limit.
func (b *Base) event(object client.Object, kind, reason, note string) {
	const limit = 1000
	if len(note) > limit {
		note = string([]rune(note[:limit])) + "..."
	}
	b.Recorder.Eventf(object, nil, kind, reason, "Reconcile", "%s", note)
}

// unlessTerminating drops the error of having made something in a namespace
// that is being deleted: there is nothing left to do there, and no use in trying
// again.
func unlessTerminating(err error) error {
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) || namespaceGone(err) {
		return nil
	}
	return err
}

// namespaceGone tells whether something could not be made since its namespace is not there any more.
func namespaceGone(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || !apierrors.IsNotFound(err) {
		return false
	}
	d := status.Status().Details
	return d != nil && d.Kind == "namespaces"
}

// later gives a Result for the soonest of the times, which are ignored when zero.
func later(times ...time.Duration) ctrl.Result {
	var soonest time.Duration
	for _, t := range times {
		if t > 0 && (soonest == 0 || t < soonest) {
			soonest = t
		}
	}
	return ctrl.Result{RequeueAfter: soonest}
}
