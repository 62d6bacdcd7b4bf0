// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package stores

import "context"

// Watcher is a capability of a Writer: it tells what the store says of its projection now. Both are cheap enough to be asked
// once a minute, read no row of a table, and wait no longer for a lock than a commit does.
type Watcher interface {
	// Size gives the bytes that the revision's tables take with all that belongs to them, such as indexes. A revision
	// without tables has 0.
	Size(ctx context.Context) (int64, error)
	// Shown gives the revision that readers of the projection see, and the sequence of the switch to it; "" and 0 where
	// the bookkeeping does not know the projection.
	Shown(ctx context.Context) (revision string, sequence int64, err error)
}
