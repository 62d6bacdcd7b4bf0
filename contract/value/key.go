// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package value

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/cockroachdb/apd/v3"
)

// AppendKey appends an encoding of v to dst. Over the values of one type it is
// injective, no encoding is a prefix of another, and bytes.Compare of two
// encodings gives the order of Compare; so the encodings of several key columns
// may stand one after the other in a map key or a sort key.
func AppendKey(dst []byte, v Value) []byte {
	tag := tagOf(v)
	dst = append(dst, tag)
	switch x := v.(type) {
	case bool:
		if x {
			return append(dst, 1)
		}
		return append(dst, 0)
	case int64:
		return binary.BigEndian.AppendUint64(dst, uint64(x)^(1<<63))
	case float64:
		bits := math.Float64bits(x)
		if bits>>63 == 1 {
			bits = ^bits
		} else {
			bits |= 1 << 63
		}
		return binary.BigEndian.AppendUint64(dst, bits)
	case *apd.Decimal:
		return appendDecimalKey(dst, x)
	case time.Time:
		return appendTimeKey(dst, x)
	case [16]byte:
		return append(dst, x[:]...)
	case string:
		return appendEscaped(dst, x)
	case JSON:
		return appendEscaped(dst, string(x))
	case []byte:
		return appendEscaped(dst, string(x))
	case TimeOfDay:
		return binary.BigEndian.AppendUint64(dst, uint64(x))
	case []Value:
		for _, e := range x {
			dst = AppendKey(dst, e)
		}
		return append(dst, tagEnd)
	}
	return dst
}

func appendTimeKey(dst []byte, t time.Time) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(t.Unix())^(1<<63))
	return binary.BigEndian.AppendUint32(dst, uint32(t.Nanosecond()))
}

// appendEscaped ends the text with 00 01 and writes 00 as 00 FF, which keeps the order.
func appendEscaped(dst []byte, s string) []byte {
	for i := range len(s) {
		dst = append(dst, s[i])
		if s[i] == 0 {
			dst = append(dst, 0xFF)
		}
	}
	return append(dst, 0, 1)
}

// appendDecimalKey relies on all values of a decimal type having one exponent:
// the coefficient alone orders them. Sign, length, digits; inverted when negative.
func appendDecimalKey(dst []byte, d *apd.Decimal) []byte {
	b := d.Coeff.Bytes()
	if !d.Negative || len(b) == 0 {
		dst = append(dst, 1, byte(len(b)))
		return append(dst, b...)
	}
	dst = append(dst, 0, ^byte(len(b)))
	for _, c := range b {
		dst = append(dst, ^c)
	}
	return dst
}
