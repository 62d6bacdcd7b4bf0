// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package recordbatch

import "math"

// reader takes fields off the front of b. After the first field that does not
// fit, bad is set and b is empty.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) fail() {
	r.bad = true
	r.b = nil
}

func (r *reader) skip(n int) {
	if n > len(r.b) {
		r.fail()
		return
	}
	r.b = r.b[n:]
}

// varint reads a zigzag varint of 32 bits, with -1 after a failure.
func (r *reader) varint() int64 {
	v := r.varlong()
	if v > math.MaxInt32 || v < math.MinInt32 {
		r.fail()
		return -1
	}
	return v
}

func (r *reader) varlong() int64 {
	if len(r.b) > 0 && r.b[0] < 0x80 {
		u := uint64(r.b[0])
		r.b = r.b[1:]
		return int64(u>>1) ^ -int64(u&1)
	}
	var u uint64
	for i, c := range r.b {
		if i == 9 && c > 1 {
			break
		}
		u |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			r.b = r.b[i+1:]
			return int64(u>>1) ^ -int64(u&1)
		}
		if i == 9 {
			break
		}
	}
	r.fail()
	return -1
}

// bytes reads a length and that many bytes; nil for length -1.
func (r *reader) bytes() []byte {
	n := r.varint()
	if r.bad || n < 0 {
		if n < -1 {
			r.fail()
		}
		return nil
	}
	if n > int64(len(r.b)) {
		r.fail()
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

// interned keeps the few header names that a topic uses as strings, so that a
// record's headers cost no allocation.
type interned struct {
	m     map[string]string
	bytes int
}

const maxInternedBytes = 64 << 10

func (t *interned) get(b []byte) string {
	if s, ok := t.m[string(b)]; ok {
		return s
	}
	if t.m == nil || t.bytes > maxInternedBytes {
		t.m, t.bytes = make(map[string]string), 0
	}
	s := string(b)
	t.m[s] = s
	t.bytes += len(s)
	return s
}
