// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/controllers/progress"
	"github.com/projectionist-dev/projectionist/controllers/resources"
)

// The permissions of the operator. There is none on Secrets, no wildcard, and
// nothing by which rights could grow; a test holds it (Law 7).
//
// +kubebuilder:rbac:groups=cqrs.projectionist.dev,resources=eventbrokers;eventtopics;readstores,verbs=get;list;watch
// +kubebuilder:rbac:groups=cqrs.projectionist.dev,resources=projections,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=cqrs.projectionist.dev,resources=replays,verbs=get;list;watch;patch;delete
// +kubebuilder:rbac:groups=cqrs.projectionist.dev,resources=eventbrokers/status;eventtopics/status;readstores/status;projections/status;replays/status,verbs=patch
// +kubebuilder:rbac:groups=apps,resources=deployments,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=apps,resources=controllerrevisions,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=apps,resources=replicasets,verbs=get;list;watch
// +kubebuilder:rbac:groups=batch,resources=jobs,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=configmaps;serviceaccounts,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=services,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get
// +kubebuilder:rbac:groups=policy,resources=poddisruptionbudgets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// NewScheme knows every type that the operator reads or writes.
func NewScheme() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(s); err != nil {
		return nil, err
	}
	return s, v1alpha1.AddToScheme(s)
}

// CacheByObject keeps of the common kinds only what carries the operator's
// label: its memory does not grow with other people's pods.
func CacheByObject() map[client.Object]cache.ByObject {
	ours := cache.ByObject{Label: labels.SelectorFromSet(labels.Set{resources.LabelManagedBy: resources.ManagedBy})}
	return map[client.Object]cache.ByObject{
		&corev1.Pod{}: ours, &corev1.ConfigMap{}: ours, &corev1.Service{}: ours, &corev1.ServiceAccount{}: ours,
		&appsv1.Deployment{}: ours, &appsv1.ReplicaSet{}: ours, &appsv1.ControllerRevision{}: ours, &batchv1.Job{}: ours,
		&policyv1.PodDisruptionBudget{}: ours, &networkingv1.NetworkPolicy{}: ours,
	}
}

// Setup registers all reconcilers with a manager.
func Setup(ctx context.Context, mgr ctrl.Manager, options Options, poller progress.Poller) error {
	if err := AddIndexes(ctx, mgr); err != nil {
		return err
	}
	base := Base{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Scheme: mgr.GetScheme(),
		Recorder: mgr.GetEventRecorder("projectionist"), Now: time.Now, Options: options,
	}
	tracker := progress.NewTracker()
	for _, r := range []interface{ SetupWithManager(ctrl.Manager) error }{
		&EventBrokerReconciler{base},
		&EventTopicReconciler{base},
		&ReadStoreReconciler{base},
		&ProjectionReconciler{Base: base, Poller: poller, Tracker: tracker, MaxConcurrent: 8},
		&ReplayReconciler{Base: base, Tracker: tracker},
	} {
		if err := r.SetupWithManager(mgr); err != nil {
			return err
		}
	}
	return nil
}
