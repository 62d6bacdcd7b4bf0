// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/compile"
	"github.com/projectionist-dev/projectionist/controllers/actions"
	"github.com/projectionist-dev/projectionist/controllers/apply"
	"github.com/projectionist-dev/projectionist/controllers/plan"
	"github.com/projectionist-dev/projectionist/controllers/resources"
)

// Finalizer holds a Projection whose tables are to be dropped, and no other.
const Finalizer = "cqrs.projectionist.dev/retire"

// retireBudget is how long a deletion may wait for its tables to be dropped.
const retireBudget = 10 * time.Minute

// keepFinalizer makes the finalizer follow the deletion policy.
func (r *ProjectionReconciler) keepFinalizer(ctx context.Context, p *v1alpha1.Projection) error {
	want := p.Spec.DeletionPolicy == v1alpha1.DeletionPolicyDelete
	if controllerutil.ContainsFinalizer(p, Finalizer) == want {
		return nil
	}
	return r.setFinalizer(ctx, p, want)
}

func (r *ProjectionReconciler) setFinalizer(ctx context.Context, p *v1alpha1.Projection, want bool) error {
	before := p.DeepCopy()
	if want {
		controllerutil.AddFinalizer(p, Finalizer)
	} else {
		controllerutil.RemoveFinalizer(p, Finalizer)
	}
	// The lock keeps another's finalizer, added meanwhile, from being lost with the list.
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	return client.IgnoreNotFound(r.Client.Patch(ctx, p, patch, client.FieldOwner(apply.FieldManager)))
}

// finish sees a deletion through: at once where nothing is to be dropped or can
// be, else after a retire Job, and never later than the budget.
func (r *ProjectionReconciler) finish(ctx context.Context, p *v1alpha1.Projection) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(p, Finalizer) {
		return ctrl.Result{}, nil
	}
	if p.Spec.DeletionPolicy != v1alpha1.DeletionPolicyDelete {
		return r.letGo(ctx, p, "")
	}
	terminating, err := r.isTerminating(ctx, p.Namespace)
	if err != nil {
		return ctrl.Result{}, err
	}
	if terminating {
		return r.letGo(ctx, p, "the namespace is being deleted")
	}
	store := &v1alpha1.ReadStore{}
	found, err := r.get(ctx, p.Namespace, p.Spec.StoreRef.Name, store)
	if err != nil {
		return ctrl.Result{}, err
	}
	if !found {
		return r.letGo(ctx, p, "ReadStore "+p.Spec.StoreRef.Name+" is gone")
	}
	gone, err := r.stopProjectors(ctx, p)
	if err != nil {
		return ctrl.Result{}, err
	}
	left := p.DeletionTimestamp.Add(retireBudget).Sub(r.Now())
	if left <= 0 {
		return r.letGo(ctx, p, "they could not be dropped within "+retireBudget.String())
	}
	if !gone {
		after := p.DeepCopy()
		after.Status = plan.Retiring(p, actions.State{}, false, r.Now())
		err = r.writeStatus(ctx, p, after, p.Status.Conditions, after.Status.Conditions)
		return later(actionsPoll, left), err
	}
	return r.retire(ctx, p, store, left)
}

// actionsPoll is how often pods that end are looked at.
const actionsPoll = 2 * time.Second

func (r *ProjectionReconciler) retire(ctx context.Context, p *v1alpha1.Projection, store *v1alpha1.ReadStore, left time.Duration) (ctrl.Result, error) {
	connection := compile.Store(store)
	request := contract.Request{Action: contract.ActionRetire, Store: &connection, Owner: &contract.Identity{
		Cluster: r.Options.ClusterID, Namespace: p.Namespace, Name: p.Name, UID: string(p.UID),
	}}
	var err error
	if request.Broker, request.Groups, err = r.groups(ctx, p); err != nil {
		return ctrl.Result{}, err
	}
	inputs, err := actions.Inputs(request, "")
	if err != nil {
		return ctrl.Result{}, err
	}
	state, err := r.ask(ctx, p, request.Action, actions.Question{Inputs: inputs})
	if err != nil {
		return ctrl.Result{}, err
	}
	if state.OK() {
		r.event(p, corev1.EventTypeNormal, "Retired", "the projection's tables and views were dropped from ReadStore "+store.Name)
		return r.letGo(ctx, p, "")
	}
	err = r.act(ctx, p.Namespace, state, func(c actions.Create) resources.Job {
		return r.projectionJob(p, request, nil, inputs, c, retireDeadline)
	})
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return r.letGo(ctx, p, "the namespace is being deleted")
	}
	if err != nil {
		if state.Hindered = plan.Refused(err, request.Action); state.Hindered == nil {
			return ctrl.Result{}, err
		}
		state.RequeueAfter = blockedRetry
	}
	after := p.DeepCopy()
	after.Status = plan.Retiring(p, state, true, r.Now())
	err = r.writeStatus(ctx, p, after, p.Status.Conditions, after.Status.Conditions)
	return later(state.RequeueAfter, left), err
}

// groups are the consumer groups that the projection's revisions have, and how to reach the broker of the newest: as its
// EventBroker says now, or where that is gone, as it said.
func (r *ProjectionReconciler) groups(ctx context.Context, p *v1alpha1.Projection) (*contract.Broker, []string, error) {
	w := &world{Observation: plan.Observation{Projection: p}}
	if err := r.observeChildren(ctx, w); err != nil {
		return nil, nil, err
	}
	var newest *contract.Contract
	var contracts []*contract.Contract
	number := int64(-1)
	for _, child := range w.children {
		o, ok := child.(*appsv1.ControllerRevision)
		if !ok {
			continue
		}
		c, _, err := resources.Recorded(o)
		if err != nil {
			continue // what it was cannot be told any more
		}
		contracts = append(contracts, c)
		if o.Revision > number {
			newest, number = c, o.Revision
		}
	}
	if newest == nil {
		return nil, nil, nil
	}
	broker := newest.Broker
	live := &v1alpha1.EventBroker{}
	if found, err := r.get(ctx, p.Namespace, broker.Name, live); err != nil {
		return nil, nil, err
	} else if found {
		broker = compile.Broker(live)
	}
	var groups []string
	for _, c := range contracts {
		if c.Broker.Name == broker.Name {
			groups = append(groups, c.Group)
		}
	}
	slices.Sort(groups)
	return &broker, groups, nil
}

// stopProjectors deletes the Deployments of all revisions and the Jobs that act on these, and reports
// whether all their pods are gone: what still writes must not meet a drop.
func (r *ProjectionReconciler) stopProjectors(ctx context.Context, p *v1alpha1.Projection) (bool, error) {
	w := &world{Observation: plan.Observation{Now: r.Now(), Projection: p}}
	if err := r.observeChildren(ctx, w); err != nil {
		return false, err
	}
	var victims []client.Object
	for _, a := range onRevisions {
		jobs, err := r.jobs(ctx, p, a)
		if err != nil {
			return false, err
		}
		victims = append(victims, jobs...)
	}
	for _, child := range w.children {
		if kindOf(child) == "Deployment" {
			victims = append(victims, child)
		}
	}
	for _, o := range victims {
		if !o.GetDeletionTimestamp().IsZero() {
			continue
		}
		uid := o.GetUID()
		err := r.Client.Delete(ctx, o, client.PropagationPolicy(metav1.DeletePropagationBackground), client.Preconditions{UID: &uid})
		if client.IgnoreNotFound(err) != nil {
			return false, err
		}
	}
	var pods corev1.PodList
	if err := r.Client.List(ctx, &pods, client.InNamespace(p.Namespace), client.MatchingLabels{
		resources.LabelProjection: resources.Bounded(p.Name), resources.LabelManagedBy: resources.ManagedBy,
	}); err != nil {
		return false, err
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.Labels[resources.LabelAction] == string(contract.ActionRetire) {
			continue
		}
		if pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed {
			return false, nil
		}
	}
	return true, nil
}

// letGo removes the finalizer. Where tables remain, a Warning says why and which.
func (r *ProjectionReconciler) letGo(ctx context.Context, p *v1alpha1.Projection, why string) (ctrl.Result, error) {
	if why != "" {
		var names []string
		for _, m := range p.Spec.Models {
			names = append(names, m.Name)
		}
		r.event(p, corev1.EventTypeWarning, v1alpha1.ReasonRetireFailed, fmt.Sprintf(
			"deleted without dropping its tables, since %s. What remains in ReadStore %s: the views %s, their tables (<model>__<revision>), and the rows of this projection in the bookkeeping schema",
			why, p.Spec.StoreRef.Name, strings.Join(names, ", ")))
	}
	return ctrl.Result{}, r.setFinalizer(ctx, p, false)
}

// forget drops what is remembered of a projection that is gone.
func (r *ProjectionReconciler) forget(key types.NamespacedName) {
	r.Tracker.Forget(key)
	r.lags.forget(key)
	forgetMetrics(key)
}
