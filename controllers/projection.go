// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"maps"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/controllers/actions"
	"github.com/projectionist-dev/projectionist/controllers/apply"
	"github.com/projectionist-dev/projectionist/controllers/plan"
	"github.com/projectionist-dev/projectionist/controllers/plan/rollout"
	"github.com/projectionist-dev/projectionist/controllers/progress"
	"github.com/projectionist-dev/projectionist/controllers/resources"
)

// How often projectors are asked: while something moves, and when nothing does.
const (
	pollMoving  = 5 * time.Second
	pollSettled = 10 * time.Second
)

// blockedRetry is when an object that could not be made is tried again.
const blockedRetry = 30 * time.Second

// ProjectionReconciler brings projections to running projectors and says how they are.
type ProjectionReconciler struct {
	Base
	Poller  progress.Poller
	Tracker *progress.Tracker
	// MaxConcurrent bounds how many projections are worked on at once.
	MaxConcurrent int

	lags lagWrites
}

// Reconcile implements reconcile.Reconciler.
func (r *ProjectionReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	p := &v1alpha1.Projection{}
	if err := r.Client.Get(ctx, req.NamespacedName, p); err != nil {
		if apierrors.IsNotFound(err) {
			r.forget(req.NamespacedName)
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, err
	}
	if !p.DeletionTimestamp.IsZero() {
		return r.finish(ctx, p)
	}
	result, err := r.reconcile(ctx, p)
	return result, unlessTerminating(err)
}

func (r *ProjectionReconciler) reconcile(ctx context.Context, p *v1alpha1.Projection) (ctrl.Result, error) {
	if err := r.keepFinalizer(ctx, p); err != nil {
		return ctrl.Result{}, err
	}
	w, err := r.observe(ctx, p)
	if err != nil {
		return ctrl.Result{}, err
	}
	if err := r.apply(ctx, w); err != nil {
		if w.Blocked = plan.Blocked(err); w.Blocked == nil {
			return ctrl.Result{}, err
		}
	}
	result, err := r.report(ctx, w)
	if w.Blocked != nil {
		// What is in the way may be an object that is not watched.
		result = later(result.RequeueAfter, blockedRetry)
	}
	return result, err
}

// world is an Observation with the objects that it was read from.
type world struct {
	plan.Observation
	children  []client.Object
	jobs      []batchv1.Job
	revisions []*revision
	// replay is the Replay that is under way, nil if there is none.
	replay *v1alpha1.Replay
	// factsJob is the Job whose answer Facts is, lost a promote that gave none since, orphans are Jobs that nothing is
	// learnt from any more.
	factsJob, lost string
	orphans        []*batchv1.Job
	// mounts are the ConfigMaps that pods have a contract from, whoever made them: those of Replays of some keys, too.
	mounts map[string]bool
}

// apply makes what is desired, in the order in which it is needed: what a
// revision is, before anything is done about it.
func (r *ProjectionReconciler) apply(ctx context.Context, w *world) error {
	p := w.Projection
	if err := r.record(ctx, w); err != nil {
		return err
	}
	applier := &apply.Applier{Client: r.Client, Live: r.Live, Scheme: r.Scheme}
	for _, run := range w.Rollout.Run {
		v := w.revision(run.Revision)
		if v.target.Contract == nil {
			// Nobody knows any more what it was started with: it goes on as it is.
			continue
		}
		if _, err := applier.Apply(ctx, p.UID, r.projector(w, v).ContractConfigMap()); err != nil {
			return err
		}
	}
	if err := r.actOn(ctx, w); err != nil {
		return err
	}
	var started []*resources.Projector
	for _, run := range w.Rollout.Run {
		v := w.revision(run.Revision)
		running, err := r.startable(w, v)
		if err != nil {
			return err
		}
		if running == nil {
			continue
		}
		if err := r.applyRunning(ctx, applier, w, running); err != nil {
			return err
		}
		started = append(started, running)
	}
	if err := r.prune(ctx, w, started); err != nil {
		return err
	}
	return r.forgetRevisions(ctx, w)
}

// record makes the ControllerRevisions that are missing, and says of the others what they are there for.
func (r *ProjectionReconciler) record(ctx context.Context, w *world) error {
	p := w.Projection
	for _, want := range w.Rollout.Record {
		o, err := resources.Revision{
			Owner: ownerOf(p, "Projection"), Projection: resources.Bounded(p.Name), Contract: want.Contract,
			Number: w.number(), Role: string(want.Role), Attempts: want.Attempts, Replay: want.Replay,
		}.Build()
		if err != nil {
			return err
		}
		if there, err := r.recorded(ctx, p, o); err != nil {
			return err
		} else if there {
			continue
		}
		err = r.Client.Create(ctx, o, client.FieldOwner(apply.FieldManager))
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	for _, v := range w.revisions {
		if v.record == nil {
			continue
		}
		patch, err := standing(w, v)
		if err != nil {
			return err
		}
		if patch == nil {
			continue
		}
		if err := r.Client.Patch(ctx, v.record.DeepCopy(), patch, client.FieldOwner(apply.FieldManager)); client.IgnoreNotFound(err) != nil {
			return err
		}
	}
	return nil
}

// recorded reports whether a ControllerRevision is there that the cache does not
// show yet. One that is another's is an error.
func (r *ProjectionReconciler) recorded(ctx context.Context, p *v1alpha1.Projection, o *appsv1.ControllerRevision) (bool, error) {
	live := &appsv1.ControllerRevision{}
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(o), live); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	if metav1.IsControlledBy(live, p) {
		return true, nil
	}
	owner := metav1.GetControllerOf(live)
	return false, &apply.TakenError{
		Kind: "ControllerRevision", Name: o.Name,
		Leaving: !live.DeletionTimestamp.IsZero() || (owner != nil && owner.Kind == "Projection" && owner.Name == p.Name),
	}
}

// actOn writes down what Jobs left, makes the one Job that was decided, and deletes those that are of no more use.
func (r *ProjectionReconciler) actOn(ctx context.Context, w *world) error {
	p := w.Projection
	for _, v := range w.revisions {
		for _, a := range onRevisions {
			s := *v.state(a)
			if ask := w.Rollout.Ask; ask == nil || *ask != (rollout.Ask{Action: a, Revision: v.Name}) {
				s.Create = nil
			}
			if err := r.act(ctx, p.Namespace, s, func(c actions.Create) resources.Job {
				q := v.requests[a]
				deadline := deadlines[a]
				if a == contract.ActionVerify {
					deadline = int64(q.Verify.DeadlineSeconds) + verifyGrace
				}
				job := r.projectionJob(p, q.Request, v, q.inputs, c, deadline)
				job.Asked = rollout.Asked(rollout.Ask{Action: a, Revision: v.Name}, w.known(), w.jobs)
				return job
			}); err != nil {
				return err
			}
		}
	}
	if err := r.act(ctx, p.Namespace, actions.State{Delete: actions.OfRevisions(w.jobs, contract.ActionVerify, w.Rollout.Cancel)}, nil); err != nil {
		return err
	}
	return r.act(ctx, p.Namespace, actions.State{Delete: w.orphans}, nil)
}

// startable is what a revision is to run now, nil where it has to wait for its tables.
func (r *ProjectionReconciler) startable(w *world, v *revision) (*resources.Projector, error) {
	if v.Prepare.OK() && v.target.Contract != nil {
		return r.projector(w, v), nil
	}
	if v.mounted == nil {
		return nil, nil
	}
	// What runs goes on with what it was started with until the newest contract was proven.
	before := *v
	var err error
	if before.target, err = plan.Aim(v.mounted, v.incarnation()); err != nil {
		return nil, err
	}
	return r.projector(w, &before), nil
}

func (r *ProjectionReconciler) applyRunning(ctx context.Context, a *apply.Applier, w *world, running *resources.Projector) error {
	p := w.Projection
	if _, err := a.Apply(ctx, p.UID, running.ContractConfigMap()); err != nil {
		return err
	}
	if p.Spec.Projector.ServiceAccountName == "" {
		if _, err := a.Apply(ctx, p.UID, running.ServiceAccount()); err != nil {
			return err
		}
	}
	if r.Options.NetworkPolicy {
		if _, err := a.Apply(ctx, p.UID, running.NetworkPolicy()); err != nil {
			return err
		}
	}
	// Until it is known what readers see, the Service leads where it led.
	if w.Facts != nil && running.Contract.Revision == w.Facts.Active {
		if _, err := a.Apply(ctx, p.UID, running.Service()); err != nil {
			return err
		}
	}
	if _, err := a.Apply(ctx, p.UID, running.PodDisruptionBudget()); err != nil {
		return err
	}
	deployment, err := running.Deployment()
	if err != nil {
		return err
	}
	_, err = a.Apply(ctx, p.UID, deployment)
	return err
}

// projector is what the objects of a revision are built from.
func (r *ProjectionReconciler) projector(w *world, v *revision) *resources.Projector {
	p := w.Projection
	replicas, _ := plan.Replicas(p, plan.Partitions(p, v.Progress.Expected, w.Topics))
	if w.paused(v.Name) {
		replicas = 0
	}
	return &resources.Projector{
		Owner: ownerOf(p, "Projection"), Projection: resources.Bounded(p.Name),
		Contract: v.target.Contract, ContractJSON: v.target.JSON, ContractDigest: v.target.Digest,
		Image: r.Options.ProjectorImage, PullPolicy: r.Options.PullPolicy,
		Replicas: replicas, Spec: p.Spec.Projector,
	}
}

// paused reports whether a revision is to have none of its pods, since its Replay is suspended.
func (w *world) paused(revision string) bool {
	return slices.ContainsFunc(w.Rollout.Run, func(r rollout.Run) bool { return r.Revision == revision && r.Paused })
}

// projectionJob is an action on a revision, or where that is nil, a retire.
func (r *ProjectionReconciler) projectionJob(p *v1alpha1.Projection, req contract.Request, v *revision, inputs string, c actions.Create, deadline int64) resources.Job {
	req.Version, req.Sequence = contract.Version, c.Sequence
	job := resources.Job{
		Owner: ownerOf(p, "Projection"), Request: req, Image: r.Options.ProjectorImage, PullPolicy: r.Options.PullPolicy,
		Inputs: inputs, Attempt: c.Attempt, LastGood: c.LastGood, DeadlineSeconds: deadline,
		Projector: p.Spec.Projector, Projection: resources.Bounded(p.Name),
	}
	if v != nil {
		job.Revision, job.Incarnation = v.Name, v.incarnation()
	}
	if req.Action == contract.ActionPrepare || req.Action == contract.ActionVerify {
		t := v.target
		// A verify reads with the projector's rights.
		job.Mounts = resources.Mounts{}.Add(&t.Contract.Broker, &t.Contract.Store, req.Action == contract.ActionPrepare)
		job.ContractConfigMap = resources.ContractName(job.Projection, t.Contract.Revision, t.Digest)
	} else {
		job.Mounts = resources.Mounts{}.Add(req.Broker, req.Store, true)
	}
	return job
}

// prune deletes the projection's objects that are no longer desired.
func (r *ProjectionReconciler) prune(ctx context.Context, w *world, started []*resources.Projector) error {
	keep := map[string]bool{}
	for _, run := range w.Rollout.Run {
		// One that cannot be started again, its contract being lost, goes on as it is.
		name := resources.RevisionName(resources.Bounded(w.Projection.Name), run.Revision)
		keep["Deployment/"+name], keep["PodDisruptionBudget/"+name] = true, true
		if v := w.revision(run.Revision); v.target.Contract != nil {
			r.desired(w, r.projector(w, v), keep)
		}
	}
	for _, running := range started {
		r.desired(w, running, keep)
	}
	for _, child := range w.children {
		kind := kindOf(child)
		if kind == "ControllerRevision" || keep[kind+"/"+child.GetName()] || !child.GetDeletionTimestamp().IsZero() || (kind == "ConfigMap" && mayBeMounted(w, child)) {
			continue
		}
		if err := r.remove(ctx, child); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes an object as it was seen.
func (r *ProjectionReconciler) remove(ctx context.Context, o client.Object) error {
	uid, version := o.GetUID(), o.GetResourceVersion()
	err := r.Client.Delete(ctx, o, client.PropagationPolicy(metav1.DeletePropagationBackground),
		client.Preconditions{UID: &uid, ResourceVersion: &version})
	if apierrors.IsConflict(err) {
		// The change that came in between brings it back here.
		return nil
	}
	return client.IgnoreNotFound(err)
}

// forgetRevisions deletes the ControllerRevisions of revisions that have nothing left.
func (r *ProjectionReconciler) forgetRevisions(ctx context.Context, w *world) error {
	for _, name := range w.Rollout.Forget {
		v := w.revision(name)
		uid := v.record.UID
		err := r.Client.Delete(ctx, v.record.DeepCopy(), client.Preconditions{UID: &uid})
		if client.IgnoreNotFound(err) != nil {
			return err
		}
	}
	return nil
}

// desired notes what a revision that runs consists of.
func (r *ProjectionReconciler) desired(w *world, running *resources.Projector, keep map[string]bool) {
	revision := resources.RevisionName(running.Projection, running.Contract.Revision)
	keep["ConfigMap/"+running.ContractConfigMapName()] = true
	keep["Deployment/"+revision], keep["PodDisruptionBudget/"+revision] = true, true
	if w.Projection.Spec.Projector.ServiceAccountName == "" {
		keep["ServiceAccount/"+running.ServiceAccountName()] = true
	}
	if r.Options.NetworkPolicy {
		keep["NetworkPolicy/"+resources.Bounded(running.Projection, "projector")] = true
	}
}

// mayBeMounted reports whether a pod may need an old contract: one that is there does, and others may while a roll-out
// goes on, or, before anything is seen to run, while it is young.
func mayBeMounted(w *world, child client.Object) bool {
	if w.mounts[child.GetName()] {
		return true
	}
	v := w.revision(child.GetLabels()[resources.LabelRevision])
	if v == nil || w.Rollout.Roles[v.Name] == rollout.RoleLeaving {
		return false
	}
	if v.deployment != nil {
		return !rolledOut(v.deployment)
	}
	return w.Now.Sub(child.GetCreationTimestamp().Time) < time.Minute
}

func rolledOut(d *appsv1.Deployment) bool {
	return d != nil && d.Status.ObservedGeneration >= d.Generation &&
		d.Status.UpdatedReplicas == ptr.Deref(d.Spec.Replicas, 1) && d.Status.Replicas == d.Status.UpdatedReplicas
}

// report writes the status, if it changed, and says when to look again.
func (r *ProjectionReconciler) report(ctx context.Context, w *world) (ctrl.Result, error) {
	p := w.Projection
	after := p.DeepCopy()
	after.Status = plan.Projection(&w.Observation)
	result := r.again(w, after.Status.Status)
	observeMetrics(after, w.Progress)
	if only, wait := r.lags.tooSoon(p, after, r.Now()); only {
		return later(result.RequeueAfter, wait), nil
	}
	alone := onlyHowFar(p.Status, after.Status)
	err := r.writeStatus(ctx, p, after, p.Status.Conditions, after.Status.Conditions)
	if err == nil && alone {
		r.lags.wrote(client.ObjectKeyFromObject(p), r.Now())
	}
	return result, err
}

// again says when to look again: what projectors say is asked for, not told.
func (r *ProjectionReconciler) again(w *world, word string) ctrl.Result {
	times := []time.Duration{w.Rollout.Wake}
	for _, v := range w.revisions {
		if v.deployment != nil && ptr.Deref(v.deployment.Spec.Replicas, 1) > 0 {
			poll := pollMoving
			if word == v1alpha1.StatusCaughtUp {
				poll = pollSettled
			}
			times = append(times, poll)
		}
		if w.Rollout.Roles[v.Name] == rollout.RoleLeaving && v.Pods {
			times = append(times, actionsPoll)
		}
		for _, a := range onRevisions {
			times = append(times, v.state(a).RequeueAfter)
		}
	}
	return later(times...)
}

// SetupWithManager registers the reconciler.
func (r *ProjectionReconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).For(&v1alpha1.Projection{}).
		Owns(&batchv1.Job{}).Owns(&appsv1.Deployment{}).Owns(&corev1.ConfigMap{}).Owns(&corev1.Service{}).
		Owns(&appsv1.ControllerRevision{}).Owns(&corev1.ServiceAccount{}).Owns(&policyv1.PodDisruptionBudget{}).Owns(&networkingv1.NetworkPolicy{}).
		Watches(&v1alpha1.Replay{}, handler.EnqueueRequestsFromMapFunc(projectionOfReplay), replayChanges()).
		Watches(&v1alpha1.EventTopic{}, handler.EnqueueRequestsFromMapFunc(r.projectionsOfTopic)).
		Watches(&v1alpha1.EventBroker{}, handler.EnqueueRequestsFromMapFunc(r.projectionsOfBroker)).
		Watches(&v1alpha1.ReadStore{}, handler.EnqueueRequestsFromMapFunc(r.projectionsOfStore)).
		WithOptions(controller.Options{MaxConcurrentReconciles: max(r.MaxConcurrent, 1)}).
		Named("projection").Complete(r)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
