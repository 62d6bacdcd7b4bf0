// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"math"
	"testing"
	"time"
)

func TestEstimate(t *testing.T) {
	for _, c := range []struct {
		events    int64
		perSecond float64
		want      time.Duration
		ok        bool
	}{
		{18_220_114, 76_000, 4 * time.Minute, true}, // 3 m 59.7 s
		{18_240_001, 76_000, 4*time.Minute + 10*time.Second, true},
		{0, 100, 0, true},
		{1, 76_000, 5 * time.Second, true},
		{1000, 0.99, 0, false},
		{1000, 0, 0, false},
		{-1, 100, 0, false},
		{math.MaxInt64, 1, 999 * time.Hour, true},
	} {
		if got, ok := Estimate(c.events, c.perSecond); got != c.want || ok != c.ok {
			t.Errorf("%d at %g/s: %s, %t, want %s, %t", c.events, c.perSecond, got, ok, c.want, c.ok)
		}
	}
}

func TestRoundUp(t *testing.T) {
	for d, want := range map[time.Duration]time.Duration{
		time.Second: 5 * time.Second, 5 * time.Second: 5 * time.Second, 61 * time.Second: 70 * time.Second, 601 * time.Second: 11 * time.Minute, 61 * time.Minute: 65 * time.Minute,
	} {
		if got := RoundUp(d); got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
	for x, want := range map[float64]int64{81_300: 81_000, 0.4: 0, 99.6: 100, 9_960: 10_000} {
		if got := TwoDigits(x); got != want {
			t.Errorf("%g: %d, want %d", x, got, want)
		}
	}
}
