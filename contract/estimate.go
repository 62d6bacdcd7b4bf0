// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package contract

import "time"

// maxEstimate bounds an estimate: beyond it there is none to speak of.
const maxEstimate = 999 * time.Hour

// Estimate is how long so many events take at a rate, rounded up in steps (RoundUp), so that it changes seldom and
// promises nothing; ok is false below one event a second.
func Estimate(events int64, perSecond float64) (d time.Duration, ok bool) {
	if perSecond < 1 || events < 0 {
		return 0, false
	}
	return RoundUp(time.Duration(min(float64(events)/perSecond, maxEstimate.Seconds()) * float64(time.Second))), true
}

// RoundUp rounds a time up, the more the longer it is: to 5 s, from a minute on to 10 s, from ten minutes on to a minute,
// from an hour on to 5 minutes.
func RoundUp(d time.Duration) time.Duration {
	step := 5 * time.Second
	switch {
	case d >= time.Hour:
		step = 5 * time.Minute
	case d >= 10*time.Minute:
		step = time.Minute
	case d >= time.Minute:
		step = 10 * time.Second
	}
	return (d + step - 1) / step * step
}

// TwoDigits rounds a rate, so that it changes seldom: 81,337 becomes 81,000.
func TwoDigits(x float64) int64 {
	n, unit := int64(x+0.5), int64(1)
	for n/unit >= 100 {
		unit *= 10
	}
	return (n + unit/2) / unit * unit
}
