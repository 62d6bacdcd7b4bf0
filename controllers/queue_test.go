// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/controllers/plan"
	"github.com/projectionist-dev/projectionist/controllers/plan/rollout"
	"github.com/projectionist-dev/projectionist/controllers/resources"
)

// candidate is a record of a revision of projection name that waits to be built, made in the same second as all others.
func candidate(name, version string) *appsv1.ControllerRevision {
	return &appsv1.ControllerRevision{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: name + "-0123456789", UID: types.UID(name + "-record"), ResourceVersion: version,
		CreationTimestamp: metav1.Time{Time: time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)},
		Labels: map[string]string{
			resources.LabelManagedBy: resources.ManagedBy, resources.LabelRole: string(rollout.RoleCandidate), resources.LabelStore: "reads",
			resources.LabelProjection: name,
		},
		OwnerReferences: []metav1.OwnerReference{{Kind: "Projection", Name: name, UID: types.UID(name), Controller: ptr.To(true)}},
	}}
}

func ownerOfCandidate(name string) *v1alpha1.Projection {
	return &v1alpha1.Projection{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(name)},
		Spec:       v1alpha1.ProjectionSpec{StoreRef: v1alpha1.LocalRef{Name: "reads"}, Projector: v1alpha1.ProjectorSpec{Replicas: 2}},
	}
}

func connections(t *testing.T, c client.Client, o *appsv1.ControllerRevision, name string) rollout.Connections {
	t.Helper()
	r := &ProjectionReconciler{Base: Base{Live: c, Client: c}}
	w := &world{Observation: plan.Observation{Projection: ownerOfCandidate(name), Store: &v1alpha1.ReadStore{Spec: v1alpha1.ReadStoreSpec{MaxConnections: 20}}}}
	if o != nil {
		w.revisions = []*revision{{record: o, Revision: rollout.Revision{Name: "0123456789", Recorded: true, Role: rollout.Role(o.Labels[resources.LabelRole])}}}
	}
	out, err := r.connections(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// What runs counts, whoever it is of, and what was asked for before, a first build as well; what is asked for later does not.
func TestConnectionsOfAStore(t *testing.T) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, appsv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	first, second, elsewhere := candidate("a", "41"), candidate("b", "1042"), candidate("c", "7")
	first.Labels[resources.LabelRole], elsewhere.Labels[resources.LabelStore] = "", "others"
	done := candidate("a", "5")
	done.Name, done.UID, done.Labels[resources.LabelRole] = "a-9999999999", "kept", string(rollout.RoleKept)
	running := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "d-0123456789", Labels: map[string]string{
			resources.LabelManagedBy: resources.ManagedBy, resources.LabelStore: "reads", resources.LabelProjection: "d"}},
		Spec: appsv1.DeploymentSpec{Replicas: ptr.To[int32](3)},
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(first, second, elsewhere, done, running, ownerOfCandidate("a"), ownerOfCandidate("b")).Build()
	for name, want := range map[string]rollout.Connections{
		"a": {Limit: 20, Pods: 3, Projections: 3, Need: 2},
		"b": {Limit: 20, Pods: 5, Projections: 3, Need: 2},
	} {
		mine := map[string]*appsv1.ControllerRevision{"a": first, "b": second}[name]
		if got := connections(t, c, mine, name); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	if got, want := connections(t, c, nil, "d"), (rollout.Connections{Limit: 20, Pods: 3, Projections: 3}); got != want {
		t.Errorf("who waits for nothing: %+v, want %+v", got, want)
	}
	// A verification has a Job of its own.
	verified := ownerOfCandidate("v")
	verified.Spec.Rollout.Verify = &v1alpha1.Verify{}
	if err := c.Create(t.Context(), verified); err != nil {
		t.Fatal(err)
	}
	if got := connections(t, c, nil, "d"); got.Verified != 1 {
		t.Errorf("one is verified: %+v", got)
	}
	// And so have Replays of keys, one at a time.
	for _, name := range []string{"k", "l"} {
		keys := &v1alpha1.Replay{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}}
		keys.Spec.ProjectionRef.Name, keys.Spec.Keys = "v", v1alpha1.ReplayKeys{Model: "m", Values: []string{"1"}}
		if err := c.Create(t.Context(), keys); err != nil {
			t.Fatal(err)
		}
	}
	if got := connections(t, c, nil, "d"); got.Replayed != 1 {
		t.Errorf("keys of one are replayed: %+v", got)
	}
	// One whose tables are there starts, whenever it was asked for.
	second.Labels[resources.LabelRole] = string(rollout.RoleActive)
	if err := c.Update(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	if got := connections(t, c, first, "a"); got.Pods != 5 {
		t.Errorf("%+v, want the projectors that are about to start", got)
	}
}

func look(t *testing.T, live client.Reader, o *appsv1.ControllerRevision, name string) int {
	t.Helper()
	r := &ProjectionReconciler{Base: Base{Live: live}}
	w := &world{Observation: plan.Observation{Projection: ownerOfCandidate(name)}}
	w.revisions = []*revision{{record: o, Revision: rollout.Revision{Name: "0123456789", Recorded: true, Role: rollout.RoleCandidate, CreatedAt: o.CreationTimestamp.Time}}}
	n, err := r.ahead(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Two that are asked for in the same second never both find themselves first, whoever looks when, and whatever they are called.
func TestOneOfTwoGoesFirst(t *testing.T) {
	for _, names := range [][2]string{{"a", "b"}, {"b", "a"}} {
		first, second := candidate(names[0], "41"), candidate(names[1], "1042")
		both := fake.NewClientBuilder().WithObjects(first, second).Build()
		for what, alone := range map[string]client.Reader{"before the other is there": fake.NewClientBuilder().WithObjects(first).Build(), "when both are": both} {
			if n := look(t, alone, first, names[0]); n != 0 {
				t.Errorf("%s looks %s and finds %d before it", names[0], what, n)
			}
			if n := look(t, both, second, names[1]); n != 1 {
				t.Errorf("%s finds %d before it", names[1], n)
			}
		}
		// Whoever builds already is before all others.
		building := fake.NewClientBuilder().WithObjects(first, second, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: second.Name}}).Build()
		if n := look(t, building, first, names[0]); n != 1 {
			t.Errorf("%s finds %d that build", names[0], n)
		}
	}
}
