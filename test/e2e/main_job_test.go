// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/projectionist-dev/projectionist/test/oracle"
)

// projectors are the pods of a projection that are not on their way out.
func (n *space) projectors(ctx context.Context, projection string) ([]corev1.Pod, error) {
	var pods corev1.PodList
	err := kube().List(ctx, &pods, client.InNamespace(n.name),
		client.MatchingLabels{"projectionist.dev/projection": projection, "app.kubernetes.io/component": "projector"})
	return slices.DeleteFunc(pods.Items, func(p corev1.Pod) bool {
		return p.DeletionTimestamp != nil || p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded
	}), err
}

// running waits until a projection has exactly so many ready projectors, and gives their names.
func (n *space) running(projection string, want int) []string {
	n.t.Helper()
	var names []string
	eventually(n.t, soon, fmt.Sprintf("%d projectors of %s", want, projection), func(ctx context.Context) string {
		pods, err := n.projectors(ctx, projection)
		if err != nil {
			return err.Error()
		}
		names = nil
		for i := range pods {
			for _, c := range pods[i].Status.Conditions {
				if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
					names = append(names, pods[i].Name)
				}
			}
		}
		if len(names) != want || len(pods) != want {
			return fmt.Sprintf("%d pods, %d of them ready", len(pods), len(names))
		}
		return ""
	})
	return names
}

// signal sends a signal to a pod's processes from outside.
func (n *space) signal(signal, pod string) {
	n.t.Helper()
	if out, err := exec.CommandContext(n.t.Context(), root+"/hack/cluster/signal", signal, n.name, pod).CombinedOutput(); err != nil {
		n.t.Fatalf("signal %s %s: %v\n%s", signal, pod, err, out)
	}
}

// feed makes events, folds them for the comparison, and produces them.
func (n *space) feed(g *oracle.Generator, f *oracle.Fold, events int) {
	n.t.Helper()
	messages := make([]message, 0, events)
	for range events {
		e := g.Next()
		if err := f.Apply(e); err != nil {
			n.t.Fatal(err)
		}
		messages = append(messages, message{e.Topic, e.Key, string(e.Value)})
	}
	n.produce(messages...)
}

// applied is how many events of a space are in its balances: it moves whenever anything does.
func (n *space) applied(ctx context.Context) (sum int64) {
	err := database().QueryRow(ctx, n.fill("SELECT coalesce(sum(events), 0)::int8 FROM $SCHEMA.balances")).Scan(&sum)
	if err != nil {
		n.t.Logf("balances: %v", err)
	}
	return sum
}

// moves waits until more events are applied than there are now.
func (n *space) moves() {
	n.t.Helper()
	before := n.applied(n.t.Context())
	eventually(n.t, soon, "events are applied", func(ctx context.Context) string {
		if n.applied(ctx) > before {
			return ""
		}
		return fmt.Sprintf("still %d", before)
	})
}

// equal waits until the tables are the oracle's.
func (n *space) equal(f *oracle.Fold) {
	n.t.Helper()
	eventually(n.t, soon, "the tables equal the oracle's", func(ctx context.Context) string {
		r, err := f.Check(ctx, database(), n.schema)
		if err != nil {
			return err.Error()
		}
		if !r.OK() {
			return r.String()
		}
		return ""
	})
}

// caughtUp waits until a projection says so for its newest spec.
func (n *space) caughtUp(name string) {
	n.t.Helper()
	n.condition(n.projection(name), "Ready", "True", "CaughtUp")
}

// TestMainJob follows the life of a projection under load: projectors die, are deleted, are scaled; the operator dies.
func TestMainJob(t *testing.T) {
	t.Parallel()
	n := newSpace(t)
	n.apply(brokerAndStore + ordersTopic + ledger)
	n.ready(n.broker("main"), n.store("reads"), n.topic("orders"), n.topic("payments"))
	n.caughtUp("ledger")

	g, f := oracle.NewGenerator(1, 800, 40), oracle.NewFold()
	n.feed(g, f, 20_000)
	victim := n.running("ledger", 1)[0]
	n.signal("KILL", victim)
	n.feed(g, f, 5_000)
	n.moves()
	n.kubectl("delete", "pod", victim, "--wait=false")
	n.feed(g, f, 5_000)

	n.kubectl("scale", "proj/ledger", "--replicas=3")
	n.feed(g, f, 5_000)
	n.running("ledger", 3)
	n.feed(g, f, 10_000)
	killOperator(t)
	n.kubectl("scale", "proj/ledger", "--replicas=1")
	n.feed(g, f, 5_000)
	n.running("ledger", 1)
	n.equal(f)
	n.caughtUp("ledger")

	// The lag is written every 30 seconds at most, and the number of pods follows the Deployment's.
	eventually(t, soon, "kubectl get proj tells how it is", func(context.Context) string {
		line := strings.Fields(n.kubectl("get", "proj", "ledger", "--no-headers"))
		if len(line) < 7 || line[1] != "True" || line[2] != "CaughtUp" || line[4] != "1" || line[5] != "0" || line[6] != "reads" {
			return fmt.Sprintf("it prints %q", line)
		}
		return ""
	})
	// The same node drains without harm: the budget lets a single projector go.
	pod := n.running("ledger", 1)[0]
	var d appsv1.DeploymentList
	if err := kube().List(t.Context(), &d, client.InNamespace(n.name)); err != nil || len(d.Items) != 1 {
		t.Fatalf("%d Deployments (%v)", len(d.Items), err)
	}
	n.evict(pod)
	n.feed(g, f, 500)
	n.equal(f)
}

// evict asks for a pod to go as kubectl drain does.
func (n *space) evict(pod string) {
	n.t.Helper()
	path := n.t.TempDir() + "/eviction.json"
	n.writeFile(path, fmt.Sprintf(`{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":%q,"namespace":%q}}`, pod, n.name))
	n.kubectl("create", "--raw", fmt.Sprintf("/api/v1/namespaces/%s/pods/%s/eviction", n.name, pod), "-f", path)
}

// TestLateSubscriber starts a projection on a topic that is full already.
func TestLateSubscriber(t *testing.T) {
	t.Parallel()
	n := newSpace(t)
	n.apply(brokerAndStore + ordersTopic)
	n.ready(n.topic("orders"))
	var messages []message
	for i := range 2_000 {
		id := fmt.Sprint("k", i%50)
		messages = append(messages, message{"orders", id, fmt.Sprintf(`{"type":"line","id":%q,"n":%d}`, id, i)})
	}
	n.produce(messages...)
	n.apply(counts)
	n.caughtUp("counts")
	n.holds("SELECT count(*), sum(events), max(last) FROM $SCHEMA.counts", "(50,2000,1999)")
	// A rollout of what needs no rebuild changes pods, not rows.
	before := n.running("counts", 1)[0]
	n.merge(n.projection("counts"), `{"spec":{"projector":{"resources":{"requests":{"cpu":"30m"},"limits":{"memory":"256Mi"}}}}}`)
	eventually(t, soon, "the pod is another", func(ctx context.Context) string {
		pods, err := n.projectors(ctx, "counts")
		if err != nil || len(pods) != 1 || pods[0].Name == before {
			return fmt.Sprintf("%d pods (%v)", len(pods), err)
		}
		if q := pods[0].Spec.Containers[0].Resources.Limits.Memory().String(); q != "256Mi" {
			return "its limit is " + q
		}
		return ""
	})
	n.caughtUp("counts")
	n.produce(message{"orders", "k1", `{"type":"line","id":"k1","n":5000}`})
	n.holds("SELECT events, last FROM $SCHEMA.counts WHERE id = 'k1'", "(41,5000)")
}

// operatorLife is held to kill the operator, and for reading by who looks into it: tests run side by side.
var operatorLife sync.RWMutex

// killOperator kills the operator and waits until its Deployment is available again.
func killOperator(t *testing.T) {
	t.Helper()
	operatorLife.Lock()
	defer operatorLife.Unlock()
	var pods corev1.PodList
	operator := client.MatchingLabels{"app.kubernetes.io/component": "operator"}
	if err := kube().List(t.Context(), &pods, client.InNamespace(operatorNamespace), operator); err != nil || len(pods.Items) == 0 {
		t.Fatalf("no operator's pod (%v)", err)
	}
	old := pods.Items[0].Name
	if err := kube().Delete(t.Context(), &pods.Items[0], client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	eventually(t, soon, "another operator runs", func(ctx context.Context) string {
		d := &appsv1.Deployment{}
		key := client.ObjectKey{Namespace: operatorNamespace, Name: operatorName}
		if err := kube().Get(ctx, key, d); err != nil {
			return err.Error()
		}
		if err := kube().List(ctx, &pods, client.InNamespace(operatorNamespace), operator); err != nil {
			return err.Error()
		}
		if slices.ContainsFunc(pods.Items, func(p corev1.Pod) bool { return p.Name == old }) || d.Status.AvailableReplicas != 1 {
			return "it does not yet"
		}
		return ""
	})
}

const (
	operatorNamespace = "projectionist-system"
	operatorName      = "projectionist-controller-manager"
	// quick is for what needs no pod to start.
	quick = 30 * time.Second
)
