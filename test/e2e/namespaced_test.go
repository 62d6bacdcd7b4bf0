// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestNamespacedInstall runs an operator that lives in the namespace that it works in, with a Role alone. It runs alone,
// since the operator of the whole cluster has to rest meanwhile.
func TestNamespacedInstall(t *testing.T) {
	n := newSpace(t)
	whole := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: operatorName}}
	n.get(whole)
	image := whole.Spec.Template.Spec.Containers[0].Image
	scale := func(ctx context.Context, replicas int32) error {
		return kube().Patch(ctx, whole, client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas)))
	}
	t.Cleanup(func() {
		if err := scale(context.Background(), 1); err != nil {
			t.Error(err)
		}
		n.try("-n", operatorNamespace, "rollout", "status", "deployment/"+operatorName, "--timeout=60s")
	})
	if err := scale(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	n.kubectl("-n", operatorNamespace, "wait", "--for=delete", "pod", "-l", "app.kubernetes.io/component=operator", "--timeout=60s")

	file := t.TempDir() + "/install.yaml"
	if out, err := exec.CommandContext(t.Context(), root+"/hack/install/render", "-image", image, "-overlay", "config/namespaced", "-o", file).CombinedOutput(); err != nil {
		t.Fatalf("render: %v\n%s", err, out)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	manifest := regexp.MustCompile(`(?m)^(\s*)namespace: projectionist$`).ReplaceAllString(string(text), "${1}namespace: "+n.name)
	for _, u := range n.objects(manifest) {
		if u.GetKind() == "ClusterRole" || u.GetKind() == "ClusterRoleBinding" || u.GetNamespace() != n.name {
			t.Errorf("it installs %s %s in namespace %q", u.GetKind(), u.GetName(), u.GetNamespace())
		}
	}
	n.apply(manifest)
	n.kubectl("rollout", "status", "deployment/"+operatorName, "--timeout=90s")
	var roles rbacv1.RoleList
	if err := kube().List(t.Context(), &roles, client.InNamespace(n.name)); err != nil || len(roles.Items) == 0 {
		t.Fatalf("no Role (%v)", err)
	}
	for _, r := range roles.Items {
		checkRules(t, r.Name, r.Rules)
	}
	n.apply(brokerAndStore + ordersTopic + counts)
	n.caughtUp("counts")
	n.produce(line("a", 1))
	n.holds("SELECT events FROM $SCHEMA.counts", "(1)")
	log := n.kubectl("logs", "deployment/"+operatorName)
	if strings.Contains(log, "forbidden") || strings.Contains(log, `"level":"error"`) {
		t.Errorf("the operator's log:\n%s", log)
	}
	who := fmt.Sprintf("--as=system:serviceaccount:%s:%s", n.name, operatorName)
	if answer, _ := n.run("auth", "can-i", "list", "pods", "-n", "kube-system", who); !strings.HasPrefix(lastLine(answer), "no") {
		t.Errorf("may it list pods elsewhere? %s", answer)
	}
}
