// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package progress

import (
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Targets are the pods to ask: those that the Deployment owns through one of
// its ReplicaSets, run, have an address of their own, and are not on the host's
// network. Everything is compared by UID, since labels prove nothing.
func Targets(projection types.UID, deployment *appsv1.Deployment, sets []appsv1.ReplicaSet, pods []corev1.Pod) []Target {
	var out []Target
	for _, pod := range Own(projection, deployment, sets, pods) {
		if pod.Status.Phase != corev1.PodRunning || pod.Status.PodIP == "" || !pod.DeletionTimestamp.IsZero() ||
			pod.Spec.HostNetwork || pod.Status.PodIP == pod.Status.HostIP {
			continue
		}
		out = append(out, Target{Pod: pod.Name, IP: pod.Status.PodIP})
	}
	slices.SortFunc(out, func(a, b Target) int { return strings.Compare(a.Pod, b.Pod) })
	return out
}

// Own are the pods of the projection's Deployment, whatever state they are in.
func Own(projection types.UID, deployment *appsv1.Deployment, sets []appsv1.ReplicaSet, pods []corev1.Pod) []corev1.Pod {
	if deployment == nil || !controlledBy(deployment, projection) {
		return nil
	}
	owned := map[types.UID]bool{}
	for i := range sets {
		if sets[i].Namespace == deployment.Namespace && controlledBy(&sets[i], deployment.UID) {
			owned[sets[i].UID] = true
		}
	}
	var out []corev1.Pod
	for i := range pods {
		ref := metav1.GetControllerOf(&pods[i])
		if ref != nil && owned[ref.UID] && pods[i].Namespace == deployment.Namespace {
			out = append(out, pods[i])
		}
	}
	return out
}

func controlledBy(o metav1.Object, uid types.UID) bool {
	ref := metav1.GetControllerOf(o)
	return ref != nil && ref.UID == uid
}
