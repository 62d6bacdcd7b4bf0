// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/compile"
	"github.com/projectionist-dev/projectionist/controllers/plan"
	"github.com/projectionist-dev/projectionist/controllers/plan/rollout"
	"github.com/projectionist-dev/projectionist/controllers/resources"
)

// observe reads all that a decision about a projection needs, and takes it.
func (r *ProjectionReconciler) observe(ctx context.Context, p *v1alpha1.Projection) (*world, error) {
	w := &world{Observation: plan.Observation{Now: r.Now(), Projection: p}}
	if err := r.observeReferences(ctx, w); err != nil {
		return nil, err
	}
	if err := r.observeChildren(ctx, w); err != nil {
		return nil, err
	}
	w.Spec = r.compile(w)
	if err := r.observeRevisions(ctx, w); err != nil {
		return nil, err
	}
	in, err := r.rolloutInput(ctx, w)
	if err != nil {
		return nil, err
	}
	w.Rollout = rollout.Decide(in)
	r.look(w)
	return w, nil
}

func (b *Base) observeReferences(ctx context.Context, w *world) error {
	p := w.Projection
	store := &v1alpha1.ReadStore{}
	found, err := b.get(ctx, p.Namespace, p.Spec.StoreRef.Name, store)
	if err != nil {
		return err
	}
	if found {
		w.Store = store
	}
	w.Topics = map[string]*v1alpha1.EventTopic{}
	for _, ref := range p.Spec.Topics {
		topic := &v1alpha1.EventTopic{}
		if found, err = b.get(ctx, p.Namespace, ref.Name, topic); err != nil {
			return err
		}
		if !found {
			continue
		}
		w.Topics[ref.Name] = topic
		if w.Broker != nil {
			continue
		}
		broker := &v1alpha1.EventBroker{}
		if found, err = b.get(ctx, p.Namespace, topic.Spec.BrokerRef.Name, broker); err != nil {
			return err
		}
		if found {
			w.Broker = broker
		}
	}
	return nil
}

func (b *Base) get(ctx context.Context, namespace, name string, into client.Object) (bool, error) {
	err := b.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, into)
	return err == nil, client.IgnoreNotFound(err)
}

// compile gives the newest spec's contract, or why there is none.
func (r *ProjectionReconciler) compile(w *world) plan.Spec {
	compiled, problems := compile.Compile(r.compileInput(w))
	if compiled == nil {
		reason, message := compile.Summary(problems)
		return plan.Spec{Reason: reason, Message: message}
	}
	return plan.Spec{Contract: compiled}
}

// compileInput is what the newest spec's contract is made from.
func (b *Base) compileInput(w *world) compile.Input {
	in := compile.Input{Projection: w.Projection, Cluster: b.Options.ClusterID, Facts: map[string]contract.TopicFacts{}}
	for _, name := range sortedKeys(w.Topics) {
		topic := w.Topics[name]
		in.Topics = append(in.Topics, *topic)
		if topic.Status.Partitions > 0 {
			in.Facts[name] = contract.TopicFacts{
				ID: topic.Status.TopicID, Partitions: topic.Status.Partitions, CleanupPolicy: topic.Status.CleanupPolicy,
			}
		}
	}
	if w.Broker != nil {
		in.Brokers = append(in.Brokers, *w.Broker)
	}
	if w.Store != nil {
		in.Stores = append(in.Stores, *w.Store)
	}
	return in
}

// observeChildren finds the projection's own objects.
func (r *ProjectionReconciler) observeChildren(ctx context.Context, w *world) error {
	lists := []client.ObjectList{
		&corev1.ConfigMapList{}, &appsv1.DeploymentList{}, &policyv1.PodDisruptionBudgetList{},
		&corev1.ServiceAccountList{}, &networkingv1.NetworkPolicyList{}, &appsv1.ControllerRevisionList{},
	}
	for _, list := range lists {
		if err := r.Client.List(ctx, list, client.InNamespace(w.Projection.Namespace), client.MatchingLabels{
			resources.LabelProjection: resources.Bounded(w.Projection.Name), resources.LabelManagedBy: resources.ManagedBy,
		}); err != nil {
			return err
		}
		for _, o := range items(list) {
			if metav1.IsControlledBy(o, w.Projection) {
				w.children = append(w.children, o)
			}
		}
	}
	return nil
}

func suspended(p *v1alpha1.Projection) bool { return p.Spec.Suspend != nil && *p.Spec.Suspend }

func items(list client.ObjectList) []client.Object {
	var out []client.Object
	switch l := list.(type) {
	case *corev1.ConfigMapList:
		out = pointers[corev1.ConfigMap](l.Items)
	case *appsv1.DeploymentList:
		out = pointers[appsv1.Deployment](l.Items)
	case *policyv1.PodDisruptionBudgetList:
		out = pointers[policyv1.PodDisruptionBudget](l.Items)
	case *corev1.ServiceAccountList:
		out = pointers[corev1.ServiceAccount](l.Items)
	case *networkingv1.NetworkPolicyList:
		out = pointers[networkingv1.NetworkPolicy](l.Items)
	case *appsv1.ControllerRevisionList:
		out = pointers[appsv1.ControllerRevision](l.Items)
	}
	return out
}

func pointers[T any, P interface {
	*T
	client.Object
}](in []T) []client.Object {
	out := make([]client.Object, len(in))
	for i := range in {
		out[i] = P(&in[i])
	}
	return out
}

func kindOf(o client.Object) string {
	switch o.(type) {
	case *corev1.ConfigMap:
		return "ConfigMap"
	case *appsv1.Deployment:
		return "Deployment"
	case *policyv1.PodDisruptionBudget:
		return "PodDisruptionBudget"
	case *corev1.ServiceAccount:
		return "ServiceAccount"
	case *networkingv1.NetworkPolicy:
		return "NetworkPolicy"
	case *appsv1.ControllerRevision:
		return "ControllerRevision"
	}
	return ""
}

// isTerminating reports whether the projection's namespace is being deleted.
func (r *ProjectionReconciler) isTerminating(ctx context.Context, namespace string) (bool, error) {
	ns := &corev1.Namespace{}
	err := r.Live.Get(ctx, client.ObjectKey{Name: namespace}, ns)
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	return err == nil && !ns.DeletionTimestamp.IsZero(), err
}
