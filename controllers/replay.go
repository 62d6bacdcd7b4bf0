// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"encoding/json"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract/compile"
	"github.com/projectionist-dev/projectionist/controllers/apply"
	"github.com/projectionist-dev/projectionist/controllers/plan"
	"github.com/projectionist-dev/projectionist/controllers/plan/replay"
	"github.com/projectionist-dev/projectionist/controllers/progress"
	"github.com/projectionist-dev/projectionist/controllers/resources"
)

// replayEvery is the least time between two writes of a Replay's status in which nothing but how far it is changed.
const replayEvery = 5 * time.Second

// ReplayReconciler lets Replays begin, one at a time for each Projection, and says how they are. What they ask for, the
// Projection's reconciler does.
type ReplayReconciler struct {
	Base
	// Tracker is the Projection reconciler's, which asks the projectors.
	Tracker *progress.Tracker

	lags lagWrites
}

// Reconcile implements reconcile.Reconciler.
func (r *ReplayReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	o := &v1alpha1.Replay{}
	if err := r.Client.Get(ctx, req.NamespacedName, o); err != nil || !o.DeletionTimestamp.IsZero() {
		r.lags.forget(req.NamespacedName)
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	in, m, err := r.observe(ctx, o)
	if err != nil {
		return ctrl.Result{}, err
	}
	d := replay.Decide(in)
	if replay.OfKeys(o) {
		if d, err = r.replayKeys(ctx, in, m, d); err != nil {
			return ctrl.Result{}, err
		}
	}
	if gone, err := r.apply(ctx, o, d); err != nil || gone {
		return ctrl.Result{}, unlessTerminating(err)
	}
	return r.report(ctx, o, d)
}

// observe reads all that a decision about a Replay needs; of one of some keys, also what its Job would mount.
func (r *ReplayReconciler) observe(ctx context.Context, o *v1alpha1.Replay) (in replay.Input, m *mounted, err error) {
	in = replay.Input{Now: r.Now(), Replay: o}
	if replay.Finished(o) {
		return in, nil, nil
	}
	p := &v1alpha1.Projection{}
	err = r.Client.Get(ctx, client.ObjectKey{Namespace: o.Namespace, Name: o.Spec.ProjectionRef.Name}, p)
	if client.IgnoreNotFound(err) != nil {
		return in, nil, err
	}
	if err == nil {
		in.Projection = p
	}
	if replay.OfKeys(o) {
		if in.Job, m, err = r.jobOf(ctx, o, in.Projection); err != nil {
			return in, nil, err
		}
	}
	if in.Projection == nil {
		return in, nil, nil
	}
	if in.All, err = r.replaysOf(ctx, p); err != nil {
		return in, nil, err
	}
	if replay.OfKeys(o) {
		return in, m, nil
	}
	topics := map[string]*v1alpha1.EventTopic{}
	var names []string
	for _, ref := range p.Spec.Topics {
		topic := &v1alpha1.EventTopic{}
		err := r.Client.Get(ctx, client.ObjectKey{Namespace: o.Namespace, Name: ref.Name}, topic)
		if client.IgnoreNotFound(err) != nil {
			return in, nil, err
		}
		if err == nil {
			topics[ref.Name] = topic
		}
		names = append(names, ref.Name)
	}
	in.Missing = plan.Missing(names, topics)
	if replay.FromOf(o) != nil {
		active, err := r.mounted(ctx, p)
		if err != nil {
			return in, nil, err
		}
		if active != nil {
			in.Contract = active.contract
		}
	}
	if in.Refused, err = r.refused(ctx, p, o); err != nil {
		return in, nil, err
	}
	in.Done, err = r.done(ctx, p)
	return in, nil, err
}

// refused says what is wrong with the verify of a Replay that has not begun, "" if nothing is.
func (r *ReplayReconciler) refused(ctx context.Context, p *v1alpha1.Projection, o *v1alpha1.Replay) (string, error) {
	if o.Spec.Verify == nil || replay.RecordOf(o) != nil {
		return "", nil
	}
	w := &world{Observation: plan.Observation{Projection: p}}
	if err := r.observeReferences(ctx, w); err != nil {
		return "", err
	}
	problems := compile.VerifyProblems(r.compileInput(w), o.Spec.Verify)
	for i := range problems {
		problems[i].Path = "spec." + problems[i].Path
	}
	_, message := compile.Summary(problems)
	return message, nil
}

// done are the attempts that count as done with the revision that readers see.
func (r *ReplayReconciler) done(ctx context.Context, p *v1alpha1.Projection) ([]string, error) {
	if p.Status.ActiveRevision == "" {
		return nil, nil
	}
	record := &appsv1.ControllerRevision{}
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: p.Namespace, Name: resources.RevisionName(resources.Bounded(p.Name), p.Status.ActiveRevision)}, record)
	if err != nil || !metav1.IsControlledBy(record, p) {
		return nil, client.IgnoreNotFound(err)
	}
	// One that cannot be read is no reason to hold a Replay: what its revision is, the Projection's status says as well.
	known, err := resources.Recorded(record)
	if err != nil {
		return nil, nil //nolint:nilerr // see above
	}
	return known.Attempts, nil
}

// replaysOf are the Replays of a projection.
func (b *Base) replaysOf(ctx context.Context, p *v1alpha1.Projection) ([]v1alpha1.Replay, error) {
	var list v1alpha1.ReplayList
	if err := b.Client.List(ctx, &list, client.InNamespace(p.Namespace)); err != nil {
		return nil, err
	}
	var out []v1alpha1.Replay
	for i := range list.Items {
		if list.Items[i].Spec.ProjectionRef.Name == p.Name {
			out = append(out, list.Items[i])
		}
	}
	return out, nil
}

// apply writes the record of a Replay that begins, and deletes one whose time is over. What comes after is for the next
// time where the Replay is gone or another than it was.
func (r *ReplayReconciler) apply(ctx context.Context, o *v1alpha1.Replay, d replay.Decision) (gone bool, err error) {
	switch {
	case d.Delete:
		uid, version := o.UID, o.ResourceVersion
		err := r.Client.Delete(ctx, o, client.Preconditions{UID: &uid, ResourceVersion: &version})
		if apierrors.IsConflict(err) {
			return true, nil // as below
		}
		return true, client.IgnoreNotFound(err)
	case d.Begin == nil:
		return false, nil
	}
	data, err := json.Marshal(d.Begin)
	if err != nil {
		return false, err
	}
	before := o.DeepCopy()
	metav1.SetMetaDataAnnotation(&o.ObjectMeta, replay.Annotation, string(data))
	// With the lock, one that was suspended meanwhile does not begin.
	err = r.Client.Patch(ctx, o, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), client.FieldOwner(apply.FieldManager))
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		// The change that came in between brings it back here.
		return true, nil
	}
	return false, err
}

// report writes the status, if it changed, and says when to look again.
func (r *ReplayReconciler) report(ctx context.Context, o *v1alpha1.Replay, d replay.Decision) (ctrl.Result, error) {
	now := r.Now()
	var s progress.Snapshot
	if d.Revision != nil {
		s = r.Tracker.Last(client.ObjectKey{Namespace: o.Namespace, Name: o.Spec.ProjectionRef.Name}, d.Revision.Name, now)
	}
	after := o.DeepCopy()
	after.Status = plan.Replay(o, d, s, now)
	result := later(d.Wake)
	if d.Word == v1alpha1.RevisionBuilding {
		result = later(d.Wake, replayEvery)
	}
	key := client.ObjectKeyFromObject(o)
	alone := onlyHowFarReplay(o.Status, after.Status)
	if wait := r.lags.wait(key, replayEvery, now); alone && wait > 0 {
		return later(result.RequeueAfter, wait), nil
	}
	err := r.writeStatus(ctx, o, after, o.Status.Conditions, after.Status.Conditions)
	if err == nil && alone {
		r.lags.wrote(key, now)
	}
	return result, err
}

// onlyHowFarReplay reports whether two statuses differ, and in nothing but figures and messages.
func onlyHowFarReplay(before, after v1alpha1.ReplayStatus) bool {
	if equality.Semantic.DeepEqual(before, after) || len(before.Conditions) != len(after.Conditions) {
		return false
	}
	rest := after.DeepCopy()
	rest.BuildProgress, rest.Partitions = before.BuildProgress, before.Partitions
	rest.Progress, rest.Rate, rest.Left = before.Progress, before.Rate, before.Left
	for i := range rest.Conditions {
		rest.Conditions[i].Message = before.Conditions[i].Message
	}
	return equality.Semantic.DeepEqual(before, *rest)
}

// SetupWithManager registers the reconciler.
func (r *ReplayReconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).For(&v1alpha1.Replay{}).Owns(&batchv1.Job{}).
		Watches(&v1alpha1.Replay{}, handler.EnqueueRequestsFromMapFunc(r.siblings), replayChanges()).
		Watches(&v1alpha1.Projection{}, handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, p client.Object) []reconcile.Request {
			return r.replaysBy(ctx, p.GetNamespace(), p.GetName())
		})).
		Named("replay").Complete(r)
}

// siblings are the Replays of the same Projection.
func (r *ReplayReconciler) siblings(ctx context.Context, o client.Object) []reconcile.Request {
	return r.replaysBy(ctx, o.GetNamespace(), o.(*v1alpha1.Replay).Spec.ProjectionRef.Name)
}

// replaysBy are the Replays that name a Projection.
func (b *Base) replaysBy(ctx context.Context, namespace, projection string) []reconcile.Request {
	var list v1alpha1.ReplayList
	if err := b.Client.List(ctx, &list, client.InNamespace(namespace), client.MatchingFields{indexReplayProjection: projection}); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "cannot list the Replays of a Projection")
		return nil
	}
	var out []reconcile.Request
	for i := range list.Items {
		if !replay.Finished(&list.Items[i]) {
			out = append(out, requestFor(&list.Items[i]))
		}
	}
	return out
}

// projectionOfReplay is the Projection that a Replay names.
func projectionOfReplay(_ context.Context, o client.Object) []reconcile.Request {
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: o.GetNamespace(), Name: o.(*v1alpha1.Replay).Spec.ProjectionRef.Name}}}
}

// replayChanges leaves out the updates that say nothing but how far a Replay is.
func replayChanges() builder.Predicates {
	return builder.WithPredicates(predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, after := e.ObjectOld.(*v1alpha1.Replay), e.ObjectNew.(*v1alpha1.Replay)
		return before.Generation != after.Generation || replay.Finished(before) != replay.Finished(after) ||
			before.Annotations[replay.Annotation] != after.Annotations[replay.Annotation] ||
			before.DeletionTimestamp.IsZero() != after.DeletionTimestamp.IsZero()
	}})
}
