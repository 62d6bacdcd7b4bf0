// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/controllers/plan"
	"github.com/projectionist-dev/projectionist/controllers/progress"
)

// The operator's own metrics, beside those of controller-runtime. Figures per
// partition are the projectors' to serve.
var (
	metricLag = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "projectionist_projection_lag_events",
		Help: "Events still to be applied by a projection, over all its partitions; absent while not known.",
	}, []string{"namespace", "projection"})
	metricReady = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "projectionist_projection_ready",
		Help: "1 while a projection's condition Ready is True, else 0.",
	}, []string{"namespace", "projection"})
	metricAvailable = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "projectionist_projection_available",
		Help: "1 while the views of a projection show a revision to readers (condition Available is True), whatever is built beside, else 0.",
	}, []string{"namespace", "projection"})
	metricStalled = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "projectionist_projection_stalled",
		Help: "1 while a projection needs a human (condition Stalled is True), else 0.",
	}, []string{"namespace", "projection"})
)

func init() { metrics.Registry.MustRegister(metricLag, metricReady, metricAvailable, metricStalled) }

func observeMetrics(p *v1alpha1.Projection, s progress.Snapshot) {
	if lag, ok := s.Lag(); ok {
		metricLag.WithLabelValues(p.Namespace, p.Name).Set(float64(lag))
	} else {
		metricLag.DeleteLabelValues(p.Namespace, p.Name)
	}
	metricReady.WithLabelValues(p.Namespace, p.Name).Set(is(p, v1alpha1.ConditionReady))
	metricAvailable.WithLabelValues(p.Namespace, p.Name).Set(is(p, v1alpha1.ConditionAvailable))
	metricStalled.WithLabelValues(p.Namespace, p.Name).Set(is(p, v1alpha1.ConditionStalled))
}

func is(p *v1alpha1.Projection, condition string) float64 {
	if c := plan.Find(p.Status.Conditions, condition); c != nil && c.Status == "True" {
		return 1
	}
	return 0
}

func forgetMetrics(key types.NamespacedName) {
	for _, m := range []*prometheus.GaugeVec{metricLag, metricReady, metricAvailable, metricStalled} {
		m.DeleteLabelValues(key.Namespace, key.Name)
	}
}
