// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package bulk

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/projectionist-dev/projectionist/contract"
)

// metrics are few and their labels bounded; docs/metrics.md lists them.
type metrics struct {
	builds        *prometheus.CounterVec
	phase         *prometheus.GaugeVec
	events, rows  prometheus.Counter
	memory, spill prometheus.Gauge
}

func newMetrics() *metrics {
	const ns, sub = "projectionist", "build"
	return &metrics{
		builds: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Name: "builds_total",
			Help: "Decisions on bulk builds by outcome: Built, or why events are applied as they come."}, []string{"outcome"}),
		phase: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: ns, Subsystem: sub, Name: "phase",
			Help: "1 for the phase that a bulk build is in: Waiting, Reading, Writing or Indexing."}, []string{"phase"}),
		events: prometheus.NewCounter(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: "events_total",
			Help: "Events folded by a bulk build; they are in the tables when it is over."}),
		rows: prometheus.NewCounter(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: "rows_total",
			Help: "Rows written by a bulk build; they are in the tables when it is over."}),
		memory: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: ns, Subsystem: sub, Name: "memory_bytes",
			Help: "Estimated memory of the rows that a bulk build has folded."}),
		spill: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: ns, Subsystem: sub, Name: "spill_bytes",
			Help: "Bytes that a bulk build has written to its file."}),
	}
}

func (m *metrics) setPhase(phase string) {
	m.phase.Reset()
	for _, p := range []string{contract.BuildWaiting, contract.BuildReading, contract.BuildWriting, contract.BuildIndexing} {
		if p == phase {
			m.phase.WithLabelValues(p).Set(1)
		}
	}
}

// Register adds the metrics to a registry.
func (b *Builder) Register(r prometheus.Registerer) {
	m := b.metrics
	r.MustRegister(m.builds, m.phase, m.events, m.rows, m.memory, m.spill)
}
