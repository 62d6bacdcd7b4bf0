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

// EventBrokerReconciler asks brokers whether they can be used.
type EventBrokerReconciler struct{ Base }

// Reconcile implements reconcile.Reconciler.
func (r *EventBrokerReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	broker := &v1alpha1.EventBroker{}
	if err := r.Client.Get(ctx, req.NamespacedName, broker); err != nil || !broker.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	connection := compile.Broker(broker)
	request := contract.Request{Action: contract.ActionProbeBroker, Broker: &connection}
	inputs, err := actions.Inputs(request, "")
	if err != nil {
		return ctrl.Result{}, err
	}
	state, err := r.ask(ctx, broker, request.Action, actions.Question{
		Inputs: inputs, RepeatAfter: repeat(broker.UID), Unsettled: registryAway,
	})
	if err != nil {
		return ctrl.Result{}, err
	}
	if err := r.attempt(ctx, broker.Namespace, request.Action, &state, func(c actions.Create) resources.Job {
		return r.probeJob(broker, "EventBroker", request, inputs, c)
	}); err != nil {
		return ctrl.Result{}, err
	}
	after := broker.DeepCopy()
	after.Status = plan.Broker(broker, state, r.Now())
	err = r.writeStatus(ctx, broker, after, broker.Status.Conditions, after.Status.Conditions)
	return later(state.RequeueAfter), err
}

// registryAway tells whether the broker was reached and its schema registry was not.
func registryAway(r *contract.Result) bool {
	return r.Broker != nil && r.Broker.Registry != nil && !r.Broker.Registry.OK
}

// SetupWithManager registers the reconciler.
func (r *EventBrokerReconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).For(&v1alpha1.EventBroker{}).Owns(&batchv1.Job{}).
		Named("eventbroker").Complete(r)
}
