// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package controllers_test

import (
	"context"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/controllers"
)

// The reconcilers in a real manager: caches, indexes and watches bring four
// resources, made in the wrong order, to a projection that is caught up, and a
// change of a broker to it.
func TestManager(t *testing.T) {
	w := newWorld(t)
	scheme, err := controllers.NewScheme()
	w.must(err)
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"}, HealthProbeBindAddress: "0",
		Cache: cache.Options{
			ByObject: controllers.CacheByObject(), DefaultTransform: cache.TransformStripManagedFields(),
			DefaultNamespaces: map[string]cache.Config{w.ns: {}},
		},
	})
	w.must(err)
	ctx, cancel := context.WithCancel(t.Context())
	w.must(controllers.Setup(ctx, mgr, w.options, w.poller))
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	b, topic, s, p := w.objects()
	w.create(p, s, topic, b)
	eventually := func(what string, good func() bool) {
		t.Helper()
		err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
			w.now = time.Now()
			w.runJobs()
			w.runDeployments()
			return good(), nil
		})
		if err != nil {
			t.Fatalf("%s: %v; status %s", what, err, form(w.projection().Status))
		}
		w.check()
	}
	caughtUp := func() bool { return statusOf(w.projection(), "Ready") == metav1.ConditionTrue }
	eventually("caught up", caughtUp)

	generation := w.deployment().Generation
	w.must(w.c.Get(ctx, client.ObjectKeyFromObject(b), b))
	b.Spec.Kafka.BootstrapServers = []string{"kafka-2:9092"}
	w.must(w.c.Update(ctx, b))
	eventually("rolled after a change of the broker", func() bool { return w.deployment().Generation > generation && caughtUp() })

	var store v1alpha1.ReadStore
	w.must(w.c.Get(ctx, client.ObjectKeyFromObject(s), &store))
	w.must(w.c.Delete(ctx, &store))
	eventually("notices that the store is gone", func() bool {
		c := find(w.projection().Status.Conditions, "Ready")
		return c != nil && c.Reason == v1alpha1.ReasonReferenceMissing
	})
}
