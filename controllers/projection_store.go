// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/controllers/plan"
	"github.com/projectionist-dev/projectionist/controllers/plan/replay"
	"github.com/projectionist-dev/projectionist/controllers/plan/rollout"
	"github.com/projectionist-dev/projectionist/controllers/resources"
)

// What a projection has to know of the others of its store: who builds before it,
// and how many connections they take.

// ofStore are the labels of the objects of a store's projections.
func ofStore(p *v1alpha1.Projection) client.MatchingLabels {
	return client.MatchingLabels{resources.LabelManagedBy: resources.ManagedBy, resources.LabelStore: resources.Bounded(p.Spec.StoreRef.Name)}
}

// next is the revision that waits for its projectors in one of some roles, nil if none does.
func (w *world) next(roles ...rollout.Role) *revision {
	for _, v := range w.revisions {
		if v.Recorded && !v.Deployed && slices.Contains(roles, v.Role) {
			return v
		}
	}
	return nil
}

// asked is the resource version at which a revision was asked for: that of its record, which is the newer one in all where it is there.
func asked(record *appsv1.ControllerRevision, all []appsv1.ControllerRevision) string {
	for i := range all {
		if all[i].UID == record.UID {
			return all[i].ResourceVersion
		}
	}
	return record.ResourceVersion
}

// ahead counts the builds of other projections of the store that come before
// this one's: those that go on, and those that were asked for earlier. It is read from the
// API server, and earlier is what the resource version says: of two candidates one then
// finds the other before itself, however close they are, and whatever a cache or a clock shows.
func (r *ProjectionReconciler) ahead(ctx context.Context, w *world) (int, error) {
	mine := w.next(rollout.RoleCandidate)
	if mine == nil {
		return 0, nil
	}
	p := w.Projection
	of := ofStore(p)
	of[resources.LabelRole] = string(rollout.RoleCandidate)
	var all appsv1.ControllerRevisionList
	if err := r.Live.List(ctx, &all, client.InNamespace(p.Namespace), of); err != nil {
		return 0, err
	}
	since, n := asked(mine.record, all.Items), 0
	for i := range all.Items {
		o := &all.Items[i]
		if metav1.IsControlledBy(o, p) || !o.DeletionTimestamp.IsZero() {
			continue
		}
		order, err := resourceversion.CompareResourceVersion(o.ResourceVersion, since)
		if err != nil {
			return 0, err
		}
		if order < 0 {
			n++
			continue
		}
		switch err := r.Live.Get(ctx, client.ObjectKeyFromObject(o), &appsv1.Deployment{}); {
		case err == nil:
			n++
		case client.IgnoreNotFound(err) != nil:
			return 0, err
		}
	}
	return n, nil
}

// connections counts what the store's projections take of its connections, where that has a limit. While a revision
// waits, it counts from the API server those that were asked for before, too: of two that would exceed it together, one waits.
func (r *ProjectionReconciler) connections(ctx context.Context, w *world) (rollout.Connections, error) {
	if w.Store == nil || w.Store.Spec.MaxConnections == 0 {
		return rollout.Connections{}, nil
	}
	p := w.Projection
	out := rollout.Connections{Limit: w.Store.Spec.MaxConnections}
	reader := client.Reader(r.Client)
	mine := w.next(rollout.RoleCandidate, "")
	if mine != nil {
		reader = r.Live
		out.Need, _ = plan.Replicas(p, plan.Partitions(p, nil, w.Topics))
	}
	var running appsv1.DeploymentList
	var records appsv1.ControllerRevisionList
	for _, list := range []client.ObjectList{&running, &records} {
		if err := reader.List(ctx, list, client.InNamespace(p.Namespace), ofStore(p)); err != nil {
			return out, err
		}
	}
	projections, deployed := map[string]bool{resources.Bounded(p.Name): true}, map[string]bool{}
	for i := range running.Items {
		d := &running.Items[i]
		out.Pods += ptr.Deref(d.Spec.Replicas, 1)
		projections[d.Labels[resources.LabelProjection]], deployed[d.Name] = true, true
	}
	for i := range records.Items {
		o := &records.Items[i]
		projections[o.Labels[resources.LabelProjection]] = true
		if mine == nil || deployed[o.Name] || metav1.IsControlledBy(o, p) || !o.DeletionTimestamp.IsZero() {
			continue
		}
		order, err := resourceversion.CompareResourceVersion(o.ResourceVersion, asked(mine.record, records.Items))
		if err != nil {
			return out, err
		}
		starts := false
		switch rollout.Role(o.Labels[resources.LabelRole]) {
		case rollout.RoleActive: // its tables are there, its projectors are about to be
			starts = true
		case rollout.RoleCandidate, "":
			starts = order < 0
		case rollout.RoleReady, rollout.RoleKept, rollout.RoleLeaving:
		}
		if owner := metav1.GetControllerOf(o); starts && owner != nil {
			other := &v1alpha1.Projection{}
			if found, err := r.get(ctx, o.Namespace, owner.Name, other); err != nil {
				return out, err
			} else if found {
				n, _ := plan.Replicas(other, other.Status.Partitions)
				out.Pods += n
			}
		}
	}
	var all v1alpha1.ProjectionList
	if err := r.Client.List(ctx, &all, client.InNamespace(p.Namespace)); err != nil {
		return out, err
	}
	var asked v1alpha1.ReplayList
	if err := r.Client.List(ctx, &asked, client.InNamespace(p.Namespace)); err != nil {
		return out, err
	}
	for i := range all.Items {
		o := &all.Items[i]
		if o.Spec.StoreRef.Name != p.Spec.StoreRef.Name {
			continue
		}
		if o.Spec.Rollout.Verify != nil || replay.Verifies(asked.Items, o.Name) {
			out.Verified++
		}
		if replay.Keys(asked.Items, o.Name) {
			out.Replayed++
		}
	}
	out.Projections = int32(len(projections))
	return out, nil
}
