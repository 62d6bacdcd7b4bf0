// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"

	batchv1 "k8s.io/api/batch/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/compile"
	"github.com/projectionist-dev/projectionist/controllers/actions"
	"github.com/projectionist-dev/projectionist/controllers/plan"
	"github.com/projectionist-dev/projectionist/controllers/resources"
)

// ReadStoreReconciler asks read stores whether they can be used.
type ReadStoreReconciler struct{ Base }

// Reconcile implements reconcile.Reconciler.
func (r *ReadStoreReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	store := &v1alpha1.ReadStore{}
	if err := r.Client.Get(ctx, req.NamespacedName, store); err != nil || !store.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	connection := compile.Store(store)
	request := contract.Request{Action: contract.ActionProbeStore, Store: &connection}
	inputs, err := actions.Inputs(request, "")
	if err != nil {
		return ctrl.Result{}, err
	}
	state, err := r.ask(ctx, store, request.Action, actions.Question{Inputs: inputs, RepeatAfter: repeat(store.UID)})
	if err != nil {
		return ctrl.Result{}, err
	}
	if err := r.attempt(ctx, store.Namespace, request.Action, &state, func(c actions.Create) resources.Job {
		return r.probeJob(store, "ReadStore", request, inputs, c)
	}); err != nil {
		return ctrl.Result{}, err
	}
	after := store.DeepCopy()
	after.Status = plan.Store(store, state, r.Now())
	err = r.writeStatus(ctx, store, after, store.Status.Conditions, after.Status.Conditions)
	return later(state.RequeueAfter), err
}

// SetupWithManager registers the reconciler.
func (r *ReadStoreReconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).For(&v1alpha1.ReadStore{}).Owns(&batchv1.Job{}).
		Named("readstore").Complete(r)
}
