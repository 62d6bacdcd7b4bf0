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
	request  contract.Request
	children []client.Object
}

// apply makes what is desired, in the order in which it is needed.
func (r *ProjectionReconciler) apply(ctx context.Context, w *world) error {
	p := w.Projection
	target := r.projector(w, w.Target)
	if target == nil {
		return nil
	}
	applier := &apply.Applier{Client: r.Client, Live: r.Live, Scheme: r.Scheme}
	if _, err := applier.Apply(ctx, p.UID, target.ContractConfigMap()); err != nil {
		return err
	}
	if err := r.act(ctx, p.Namespace, w.Prepare, func(c actions.Create) resources.Job {
		return r.projectionJob(p, w.request, w.Target, c, prepareDeadline)
	}); err != nil {
		return err
	}
	var running *resources.Projector
	switch {
	case w.Prepared():
		running = target
	case w.Running != nil && w.Running.Contract != nil:
		// What runs goes on with what it was started with until the newest contract was proven.
		kept := plan.Target{Contract: w.Running.Contract}
		var err error
		if kept.JSON, kept.Digest, err = resources.EncodeContract(kept.Contract); err != nil {
			return err
		}
		running = r.projector(w, kept)
	default:
		return r.prune(ctx, w, target, nil)
	}
	if err := r.applyRunning(ctx, applier, p, running); err != nil {
		return err
	}
	return r.prune(ctx, w, target, running)
}

func (r *ProjectionReconciler) applyRunning(ctx context.Context, a *apply.Applier, p *v1alpha1.Projection, running *resources.Projector) error {
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
	if _, err := a.Apply(ctx, p.UID, running.Service()); err != nil {
		return err
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

// projector is what the objects of a target are built from, nil where there is none.
func (r *ProjectionReconciler) projector(w *world, t plan.Target) *resources.Projector {
	if t.Contract == nil {
		return nil
	}
	p := w.Projection
	replicas, _ := plan.Replicas(p, plan.Partitions(p, w.Progress.Expected, w.Topics))
	return &resources.Projector{
		Owner: ownerOf(p, "Projection"), Projection: resources.Bounded(p.Name),
		Contract: t.Contract, ContractJSON: t.JSON, ContractDigest: t.Digest,
		Image: r.Options.ProjectorImage, PullPolicy: r.Options.PullPolicy,
		Replicas: replicas, Spec: p.Spec.Projector,
	}
}

// projectionJob is a prepare or a retire.
func (r *ProjectionReconciler) projectionJob(p *v1alpha1.Projection, req contract.Request, t plan.Target, c actions.Create, deadline int64) resources.Job {
	req.Version, req.Sequence = contract.Version, c.Sequence
	job := resources.Job{
		Owner: ownerOf(p, "Projection"), Request: req, Image: r.Options.ProjectorImage, PullPolicy: r.Options.PullPolicy,
		Inputs: t.Inputs, Attempt: c.Attempt, LastGood: c.LastGood, DeadlineSeconds: deadline,
		Projector: p.Spec.Projector, Projection: resources.Bounded(p.Name),
	}
	if t.Contract != nil {
		job.Mounts = resources.Mounts{}.Add(&t.Contract.Broker, &t.Contract.Store, true)
		job.ContractConfigMap = resources.ContractName(job.Projection, t.Contract.Revision, t.Digest)
	} else {
		job.Mounts = resources.Mounts{}.Add(req.Broker, req.Store, true)
	}
	return job
}

// prune deletes the projection's objects that are no longer desired; running is
// nil where nothing was started yet.
func (r *ProjectionReconciler) prune(ctx context.Context, w *world, target, running *resources.Projector) error {
	keep := map[string]bool{"ConfigMap/" + target.ContractConfigMapName(): true}
	if running != nil {
		r.desired(w, running, keep)
	}
	for _, child := range w.children {
		kind := kindOf(child)
		if keep[kind+"/"+child.GetName()] || !child.GetDeletionTimestamp().IsZero() || (kind == "ConfigMap" && mayBeMounted(w, child)) {
			continue
		}
		uid, version := child.GetUID(), child.GetResourceVersion()
		err := r.Client.Delete(ctx, child, client.PropagationPolicy(metav1.DeletePropagationBackground),
			client.Preconditions{UID: &uid, ResourceVersion: &version})
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

// mayBeMounted reports whether a pod may need an old contract: while a roll-out
// goes on, or, before anything is seen to run, while it is young.
func mayBeMounted(w *world, child client.Object) bool {
	if w.Running != nil {
		return !rolledOut(w.Running.Deployment)
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
	poll := time.Duration(0)
	if w.Running != nil && ptr.Deref(w.Running.Deployment.Spec.Replicas, 1) > 0 {
		poll = pollMoving
		if after.Status.Status == v1alpha1.StatusCaughtUp {
			poll = pollSettled
		}
	}
	result := later(poll, w.Prepare.RequeueAfter)
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

// SetupWithManager registers the reconciler.
func (r *ProjectionReconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).For(&v1alpha1.Projection{}).
		Owns(&batchv1.Job{}).Owns(&appsv1.Deployment{}).Owns(&corev1.ConfigMap{}).Owns(&corev1.Service{}).
		Owns(&corev1.ServiceAccount{}).Owns(&policyv1.PodDisruptionBudget{}).Owns(&networkingv1.NetworkPolicy{}).
		Watches(&v1alpha1.EventTopic{}, handler.EnqueueRequestsFromMapFunc(r.projectionsOfTopic)).
		Watches(&v1alpha1.EventBroker{}, handler.EnqueueRequestsFromMapFunc(r.projectionsOfBroker)).
		Watches(&v1alpha1.ReadStore{}, handler.EnqueueRequestsFromMapFunc(r.projectionsOfStore)).
		WithOptions(controller.Options{MaxConcurrentReconciles: max(r.MaxConcurrent, 1)}).
		Named("projection").Complete(r)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
