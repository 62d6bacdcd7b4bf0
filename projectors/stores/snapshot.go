// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package stores

import (
	"context"
	"fmt"
	"strings"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
)

// Snapshotter is a capability of an Admin: it reads the rows of a revision together with the positions that produced
// them, as of one instant, while projectors go on (CORRECTNESS 8).
type Snapshotter interface {
	// Active gives the contract of the revision that readers see, as it was prepared. It fails with
	// *UnknownProjectionError where the owner has no revision here.
	Active(ctx context.Context, owner contract.Identity) (*contract.Contract, error)
	// Snapshot reads positions, barriers and rows of c's revision in one read-only transaction that sees one state of
	// the store and locks nothing that a projector waits for. The transaction lasts as long as the visit.
	Snapshot(ctx context.Context, c *contract.Contract, v Visit) error
}

// Visit is what a Snapshot calls, on the caller's goroutine. An error of Begin or Row ends the snapshot and is its error.
// A wanted row that cannot be read ends it with *UnreadableRowError, and so may a key.
type Visit struct {
	// Begin comes first. The claims are those of all partitions, in order; barriers are as Writer.Barriers gives them.
	Begin func(claims []Claim, barriers []Barrier) error
	// Want tells whether a row is to be given, by the values of its key columns, in their order. It must not keep them.
	Want func(model int, key []value.Value) bool
	// Row gets each wanted row once, a value for each of contract.Model.StoredColumns, models in the order of the
	// contract, rows in no order. Tombstones are among them. The row is the callee's to keep.
	Row func(model int, row []value.Value) error
}

// UnreadableRowError says that a table has a row that holds what no projector writes, such as NaN in a decimal column.
type UnreadableRowError struct {
	Table, Column string
	// Err is why it cannot be read. It carries no value.
	Err error
}

func (e *UnreadableRowError) Error() string {
	return fmt.Sprintf("table %q has a row whose column %q holds what no projector writes: %v", e.Table, e.Column, e.Err)
}

func (e *UnreadableRowError) Unwrap() error { return e.Err }

// UnknownProjectionError says that a store has no revision of a projection.
type UnknownProjectionError struct {
	Owner contract.Identity
	// Others are owners of that name in other clusters or namespaces, which have one.
	Others []contract.Identity
}

func (e *UnknownProjectionError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "there are no tables of projection %s in this store", ownerText(e.Owner))
	for i, o := range e.Others {
		b.WriteString([]string{", but of ", " and of "}[min(i, 1)] + ownerText(o))
	}
	return b.String()
}

// ownerText is cluster/namespace/name; an empty part shows as "".
func ownerText(o contract.Identity) string {
	parts := []string{o.Cluster, o.Namespace, o.Name}
	for i, p := range parts {
		if p == "" {
			parts[i] = `""`
		}
	}
	return strings.Join(parts, "/")
}
