// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"hash/maphash"
	"math"
	"strings"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/cockroachdb/apd/v3"

	"github.com/projectionist-dev/projectionist/contract/value"
)

// Sizes of what a valueStore allocates at once. They are small, since a value that a
// store keeps for long keeps its neighbours, too.
const (
	chunkBytes   = 512
	slabDecimals = 16
	// internBytes is the length up to which strings are looked up, and put into chunks.
	internBytes = 64
	// internSlots is how many strings are remembered, a power of two.
	internSlots = 2048
)

// valueStore makes column values with few allocations: strings that were seen lately
// are used again, and small ones and decimals are cut from larger pieces. What it gives
// is never modified.
type valueStore struct {
	strings  [internSlots]interned
	seed     maphash.Seed
	chunk    []byte
	decimals []apd.Decimal
	// at is a timestamp that was made lately: those of one event are often one.
	at     time.Time
	atItem any
}

// interned is a string and its hash, so that most others are told from it without a look at its bytes, which have
// long left the processor's cache.
type interned struct {
	hash uint64
	item any
}

func (a *Activation) values() *valueStore {
	if a.store == nil {
		a.store = &valueStore{seed: maphash.MakeSeed()}
	}
	return a.store
}

// text gives a string that shares no memory with s.
func (st *valueStore) text(s string) any {
	if len(s) > internBytes {
		return strings.Clone(s)
	}
	hash := maphash.String(st.seed, s)
	slot := &st.strings[hash%internSlots]
	if slot.hash == hash {
		if known, ok := slot.item.(string); ok && known == s {
			return slot.item
		}
	}
	slot.hash, slot.item = hash, st.clone(s)
	return slot.item
}

func (st *valueStore) clone(s string) string {
	if len(s) == 0 {
		return ""
	}
	if len(st.chunk) < len(s) {
		st.chunk = make([]byte, chunkBytes)
	}
	n := copy(st.chunk, s)
	out := unsafe.String(&st.chunk[0], n) //nolint:gosec // these bytes are given out once and never written again
	st.chunk = st.chunk[n:]
	return out
}

func (st *valueStore) decimal(coeff int64, exponent int32) *apd.Decimal {
	if len(st.decimals) == 0 {
		st.decimals = make([]apd.Decimal, slabDecimals)
	}
	d := &st.decimals[0]
	st.decimals = st.decimals[1:]
	return d.SetFinite(coeff, exponent)
}

func (st *valueStore) timestamp(t time.Time) any {
	if st.atItem == nil || st.at != t {
		st.at, st.atItem = t, t
	}
	return st.atItem
}

// columnValue converts the usual values as value.Type.Convert and ConvertKey do;
// ok is false where these are to decide, and to name what is wrong.
func (a *Activation) columnValue(v *fval, t value.Type, key bool) (out value.Value, ok bool) {
	if t.Array {
		return nil, false
	}
	switch t.Kind {
	case value.Text:
		limit := value.MaxTextBytes
		if key {
			limit = value.MaxKeyTextBytes
		}
		if v.k == kString && len(v.text()) <= limit && strings.IndexByte(v.text(), 0) < 0 && utf8.ValidString(v.text()) {
			return a.values().text(v.text()), true
		}
	case value.Int32:
		if v.k == kInt && v.i >= math.MinInt32 && v.i <= math.MaxInt32 {
			return v.i, true
		}
	case value.Int64:
		if v.k == kInt {
			return v.i, true
		}
	case value.Decimal:
		if !key && (v.k == kInt || v.k == kSmall) {
			if c, ok := t.RescaleSmall(v.i, v.n); ok {
				return a.values().decimal(c, -int32(t.Scale)), true
			}
		}
	case value.Timestamp:
		if at, ok := v.timestamp(); ok && (!key || v.n%1000 == 0) {
			return a.values().timestamp(at), true
		}
	}
	return nil, false
}

// timestamp gives the value of a timestamp column; ok is false where Convert is to decide.
func (v *fval) timestamp() (at time.Time, ok bool) {
	if v.k != kTime || v.i < minUnix || v.i > maxUnix {
		return time.Time{}, false
	}
	return time.Unix(v.i, int64(v.n-v.n%1000)).UTC(), true
}
