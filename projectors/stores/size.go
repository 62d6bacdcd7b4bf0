// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package stores

import "context"

// Sizer is a capability of a Writer: it tells how large its revision is.
type Sizer interface {
	// Size gives the bytes that the revision's tables take with all that belongs to them, such as indexes. It is cheap
	// enough to be asked once a minute, reads no row, and waits no longer for a lock than a commit does. A revision without tables has 0.
	Size(ctx context.Context) (int64, error)
}
