// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package fold

import "github.com/projectionist-dev/projectionist/contract/value"

// Segment is a part of a batch: rows by key first, then fan-outs in order.
// Stores apply the segments of a batch in order, in one transaction.
type Segment struct {
	batch *Batch
}

// Segments gives the parts of the batch. A batch without fan-outs has one. They
// are valid until the batch changes.
func (b *Batch) Segments() []Segment { return []Segment{{batch: b}} }

// Rows gives the mutations of a model that do something, in the order of their
// keys (value.Compare column by column).
func (s Segment) Rows(model int) []Mutation { return s.batch.Rows(model) }

// FanOuts gives the fan-outs that follow the rows.
func (s Segment) FanOuts() []FanOut { return nil }

// FanOut is what one event does to all rows that match.
type FanOut struct {
	effect *Effect
	models []Model
}

// Model is the index of the model.
func (f FanOut) Model() int { return f.effect.Model }

// Where gives the conditions that a row has to meet, all of them.
func (f FanOut) Where() []Match { return f.effect.Where }

// Apply gives the row that the fan-out makes of a row that matches; nil where it
// deletes it. It fails with *OverflowError or *RowError.
func (f FanOut) Apply(row []value.Value) ([]value.Value, error) {
	panic("fold: fan-outs do not exist yet")
}
