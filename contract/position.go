// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Position is an opaque, ordered place in a partition: decimal digits without
// leading zeros, ordered by length and then bytewise, so that a store can
// compare it without knowing the source. For Kafka it is an offset. The empty
// Position is unknown and sorts first.
type Position string

// OffsetPosition is the Position of a Kafka offset, which must not be negative.
func OffsetPosition(offset int64) Position { return Position(strconv.FormatInt(offset, 10)) }

// Compare is negative, zero or positive as p is before, at or after o.
func (p Position) Compare(o Position) int {
	return cmp.Or(cmp.Compare(len(p), len(o)), strings.Compare(string(p), string(o)))
}

// Offset gives the Kafka offset back.
func (p Position) Offset() (int64, error) {
	n, err := strconv.ParseInt(string(p), 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("position %q is not a Kafka offset", string(p))
	}
	return n, nil
}
