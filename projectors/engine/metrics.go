// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are few and their labels bounded; docs/metrics.md lists them.
type metrics struct {
	events        *prometheus.CounterVec
	rows, commits prometheus.Counter
	fenced        prometheus.Counter
	faults, stops *prometheus.CounterVec
	owned         prometheus.Gauge
	commitSeconds prometheus.Histogram
	lag           *prometheus.GaugeVec
}

func newMetrics() *metrics {
	const ns = "projectionist"
	return &metrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Name: "events_total",
			Help: "Events committed, by outcome: applied or ignored by a declared rule."}, []string{"outcome"}),
		rows: prometheus.NewCounter(prometheus.CounterOpts{Namespace: ns, Name: "rows_total",
			Help: "Folded row mutations committed."}),
		commits: prometheus.NewCounter(prometheus.CounterOpts{Namespace: ns, Name: "commits_total",
			Help: "Transactions committed in the store."}),
		fenced: prometheus.NewCounter(prometheus.CounterOpts{Namespace: ns, Name: "fenced_total",
			Help: "Partitions lost: to another claim, or because the store has gone back."}),
		faults: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Name: "faults_total",
			Help: "Faults of the surroundings that were waited out, by side and reason."}, []string{"side", "reason"}),
		stops: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Name: "partition_stops_total",
			Help: "Partitions stopped because an event or the log needs a human, by reason."}, []string{"reason"}),
		owned: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: ns, Name: "partitions_owned",
			Help: "Partitions assigned to this projector."}),
		commitSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: ns, Name: "commit_seconds",
			Help: "Duration of a store transaction in seconds.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 14)}),
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: ns, Name: "lag_events",
			Help: "Positions between the last stable end of the log and what is committed."}, []string{"topic", "partition"}),
	}
}

// Register adds the engine's metrics to a registry.
func (e *Engine) Register(r prometheus.Registerer) {
	m := e.metrics
	r.MustRegister(m.events, m.rows, m.commits, m.fenced, m.faults, m.stops, m.owned, m.commitSeconds, m.lag)
}

// observeLag shows the lag of the partitions that are ours now, and no others.
func (s *session) observeLag() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.e.metrics.lag.Reset()
	for _, p := range s.order {
		if p.claimed && p.end >= 0 {
			s.e.metrics.lag.WithLabelValues(p.tp.Topic, strconv.Itoa(int(p.tp.Partition))).Set(float64(p.lag(time.Now(), s.e.cfg.StalledTransactionAfter)))
		}
	}
}
