// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/manifests"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/workspace"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/compile"
)

// TestPlanScreens holds what plan says of a cluster.
func TestPlanScreens(t *testing.T) {
	clusterScreens(t, []clusterScreen{
		{"plan-cluster", []string{"plan", "-f", "testdata/plan/changed.yaml"}, func(w *world) {
			w.pod("order-summary-a", w.active.Revision, 12, partition(0, 6000000, 6000000), partition(1, 6000000, 6000014), partition(2, 6220000, 6220000))
		}},
		{"plan-figures", []string{"plan", "-f", "testdata/plan/changed.yaml"}, (*world).measured},
		{"plan-figures-markdown", []string{"plan", "-f", "testdata/plan/changed.yaml", "-o", "markdown"}, (*world).measured},
		{"plan-figures-json", []string{"plan", "-f", "testdata/plan/changed.yaml", "-o", "json"}, (*world).measured},
		{"plan-no-rights", []string{"plan", "-f", "testdata/plan/changed.yaml"}, func(w *world) {
			w.measured()
			w.forbidden = true
		}},
		{"plan-no-answer-json", []string{"plan", "-f", "testdata/plan/changed.yaml", "-o", "json"}, nil},
		{"plan-nothing-runs", []string{"plan", "-f", "testdata/plan/changed.yaml"}, func(w *world) {
			w.status(func(s *v1alpha1.ProjectionStatus) { s.ActiveRevision, s.Revisions = "", nil })
		}},
		{"plan-trimmed", []string{"plan", "-f", "testdata/plan/changed.yaml", "-o", "markdown"}, (*world).trimmed},
		{"plan-trimmed-text", []string{"plan", "-f", "testdata/plan/changed.yaml", "-f", "testdata/plan/connections.yaml", "-v"}, (*world).trimmed},
		{"plan-trimmed-json", []string{"plan", "-f", "testdata/plan/changed.yaml", "-o", "json"}, (*world).trimmed},
		{"plan-trimmed-nothing-runs", []string{"plan", "-f", "testdata/plan/changed.yaml"}, func(w *world) {
			w.trimmed()
			w.status(func(s *v1alpha1.ProjectionStatus) { s.ActiveRevision, s.Revisions = "", nil })
		}},
		{"plan-trimmed-kept", []string{"plan", "-f", "testdata/plan/changed.yaml"}, func(w *world) {
			w.trimmed()
			w.record("testdata/plan/changed.yaml")
		}},
		{"plan-trimmed-building", []string{"plan", "-f", "testdata/plan/changed.yaml"}, func(w *world) {
			w.trimmed()
			w.record("testdata/plan/changed.yaml")
			w.status(func(s *v1alpha1.ProjectionStatus) {
				s.Revisions[1].State, s.Revisions[1].KeptUntil = v1alpha1.RevisionBuilding, nil
			})
		}},
		{"plan-trimmed-queued", []string{"plan", "-f", "testdata/plan/changed.yaml"}, func(w *world) {
			w.trimmed()
			w.record("testdata/plan/changed.yaml")
			w.status(func(s *v1alpha1.ProjectionStatus) {
				s.Revisions[1].State, s.Revisions[1].KeptUntil = v1alpha1.RevisionQueued, nil
			})
		}},
		{"plan-trimmed-nothing-to-do", []string{"plan", "-f", "testdata/plan/same.yaml"}, (*world).trimmed},
		{"plan-trimmed-another-topic", []string{"plan", "-f", "testdata/plan/changed.yaml", "-f", "testdata/plan/other-topic.yaml"}, (*world).trimmed},
		{"plan-kept", []string{"plan", "-f", "testdata/plan/changed.yaml"}, func(w *world) {
			w.record("testdata/plan/changed.yaml")
		}},
		{"plan-json", []string{"plan", "-f", "testdata/plan/same.yaml", "-o", "json"}, nil},
		{"plan-wrong-flag", []string{"plan", "--before", "x"}, nil},
		{"plan-help", []string{"plan", "--help"}, nil},
	})
}

// trimmed says that the broker has deleted events.
func (w *world) trimmed() {
	w.t.Helper()
	topic := new(v1alpha1.EventTopic)
	if err := w.client.Get(w.t.Context(), client.ObjectKey{Namespace: "shop", Name: "orders"}, topic); err != nil {
		w.t.Fatal(err)
	}
	topic.Status.Conditions[0] = metav1.Condition{
		Type: v1alpha1.ConditionReplayPossible, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonEventsTrimmed, Message: "the first events of 2 partitions are gone",
	}
	if err := w.client.Update(w.t.Context(), topic); err != nil {
		w.t.Fatal(err)
	}
}

// measured makes known how many events there are, how fast the active revision was built, and what it takes.
func (w *world) measured() {
	w.pod("order-summary-a", w.active.Revision, 12, partition(0, 6000000, 6000000), partition(1, 6000000, 6000014), partition(2, 6220000, 6220000))
	w.pods["order-summary-a"].SizeBytes = 3_081_000_000
	w.status(func(s *v1alpha1.ProjectionStatus) {
		s.Revisions[0].Built = v1alpha1.Built{Events: 17_000_000, Seconds: 223}
	})
}

// record makes the revision of a manifest one that is kept.
func (w *world) record(file string) {
	w.t.Helper()
	set, err := manifests.Load([]string{file, before}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	ws := workspace.New(set)
	compiled, err := ws.Compile(ws.Projections[0], "c-1")
	if err != nil {
		w.t.Fatal(err)
	}
	// An attempt of it: the name alone does not tell that the rows are the same.
	compile.Rename(compiled.Contract, "earlier")
	data, err := json.Marshal(compiled.Contract)
	if err != nil {
		w.t.Fatal(err)
	}
	name := compiled.Contract.Revision
	if err := w.client.Create(w.t.Context(), &appsv1.ControllerRevision{
		ObjectMeta: w.owned("order-summary-"+name, name), Revision: 2, Data: runtime.RawExtension{Raw: data},
	}); err != nil {
		w.t.Fatal(err)
	}
	w.status(func(s *v1alpha1.ProjectionStatus) {
		s.Revisions = append(s.Revisions, v1alpha1.RevisionStatus{Name: name, State: v1alpha1.RevisionKept, KeptUntil: at(1)})
	})
}

// TestContractOfAnOlderRelease: without ControllerRevisions, what is mounted says what runs.
func TestContractOfAnOlderRelease(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	if err := w.client.DeleteAllOf(ctx, &appsv1.ControllerRevision{}, client.InNamespace("shop")); err != nil {
		t.Fatal(err)
	}
	if got := w.call("plan", "-f", "testdata/plan/same.yaml"); !strings.Contains(got, "is not in the cluster") || !strings.Contains(got, "exit code 1") {
		t.Error(got)
	}
	data, _ := json.Marshal(w.active)
	d := &appsv1.Deployment{ObjectMeta: w.owned("order-summary", w.active.Revision)}
	d.Spec.Template.Spec.Volumes = []corev1.Volume{{Name: "contract", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
		LocalObjectReference: corev1.LocalObjectReference{Name: "order-summary"},
	}}}}
	for _, o := range []client.Object{d, &corev1.ConfigMap{
		ObjectMeta: w.owned("order-summary", w.active.Revision), Data: map[string]string{contract.ContractKey: string(data)},
	}} {
		if err := w.client.Create(ctx, o); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.call("plan", "-f", "testdata/plan/same.yaml"); !strings.Contains(got, "nothing to do (active: "+w.active.Revision+")") {
		t.Error(got)
	}
}
