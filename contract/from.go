// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"fmt"
	"strings"
	"time"
)

// From is where a revision begins to read its topics, where that is not the beginning of the log: its rows are those
// that events from there on have made. It is Time or Positions.
type From struct {
	// Time is that of the broker's records, of which the first at or after it is the first of a partition to be read.
	Time time.Time `json:"time,omitzero"`
	// Positions name partitions; those that are not named begin at their earliest event, which must be the first that there was.
	Positions []FromPosition `json:"positions,omitempty"`
	// Begins is what came of it, by topic in the order of the partitions: what a prepare has written down once, with the
	// position rows. It is in the bookkeeping alone. Partitions that came later begin at 0.
	Begins map[string][]Position `json:"begins,omitempty"`
}

// FromPosition is where one partition begins.
type FromPosition struct {
	Topic     string   `json:"topic"`
	Partition int32    `json:"partition"`
	Position  Position `json:"position"`
}

// Path is where the i-th of the positions stands below a Replay's spec.
func (f *From) Path(i int) string { return fmt.Sprintf("from.positions[%d]", i) }

// fromTold is how many positions String tells.
const fromTold = 3

// String says where it is, for people: 2026-11-01T00:00:00Z, or readings/0@123456, readings/1@5 and 2 more. It is "" of nil.
func (f *From) String() string {
	switch {
	case f == nil:
		return ""
	case !f.Time.IsZero():
		return f.Time.UTC().Format(time.RFC3339)
	}
	var out []string
	for _, p := range f.Positions[:min(len(f.Positions), fromTold)] {
		out = append(out, fmt.Sprintf("%s/%d@%s", p.Topic, p.Partition, p.Position))
	}
	text := strings.Join(out, ", ")
	if more := len(f.Positions) - fromTold; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// Begin is where a partition begins; known is false where a start was asked for and nobody has written down what came of it.
func (f *From) Begin(topic string, partition int32) (at int64, known bool) {
	if f == nil {
		return 0, true
	}
	if f.Begins == nil {
		return 0, false
	}
	if all := f.Begins[topic]; int(partition) < len(all) {
		at, err := all[partition].Offset()
		return at, err == nil
	}
	return 0, true
}
