// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestOperatorRights reads the rights of the operator as it was installed, and asks the API server about them.
func TestOperatorRights(t *testing.T) {
	t.Parallel()
	n := newSpace(t)
	var (
		roles    rbacv1.ClusterRoleList
		local    rbacv1.RoleList
		bindings rbacv1.ClusterRoleBindingList
	)
	ours := client.MatchingLabels{"app.kubernetes.io/part-of": "projectionist"}
	for _, l := range []client.ObjectList{&roles, &local, &bindings} {
		if err := kube().List(t.Context(), l, ours); err != nil {
			t.Fatal(err)
		}
	}
	bound := map[string]bool{}
	for _, b := range bindings.Items {
		if slices.ContainsFunc(b.Subjects, func(s rbacv1.Subject) bool { return s.Namespace == operatorNamespace }) {
			bound[b.RoleRef.Name] = true
		}
	}
	if len(bound) == 0 {
		t.Fatal("no ClusterRoleBinding of the operator: was the installation's label changed?")
	}
	for _, r := range roles.Items {
		if bound[r.Name] {
			checkRules(t, r.Name, r.Rules)
		}
	}
	for _, r := range local.Items {
		checkRules(t, r.Name, r.Rules)
	}
	who := fmt.Sprintf("--as=system:serviceaccount:%s:%s", operatorNamespace, operatorName)
	for _, forbidden := range []string{"get secrets", "list secrets", "create pods/exec", "escalate clusterroles", "bind clusterroles", "create pods", "impersonate users"} {
		answer, _ := n.run(append(append([]string{"auth", "can-i"}, strings.Fields(forbidden)...), who)...)
		if !strings.HasPrefix(strings.TrimSpace(lastLine(answer)), "no") {
			t.Errorf("may the operator %s? %s", forbidden, answer)
		}
	}
	if answer := n.kubectl("auth", "can-i", "create", "jobs", who); strings.TrimSpace(answer) != "yes" {
		t.Errorf("may the operator create jobs? %s: the questions above ask about somebody else", answer)
	}
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

func checkRules(t *testing.T, role string, rules []rbacv1.PolicyRule) {
	t.Helper()
	for _, r := range rules {
		for _, word := range slices.Concat(r.Verbs, r.Resources, r.APIGroups) {
			name, sub, _ := strings.Cut(word, "/")
			if word == "*" || name == "secrets" || sub == "exec" || slices.Contains([]string{"bind", "escalate", "impersonate"}, word) {
				t.Errorf("role %s has %q: %+v", role, word, r)
			}
		}
	}
}

// TestCanary puts marks into payloads and Secrets, makes both be used and go wrong, and looks for them everywhere.
func TestCanary(t *testing.T) {
	t.Parallel()
	n := newSpace(t)
	const payload, password = "c4nary-payload-value", "c4nary-secret-value"
	role := n.schema
	n.role(password)
	n.apply(`
apiVersion: v1
kind: Secret
metadata: {name: own}
stringData: {uri: "postgresql://` + role + `:` + password + `@postgres:5432/$PG_DATABASE"}
---
apiVersion: v1
kind: Secret
metadata: {name: wrong}
stringData: {username: ` + role + `, password: ` + password + `x, host: postgres, dbname: $PG_DATABASE}
---
apiVersion: cqrs.projectionist.dev/v1alpha1
kind: ReadStore
metadata: {name: wrong}
spec: {postgres: {secretRef: {name: wrong}}}
---
apiVersion: cqrs.projectionist.dev/v1alpha1
kind: EventBroker
metadata: {name: wrong}
spec: {kafka: {bootstrapServers: ["kafka:9092"], authentication: {mechanism: PLAIN, secretRef: {name: wrong}}}}
---
` + strings.Replace(brokerAndStore, "secretRef: {name: reads-app}", "secretRef: {name: own}", 1) + ordersTopic +
		strings.Replace(counts, "set: {last: event.n}", "set: {last: event.n}\n    - {name: note, events: [note], key: {id: event.id}, set: {last: int(event.note)}}", 1))
	n.caughtUp("counts")
	n.produce(message{"orders", payload, `{"type":"line","id":"` + payload + `","n":1}`})
	n.holds("SELECT count(*) FROM $SCHEMA.counts WHERE id = '"+payload+"'", "(1)")
	n.produce(message{"orders", payload, `{"type":"note","id":"` + payload + `","note":"` + payload + `"}`})
	n.condition(n.projection("counts"), "Stalled", "True", "HandlerError")
	n.produce(message{"orders", n.keyElsewhere(payload), payload + "{"})
	n.condition(n.store("wrong"), "Ready", "False", "AuthenticationFailed")
	n.condition(n.broker("wrong"), "Ready", "False", "AuthenticationFailed")
	n.nowhere(payload, password, parts()["KAFKA_SASL_PASSWORD"], parts()["PG_PASSWORD_PROJECTOR"])

	// The namespace enforces "restricted", so that they run at all says that they keep to it; and no token is mounted.
	var pods corev1.PodList
	if err := kube().List(t.Context(), &pods, client.InNamespace(n.name)); err != nil || len(pods.Items) == 0 {
		t.Fatalf("no pods (%v)", err)
	}
	for i := range pods.Items {
		p := &pods.Items[i]
		if p.Spec.AutomountServiceAccountToken == nil || *p.Spec.AutomountServiceAccountToken {
			t.Errorf("pod %s has a token mounted", p.Name)
		}
	}
}
