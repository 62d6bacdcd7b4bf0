// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package progress

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
)

// seen is one look at a build: seconds after the one before, at a position, of a log that ends at an end.
type seen struct {
	seconds       int
	position, end int64
	change        func(*contract.ProjectorStatus)
}

func inBulk(events, of int64) func(*contract.ProjectorStatus) {
	return func(s *contract.ProjectorStatus) {
		s.Build = &contract.BuildStatus{Phase: contract.BuildReading, Events: events, Of: of}
	}
}

func stoppedHere(s *contract.ProjectorStatus) { s.Partitions[0].Stopped = &contract.Stop{} }

func storeAway(s *contract.ProjectorStatus) { s.Store.OK = false }

func silent(s *contract.ProjectorStatus) { s.Partitions = nil }

// TestBuilt: a build took what was seen of it, as far as that says something about the next one.
func TestBuilt(t *testing.T) {
	for name, c := range map[string]struct {
		looks []seen
		want  *v1alpha1.Built
	}{
		"from the beginning": {[]seen{{0, 0, 100_000, nil}, {5, 40_000, 100_000, nil}, {5, 90_000, 100_000, nil}, {2, 100_000, 100_000, nil}}, &v1alpha1.Built{Events: 100_000, Seconds: 12}},
		"from the middle, after the operator was started anew": {[]seen{{0, 80_000, 100_000, nil}, {5, 100_000, 100_000, nil}}, &v1alpha1.Built{Events: 20_000, Seconds: 5}},
		"what comes later is not of the build":                 {[]seen{{0, 0, 100_000, nil}, {5, 100_000, 100_000, nil}, {50, 100_010, 100_010, nil}}, &v1alpha1.Built{Events: 100_000, Seconds: 5}},
		"a log that was trimmed at its beginning":              {[]seen{{0, 900_000, 1_000_000, nil}, {5, 1_000_000, 1_000_000, nil}}, &v1alpha1.Built{Events: 100_000, Seconds: 5}},
		"not over yet":                   {[]seen{{0, 0, 100_000, nil}, {5, 40_000, 100_000, nil}}, nil},
		"caught up when first looked at": {[]seen{{0, 100_000, 100_000, nil}, {5, 100_000, 100_000, nil}}, nil},
		"so few events":                  {[]seen{{0, 0, 999, nil}, {5, 999, 999, nil}}, nil},
		"for so short":                   {[]seen{{0, 0, 100_000, nil}, {3, 100_000, 100_000, nil}}, nil},
		"only how it keeps up":           {[]seen{{0, 950_000, 1_000_000, nil}, {5, 1_000_000, 1_000_000, nil}}, nil},
		"a pause":                        {[]seen{{0, 0, 100_000, nil}, {5, 50_000, 100_000, nil}, {3600, 50_100, 100_000, nil}, {5, 100_000, 100_000, nil}}, &v1alpha1.Built{Events: 99_900, Seconds: 10}},
		"a time in which it was stopped": {[]seen{
			{0, 0, 100_000, nil}, {5, 50_000, 100_000, nil}, {5, 50_000, 100_000, stoppedHere}, {5, 50_000, 100_000, nil}, {5, 100_000, 100_000, nil},
		}, &v1alpha1.Built{Events: 100_000, Seconds: 10}},
		"a time in which the store was away": {[]seen{
			{0, 0, 100_000, nil}, {5, 50_000, 100_000, nil}, {5, 50_000, 100_000, storeAway}, {5, 50_000, 100_000, nil}, {5, 100_000, 100_000, nil},
		}, &v1alpha1.Built{Events: 100_000, Seconds: 10}},
		"a time in which nobody had a partition": {[]seen{
			{0, 0, 100_000, nil}, {5, 50_000, 100_000, nil}, {5, 50_000, 100_000, silent}, {5, 50_000, 100_000, nil}, {5, 100_000, 100_000, nil},
		}, &v1alpha1.Built{Events: 100_000, Seconds: 10}},
		"in bulk, with the time in which rows are written": {[]seen{
			{0, 0, 100_000, inBulk(0, 100_000)}, {5, 0, 100_000, inBulk(100_000, 100_000)}, {5, 0, 100_000, inBulk(100_000, 100_000)}, {5, 100_000, 100_000, nil},
		}, &v1alpha1.Built{Events: 100_000, Seconds: 10}},
		"in bulk, of a log that was trimmed": {[]seen{
			{0, 900_000, 1_000_000, inBulk(0, 100_000)}, {5, 900_000, 1_000_000, inBulk(100_000, 100_000)}, {5, 1_000_000, 1_000_000, nil},
		}, &v1alpha1.Built{Events: 100_000, Seconds: 5}},
		"begun anew": {[]seen{{0, 0, 100_000, nil}, {5, 50_000, 100_000, nil}, {5, 0, 100_000, nil}, {5, 100_000, 100_000, nil}}, &v1alpha1.Built{Events: 150_000, Seconds: 10}},
	} {
		t.Run(name, func(t *testing.T) {
			tracker, now := NewTracker(), time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
			var s Snapshot
			for _, look := range c.looks {
				now = now.Add(time.Duration(look.seconds) * time.Second)
				answers := at(now, look.position, look.end)
				answers[0].Status.Partitions[0].CaughtUp = look.position == look.end
				if look.change != nil {
					look.change(answers[0].Status)
				}
				s = tracker.Merge(types.NamespacedName{Name: "p"}, "u", "r", answers, now)
			}
			switch {
			case (s.Built == nil) != (c.want == nil):
				t.Errorf("%+v, want %+v", s.Built, c.want)
			case s.Built != nil && *s.Built != *c.want:
				t.Errorf("%+v, want %+v", *s.Built, *c.want)
			}
		})
	}
}
