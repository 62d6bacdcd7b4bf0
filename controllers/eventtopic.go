// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/compile"
	"github.com/projectionist-dev/projectionist/controllers/actions"
	"github.com/projectionist-dev/projectionist/controllers/plan"
	"github.com/projectionist-dev/projectionist/controllers/resources"
)

// EventTopicReconciler asks brokers about topics, creating those that are to be created.
type EventTopicReconciler struct{ Base }

// Reconcile implements reconcile.Reconciler.
func (r *EventTopicReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	topic := &v1alpha1.EventTopic{}
	if err := r.Client.Get(ctx, req.NamespacedName, topic); err != nil || !topic.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	broker, err := r.broker(ctx, topic)
	if err != nil {
		return ctrl.Result{}, err
	}
	in := plan.TopicInput{Topic: topic, Broker: broker}
	in.Reason, in.Problems = compile.Summary(compile.CheckTopic(topic, broker))
	request := contract.Request{Action: contract.ActionProbeTopic}
	inputs := ""
	if broker != nil {
		connection := compile.Broker(broker)
		// What expressions say about events is nothing to the broker.
		subject := contract.Topic{Name: topic.Name, BrokerTopic: topic.BrokerTopic()}
		request.Broker, request.Topic, request.Create = &connection, &subject, compile.Creation(topic)
		if inputs, err = actions.Inputs(request, ""); err != nil {
			return ctrl.Result{}, err
		}
		_, holds := plan.TopicHolds(topic, broker)
		question := actions.Question{Inputs: inputs, RepeatAfter: repeat(topic.UID), Hold: holds}
		if in.Probe, err = r.ask(ctx, topic, request.Action, question); err != nil {
			return ctrl.Result{}, err
		}
	}
	if err := r.attempt(ctx, topic.Namespace, request.Action, &in.Probe, func(c actions.Create) resources.Job {
		return r.probeJob(topic, "EventTopic", request, inputs, c)
	}); err != nil {
		return ctrl.Result{}, err
	}
	after := topic.DeepCopy()
	after.Status = plan.Topic(in, r.Now())
	err = r.writeStatus(ctx, topic, after, topic.Status.Conditions, after.Status.Conditions)
	return later(in.Probe.RequeueAfter), err
}

// broker is the topic's EventBroker, nil if there is none.
func (r *EventTopicReconciler) broker(ctx context.Context, topic *v1alpha1.EventTopic) (*v1alpha1.EventBroker, error) {
	broker := &v1alpha1.EventBroker{}
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: topic.Namespace, Name: topic.Spec.BrokerRef.Name}, broker)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return broker, err
}

// SetupWithManager registers the reconciler.
func (r *EventTopicReconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).For(&v1alpha1.EventTopic{}).Owns(&batchv1.Job{}).
		Watches(&v1alpha1.EventBroker{}, handler.EnqueueRequestsFromMapFunc(r.topicsOf)).
		Named("eventtopic").Complete(r)
}
