// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff doubles from 50 ms to 5 s, with full jitter on the upper half: a
// thousand projectors must not meet a database that comes back all at once.
type backoff struct{ last time.Duration }

const (
	backoffFirst = 50 * time.Millisecond
	backoffMost  = 5 * time.Second
)

func (b *backoff) reset() { b.last = 0 }

// next is the next interval.
func (b *backoff) next() time.Duration {
	b.last = min(max(2*b.last, backoffFirst), backoffMost)
	return b.last/2 + rand.N(b.last/2+1) //nolint:gosec // jitter needs no secrecy
}

// sleep waits for the next interval, or until ctx is done.
func (b *backoff) sleep(ctx context.Context) {
	t := time.NewTimer(b.next())
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
