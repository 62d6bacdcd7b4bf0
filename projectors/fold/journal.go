// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package fold

import "slices"

// undo takes back one step of an event whose later effects may fail.
type undo struct {
	table int
	what  undoKind
	index int32
	was   mutation
	isNew bool
}

type undoKind uint8

const (
	undoMutation undoKind = iota // the mutation at index was `was`, or is new
	undoFanOut                   // a fan-out was added
	undoCut                      // the table was cut
)

// journal is nil where nothing that comes can fail.
type journal []undo

func (j *journal) add(u undo) {
	if j != nil {
		*j = append(*j, u)
	}
}

func (b *Batch) undo() {
	for _, u := range slices.Backward(b.journal) {
		t := &b.tables[u.table]
		switch u.what {
		case undoMutation:
			t.muts[u.index] = u.was
			if u.isNew {
				t.removeLast()
			}
		case undoFanOut:
			t.fanOuts = t.fanOuts[:len(t.fanOuts)-1]
		case undoCut:
			t.join()
		}
	}
}
