// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build bench

package bench

import (
	"fmt"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/compile"
	"github.com/projectionist-dev/projectionist/test/internal/rig"
)

// TestBeside: how long an event takes to the row that readers see while the same log is built beside it in bulk, again
// and again, at several limits.
func TestBeside(t *testing.T) {
	r := realParts(t)
	b := &bench{t: t, p: r.NewProjection(t, replaySpec()), events: number(t, "BENCH_REPLAY_EVENTS", 2_000_000), keys: number(t, "BENCH_REPLAY_KEYS", 200_000)}
	b.p.Prepare(t)
	b.fill()
	b.warm()
	b.proc = b.p.Start(t, rig.Launch{Owner: "live"})
	b.p.AwaitEnds(t, 10*time.Minute)

	rate, seconds := number(t, "BENCH_RATE", 1000), number(t, "BENCH_SECONDS", 30)
	b.visible("w", rate, 5)
	b.beside("nothing", "n", rate, seconds, nil)
	for _, limit := range []int{50_000, 200_000, 0} {
		name := fmt.Sprintf("builds with `maxEventsPerSecond: %d`", limit)
		if limit == 0 {
			name = "builds without a limit"
		}
		b.beside(name, fmt.Sprintf("b%d-", limit), rate, seconds, &contract.Build{MaxEventsPerSecond: int32(limit)})
	}
	fmt.Printf("\nHow long an event takes to the row that readers see, at %d events/s for %d s, while another revision is built of %d events, again and again.\n",
		rate, seconds, b.events)
	b.print()
	if _, err := b.proc.Terminate(20 * time.Second); err != nil {
		t.Error(err)
	}
}

// beside measures while builds go on; how is nil for none.
func (b *bench) beside(name, prefix string, rate, seconds int, how *contract.Build) {
	stop, stopped := make(chan struct{}), make(chan int, 1)
	go func() {
		defer close(stopped)
		stopped <- b.buildUntil(stop, prefix, how)
	}()
	at := b.visible(prefix, rate, seconds)
	close(stop)
	built := <-stopped
	b.out.add("Beside "+name, "p50 **%.1f ms**, p99 **%.1f ms**, max %.1f ms; %.0f events/s built", at(0.5), at(0.99), at(1), float64(built)/float64(seconds))
}

// buildUntil builds one revision after the other, and gives how many events were read for them.
func (b *bench) buildUntil(stop <-chan struct{}, prefix string, how *contract.Build) (events int) {
	if how == nil {
		return 0
	}
	for n := 0; ; n++ {
		compile.Rename(&b.p.Contract, fmt.Sprintf("%s%d", prefix, n))
		b.p.Contract.Build = how
		b.p.Prepare(b.t)
		proc := b.p.Start(b.t, rig.Launch{Owner: fmt.Sprintf("beside-%s%d", prefix, n), Args: []string{"--spill", b.t.TempDir()}})
		done := false
		for !done {
			select {
			case <-stop:
				events += int(proc.Metric("projectionist_build_events_total"))
				proc.Kill()
				return events
			case <-time.After(50 * time.Millisecond):
				done = proc.Metric("projectionist_builds_total") == 1
			}
		}
		built := int(proc.Metric("projectionist_build_events_total"))
		if built < b.events {
			b.t.Errorf("%d events were built in bulk; its log:\n%s", built, proc.Tail(4000))
			return events
		}
		events += built
		if _, err := proc.Terminate(20 * time.Second); err != nil {
			b.t.Error(err)
		}
	}
}
