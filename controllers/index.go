// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
)

// The field indexes by which a change of one resource finds those that refer to it.
const (
	indexTopicBroker      = "spec.brokerRef.name"
	indexProjectionTopic  = "spec.topics.name"
	indexProjectionStore  = "spec.storeRef.name"
	indexReplayProjection = "spec.projectionRef.name"
)

// Index is a field index: which resource, under which name, by which values.
type Index struct {
	Object client.Object
	Field  string
	Values client.IndexerFunc
}

// Indexes are what the reconcilers need of a cache.
func Indexes() []Index {
	return []Index{
		{&v1alpha1.EventTopic{}, indexTopicBroker, func(o client.Object) []string {
			return []string{o.(*v1alpha1.EventTopic).Spec.BrokerRef.Name}
		}},
		{&v1alpha1.Projection{}, indexProjectionTopic, func(o client.Object) []string {
			var names []string
			for _, t := range o.(*v1alpha1.Projection).Spec.Topics {
				names = append(names, t.Name)
			}
			return names
		}},
		{&v1alpha1.Projection{}, indexProjectionStore, func(o client.Object) []string {
			return []string{o.(*v1alpha1.Projection).Spec.StoreRef.Name}
		}},
		{&v1alpha1.Replay{}, indexReplayProjection, func(o client.Object) []string {
			return []string{o.(*v1alpha1.Replay).Spec.ProjectionRef.Name}
		}},
	}
}

// AddIndexes registers the indexes with a manager.
func AddIndexes(ctx context.Context, mgr ctrl.Manager) error {
	for _, i := range Indexes() {
		if err := mgr.GetFieldIndexer().IndexField(ctx, i.Object, i.Field, i.Values); err != nil {
			return err
		}
	}
	return nil
}

// topicsOf are the EventTopics on a broker.
func (b *Base) topicsOf(ctx context.Context, broker client.Object) []reconcile.Request {
	var list v1alpha1.EventTopicList
	if err := b.Client.List(ctx, &list, client.InNamespace(broker.GetNamespace()),
		client.MatchingFields{indexTopicBroker: broker.GetName()}); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "cannot list the topics of a broker")
		return nil
	}
	var out []reconcile.Request
	for i := range list.Items {
		out = append(out, requestFor(&list.Items[i]))
	}
	return out
}

// projectionsOfTopic are the Projections that consume a topic.
func (b *Base) projectionsOfTopic(ctx context.Context, topic client.Object) []reconcile.Request {
	return b.projectionsBy(ctx, topic.GetNamespace(), indexProjectionTopic, topic.GetName())
}

// projectionsOfStore are the Projections whose tables are in a store.
func (b *Base) projectionsOfStore(ctx context.Context, store client.Object) []reconcile.Request {
	return b.projectionsBy(ctx, store.GetNamespace(), indexProjectionStore, store.GetName())
}

// projectionsOfBroker are the Projections that consume a topic on a broker.
func (b *Base) projectionsOfBroker(ctx context.Context, broker client.Object) []reconcile.Request {
	seen := map[reconcile.Request]bool{}
	var out []reconcile.Request
	for _, topic := range b.topicsOf(ctx, broker) {
		for _, r := range b.projectionsBy(ctx, topic.Namespace, indexProjectionTopic, topic.Name) {
			if !seen[r] {
				seen[r] = true
				out = append(out, r)
			}
		}
	}
	return out
}

func (b *Base) projectionsBy(ctx context.Context, namespace, field, value string) []reconcile.Request {
	var list v1alpha1.ProjectionList
	if err := b.Client.List(ctx, &list, client.InNamespace(namespace), client.MatchingFields{field: value}); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "cannot list the projections that refer to a resource")
		return nil
	}
	var out []reconcile.Request
	for i := range list.Items {
		out = append(out, requestFor(&list.Items[i]))
	}
	return out
}

func requestFor(o client.Object) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}}
}
