// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"

	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold/naive"
)

// digest stands for a set of rows, in whatever order they are added: the sum of their hashes modulo 2^128, and their number.
type digest struct {
	high, low uint64
	rows      int64
}

// add adds a row, by the columns that are compared. buf is scratch.
func (d *digest) add(row []value.Value, columns []int, buf []byte) []byte {
	buf = buf[:0]
	for _, c := range columns {
		buf = value.AppendKey(buf, row[c])
	}
	sum := sha256.Sum256(buf)
	var carry uint64
	d.low, carry = bits.Add64(d.low, binary.BigEndian.Uint64(sum[8:]), 0)
	d.high, _ = bits.Add64(d.high, binary.BigEndian.Uint64(sum[:]), carry)
	d.rows++
	return buf
}

// bucketOf is the bucket of a key as naive.Key writes it.
func bucketOf(key string) int {
	sum := sha256.Sum256([]byte(key))
	return int(binary.BigEndian.Uint16(sum[:]) % Buckets)
}

func bucketOfValues(key []value.Value) int { return bucketOf(naive.Key(key)) }
