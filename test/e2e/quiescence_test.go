// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
)

// TestQuiescence watches a caught-up projection for a minute: nothing changes in its namespace but the lag, and the
// operator sends next to no request that changes anything. It runs alone, since it counts all of the operator's.
func TestQuiescence(t *testing.T) {
	n := newSpace(t)
	n.apply(brokerAndStore + ordersTopic + counts)
	n.caughtUp("counts")
	n.produce(line("a", 1))
	n.holds("SELECT events FROM $SCHEMA.counts", "(1)")
	n.caughtUp("counts")
	// What comes after the last change of state (a Deployment's counts, a pod's last condition) has come by then.
	n.settled()

	first := n.projection("counts")
	n.get(first)
	before := n.mutations(t.Context())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var (
		mu      sync.Mutex
		changes []string
		wait    sync.WaitGroup
	)
	for _, l := range watched() {
		if err := kube().List(ctx, l, client.InNamespace(n.name)); err != nil {
			t.Fatal(err)
		}
		w, err := kube().Watch(ctx, l, client.InNamespace(n.name), &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: l.GetResourceVersion()}})
		if err != nil {
			t.Fatal(err)
		}
		wait.Go(func() {
			for e := range w.ResultChan() {
				o, ok := e.Object.(client.Object)
				if !ok {
					continue
				}
				if p, is := o.(*v1alpha1.Projection); is && onlyLag(first, p) {
					continue
				}
				mu.Lock()
				changes = append(changes, fmt.Sprintf("%s %T %s", e.Type, o, o.GetName()))
				mu.Unlock()
			}
		})
	}
	<-ctx.Done()
	wait.Wait()
	if len(changes) > 0 {
		t.Errorf("changes in a minute of nothing:\n%s", strings.Join(changes, "\n"))
	}
	// Two of them are the checks (TokenReview, SubjectAccessReview) of this test's own look at the metrics.
	if sent := n.mutations(t.Context()) - before; sent > 2+2 {
		t.Errorf("the operator sent %d mutating requests in a minute of nothing", sent)
	} else {
		t.Logf("the operator sent %d mutating requests, at most 2 of them checks of who reads its metrics", sent)
	}
}

// onlyLag tells whether nothing but the bucket of the lag differs.
func onlyLag(before, after *v1alpha1.Projection) bool {
	status := after.Status.DeepCopy()
	status.Lag = before.Status.Lag
	return equality.Semantic.DeepEqual(before.Status, *status) && equality.Semantic.DeepEqual(before.Spec, after.Spec)
}

// watched are lists of our kinds and of all that the operator makes.
func watched() []client.ObjectList {
	return []client.ObjectList{
		&v1alpha1.EventBrokerList{}, &v1alpha1.EventTopicList{}, &v1alpha1.ReadStoreList{}, &v1alpha1.ProjectionList{}, &v1alpha1.ReplayList{},
		&batchv1.JobList{}, &appsv1.DeploymentList{}, &appsv1.ReplicaSetList{}, &corev1.PodList{}, &corev1.ConfigMapList{},
		&corev1.ServiceList{}, &corev1.ServiceAccountList{}, &policyv1.PodDisruptionBudgetList{},
	}
}

// settled waits until two looks 5 seconds apart see the same versions of everything.
func (n *space) settled() {
	n.t.Helper()
	versions := func(ctx context.Context) string {
		var b strings.Builder
		for _, l := range watched() {
			if err := kube().List(ctx, l, client.InNamespace(n.name)); err != nil {
				return err.Error()
			}
			_ = meta.EachListItem(l, func(o runtime.Object) error {
				fmt.Fprint(&b, o.(client.Object).GetUID(), o.(client.Object).GetResourceVersion(), " ")
				return nil
			})
		}
		return b.String()
	}
	last, at := "", time.Now()
	eventually(n.t, soon, "nothing changes any more", func(ctx context.Context) string {
		if now := versions(ctx); now != last {
			last, at = now, time.Now()
		}
		if quiet := time.Since(at); quiet < 5*time.Second {
			return fmt.Sprintf("quiet for %s", quiet)
		}
		return ""
	})
}

var request = regexp.MustCompile(`(?m)^rest_client_requests_total\{[^}]*method="(POST|PATCH|DELETE)"[^}]*\} (\S+)$`)

// mutations is how many requests the operator has sent that change something. It renews its Lease, which is left aside,
// with the only PUT that it has.
func (n *space) mutations(ctx context.Context) int {
	n.t.Helper()
	sum := 0
	for _, m := range request.FindAllStringSubmatch(operatorMetrics(ctx, n), -1) {
		v, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			n.t.Fatal(err)
		}
		sum += int(v)
	}
	if sum == 0 {
		n.t.Fatal("the operator's metrics count no request: were they renamed?")
	}
	return sum
}
