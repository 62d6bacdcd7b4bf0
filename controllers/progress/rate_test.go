// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package progress

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/projectionist-dev/projectionist/contract"
)

// at is what the one pod of a revision says.
func at(now time.Time, position, end int64) []Answer {
	return []Answer{{Target: Target{Pod: "a"}, Status: &contract.ProjectorStatus{
		Source: contract.Health{OK: true}, Store: contract.Health{OK: true}, TopicPartitions: map[string]int32{"orders": 1},
		Partitions: []contract.PartitionStatus{{
			Topic: "orders", Position: contract.OffsetPosition(position), End: contract.OffsetPosition(end), Lag: end - position, UpdatedAt: now,
		}},
	}}}
}

// The rate is that of the last minute, whatever was before, and unknown until enough was seen.
func TestRate(t *testing.T) {
	tracker, key := NewTracker(), types.NamespacedName{Name: "p"}
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	var position int64
	look := func(seconds int, done int64) Snapshot {
		now, position = now.Add(time.Duration(seconds)*time.Second), position+done
		return tracker.Merge(key, "u", "r", at(now, position, 1_000_000), now)
	}
	if s := look(0, 1000); s.Figures() == nil || s.Figures().EventsPerSecond != nil || s.Figures().EstimatedSecondsLeft != nil {
		t.Errorf("one look gives %+v", s.Figures())
	}
	s := look(5, 20_570)
	if rate, ok := s.Rate(); !ok || rate != 4100 {
		t.Errorf("%d/s", rate)
	}
	b := s.Figures()
	if *b.EventsDone != 21_570 || *b.EventsTotal != 1_000_000 || *b.EventsPerSecond != 4100 || *b.EstimatedSecondsLeft != 240 {
		t.Errorf("%d of %d, %d/s, %d s left", *b.EventsDone, *b.EventsTotal, *b.EventsPerSecond, *b.EstimatedSecondsLeft)
	}
	if last := tracker.Last(key, "r", now.Add(time.Second)); last.Figures() == nil || *last.Figures().EventsPerSecond != 4100 {
		t.Errorf("remembered: %+v", last.Figures())
	}
	if last := tracker.Last(key, "r", now.Add(time.Minute)); last.Heard {
		t.Error("what was said a minute ago stands in for now")
	}
	for range 14 {
		s = look(5, 500)
	}
	if rate, _ := s.Rate(); rate != 100 {
		t.Errorf("%d/s, though there were 100 in each second of the last minute", rate)
	}
	// Begun anew, and after a long pause, nothing of before counts.
	if s = look(5, -position); s.measured {
		t.Error("a rate across a new beginning")
	}
	look(5, 500)
	if s = look(120, 500); s.measured {
		t.Error("a rate across a pause")
	}
	// It stands still.
	for range 13 {
		s = look(5, 0)
	}
	if rate, ok := s.Rate(); !ok || rate != 0 {
		t.Errorf("%d/s", rate)
	}
	if _, ok := s.Left(); ok {
		t.Error("an end is foretold for what stands still")
	}
}

func TestForPeople(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 5 * time.Second: "5s", 90 * time.Second: "1m30s", 10 * time.Minute: "10m", time.Hour: "1h", time.Hour + 5*time.Minute: "1h5m", 30 * time.Hour: "30h",
	} {
		if got := Span(d); got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 9999: "9999", 41_234: "41k", 1_230_000: "1.2M"} {
		if got := Count(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
	for _, c := range []struct {
		done, total int64
		want        string
	}{{0, 0, "100%"}, {0, 10, "0%"}, {999_999, 1_000_000, "99%"}, {10, 10, "100%"}} {
		if got := Percent(c.done, c.total); got != c.want {
			t.Errorf("%d of %d: %s, want %s", c.done, c.total, got, c.want)
		}
	}
}

// A partition of which nothing is known makes the whole unknown.
func TestWorkIsUnknown(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	answers := at(now, 5, 10)
	answers[0].Status.TopicPartitions["orders"] = 2
	if s := NewTracker().Merge(types.NamespacedName{}, "u", "r", answers, now); s.Figures() != nil {
		t.Errorf("%+v", s.Figures())
	}
	if (Snapshot{}).Figures() != nil {
		t.Error("nothing heard, and something known")
	}
}

// A revision that began later than with the first events is as far as it is from there.
func TestFiguresFromAStart(t *testing.T) {
	tracker, now := NewTracker(), time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	look := func(position int64) *Snapshot {
		answers := at(now, position, 1000)
		answers[0].Status.Partitions[0].Begin = "900"
		s := tracker.Merge(types.NamespacedName{Name: "p"}, "u", "r", answers, now)
		return &s
	}
	for position, want := range map[int64]int64{900: 0, 925: 25, 1000: 100} {
		if b := look(position).Figures(); *b.EventsDone != want || *b.EventsTotal != 100 {
			t.Errorf("at %d it is %d of %d", position, *b.EventsDone, *b.EventsTotal)
		}
	}
}
