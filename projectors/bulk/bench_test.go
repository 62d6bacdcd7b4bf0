// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package bulk_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/bulk"
	"github.com/projectionist-dev/projectionist/projectors/event"
	sourcemem "github.com/projectionist-dev/projectionist/projectors/sources/memory"
)

// BenchmarkBuild builds ten events a row of four columns, all parts in memory.
func BenchmarkBuild(b *testing.B) {
	c := orders()
	c.Topics[0].KeyedBy = "event.orderId"
	c.Models = []contract.Model{{
		Name: "order", Key: []string{"order_id"},
		Columns: []contract.Column{
			{Name: "order_id", Type: "text"}, {Name: "customer_id", Type: "text"},
			{Name: "total", Type: "decimal(12,2)", Default: ptr("0.00")}, {Name: "lines", Type: "int32", Default: ptr("0")},
		},
		Handlers: []contract.Handler{{
			Name: "line", Topic: "orders", Events: []string{"LineAdded"}, OnAbsent: "Create", Key: map[string]string{"order_id": "event.orderId"},
			Set: map[string]string{"customer_id": "event.customerId"}, Add: map[string]string{"lines": "1", "total": "event.price*event.quantity"},
		}},
	}}
	const events = 1_000_000
	w := newWorld(b, c, 8)
	for i := range events {
		k := i * 7919 % (events / 10)
		w.broker.Append(on(int32(k%8)), event.Record{Timestamp: 1, Key: fmt.Appendf(nil, "o%07d", k), Value: fmt.Appendf(nil,
			`{"type":"LineAdded","orderId":"o%07d","customerId":"c%05d","sku":"sku-%06d","quantity":%d,"price":%d.%02d,"at":"2026-01-01T00:00:00.000Z"}`,
			k, k%5000, k%5000*7, 1+i%9, i%200, i%100)})
	}
	b.ResetTimer()
	before := cpuTime(b)
	for n := 0; b.Loop(); n++ {
		next := *c
		next.Revision, next.DataHash = fmt.Sprintf("%010d", n), fmt.Sprintf("1:%010d", n)
		w.c = &next
		w.prepare(w.c)
		built := w.build(func(cfg *bulk.Config) { cfg.Log.(*sourcemem.Log).MaxRecords = 5000 })
		if n, _ := built.Built(); n != events {
			b.Fatalf("%d events were built", n)
		}
	}
	b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N)/events, "cpu-ns/event")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/events, "ns/event")
}

// cpuTime is the processor time of this process so far.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
