// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestSamples applies every YAML of config/samples as it is.
func TestSamples(t *testing.T) {
	t.Parallel()
	n := newSpace(t)
	files, err := filepath.Glob(root + "/config/samples/*/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples (%v)", err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range n.objects(string(text)) {
			// Samples share names; each is applied alone, and strictly: an unknown field would be an error.
			err := kube().Create(t.Context(), u, client.DryRunAll, client.FieldValidation("Strict"))
			if err != nil {
				t.Errorf("%s: %s %s: %v", f, u.GetKind(), u.GetName(), err)
			}
		}
	}
}

// TestKubectl looks at what people see of our kinds.
func TestKubectl(t *testing.T) {
	t.Parallel()
	n := newSpace(t)
	n.apply(brokerAndStore + ordersTopic + counts)
	n.caughtUp("counts")
	n.ready(n.broker("main"), n.store("reads"), n.topic("orders"))
	all := n.kubectl("get", "cqrs")
	t.Log("kubectl get cqrs\n" + all)
	says(t, all, "eventbroker.cqrs.projectionist.dev/main", "eventtopic.cqrs.projectionist.dev/orders",
		"readstore.cqrs.projectionist.dev/reads", "projection.cqrs.projectionist.dev/counts", "CaughtUp", "READY")
	for short, kind := range map[string]string{"evb": "eventbroker", "evt": "eventtopic", "rstore": "readstore", "proj": "projection"} {
		says(t, n.kubectl("get", short, "-o", "name"), kind+".cqrs.projectionist.dev/")
	}
	for field, words := range map[string][]string{
		"eventbroker.spec.kafka.bootstrapServers":  {"host:port", "Example"},
		"eventtopic.spec.keyedBy":                  {"Example"},
		"readstore.spec.postgres.secretRef":        {"CloudNativePG"},
		"projection.spec.lagTargetSeconds":         {"Default"},
		"projection.spec.models.handlers.onAbsent": {"Default"},
		"projection.spec.projector.replicas":       {"Default"},
		"projection.status.conditions":             {"Ready"},
	} {
		says(t, n.kubectl("explain", field, "--api-version=cqrs.projectionist.dev/v1alpha1"), words...)
	}
	// What an autoscaler does: read the scale, and write it.
	p := n.projection("counts")
	scale := &autoscalingv1.Scale{}
	if err := kube().SubResource("scale").Get(t.Context(), p, scale); err != nil {
		t.Fatal(err)
	}
	if scale.Spec.Replicas != 1 || scale.Status.Replicas != 1 || !strings.Contains(scale.Status.Selector, "projectionist.dev/projection=counts") {
		t.Errorf("scale is %+v", scale)
	}
	scale.Spec.Replicas = 7
	if err := kube().SubResource("scale").Update(t.Context(), p, client.WithSubResourceBody(scale)); err != nil {
		t.Fatal(err)
	}
	n.running("counts", 3)
	eventually(t, soon, "the cap is told", func(ctx context.Context) string {
		n.caughtUp("counts")
		c := n.condition(p, "Ready", "True", "CaughtUp")
		if !strings.Contains(c.Message, "LimitedByPartitions") {
			return c.Message
		}
		return ""
	})
}

// TestFreshIsNotCurrent holds that no one who waits as kstatus does takes a fresh object for a finished one.
func TestFreshIsNotCurrent(t *testing.T) {
	t.Parallel()
	n := newSpace(t)
	// There is nothing that its broker answers, so that it cannot be ready soon.
	for _, u := range n.objects(brokerAndStore + ordersTopic + counts) {
		watched := u.DeepCopy()
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(watched.GroupVersionKind())
		list.SetKind(watched.GetKind() + "List")
		events, err := kube().Watch(t.Context(), list, client.InNamespace(n.name))
		if err != nil {
			t.Fatal(err)
		}
		if err := kube().Create(t.Context(), u, client.FieldOwner("e2e")); err != nil {
			t.Fatal(err)
		}
		states := 0
		for e := range events.ResultChan() {
			o, ok := e.Object.(*unstructured.Unstructured)
			if !ok {
				t.Fatalf("watch: %v", e)
			}
			states++
			current, why := isCurrent(o)
			if states == 1 && current {
				t.Errorf("the fresh %s %s counts as finished", o.GetKind(), o.GetName())
			}
			if current {
				ready, _ := findCondition(o, "Ready")
				if ready != "True" {
					t.Errorf("%s %s counts as finished while Ready is %q: %s", o.GetKind(), o.GetName(), ready, why)
				}
				break
			}
			if states > 50 {
				t.Fatalf("%s %s does not get ready: %s", o.GetKind(), o.GetName(), why)
			}
		}
		events.Stop()
	}
}

// isCurrent decides as kstatus does for kinds that it does not know.
func isCurrent(o *unstructured.Unstructured) (bool, string) {
	observed, found, _ := unstructured.NestedInt64(o.Object, "status", "observedGeneration")
	if found && observed != o.GetGeneration() {
		return false, fmt.Sprintf("observed generation %d of %d", observed, o.GetGeneration())
	}
	if status, message := findCondition(o, "Reconciling"); status == "True" {
		return false, message
	}
	if status, message := findCondition(o, "Stalled"); status == "True" {
		return false, message
	}
	if status, message := findCondition(o, "Ready"); status == "False" || status == "Unknown" {
		return false, message
	}
	return true, ""
}

func findCondition(o *unstructured.Unstructured, kind string) (status, message string) {
	all, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, c := range all {
		if m, ok := c.(map[string]any); ok && m["type"] == kind {
			return fmt.Sprint(m["status"]), fmt.Sprint(m["message"])
		}
	}
	return "", ""
}
