// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"math/bits"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// costs counts what CEL takes to be one step: the functions whose work grows with
// their operands. Without it, list.map(x, list.sum()) would be far more work than its steps.
type costs struct{}

// perSize are the functions that CEL itself counts as one step each.
var perSize = map[string]bool{
	"charAt": true, "indexOf": true, "lastIndexOf": true, "join": true, "split": true, "substring": true, "replace": true, "trim": true,
	"lowerAscii": true, "upperAscii": true, "base64.encode": true, "base64.decode": true, "find": true, "findAll": true, "hash.sha256": true, "uuid.v5": true,
	"sum": true, "min": true, "max": true, "isSorted": true, "sort": true, "reverse": true, "distinct": true, "flatten": true, "slice": true,
	"decimal": true, "timestamp": true,
}

// CallCost implements CEL's ActualCostEstimator.
func (costs) CallCost(function, _ string, args []ref.Val, result ref.Val) *uint64 {
	if !perSize[function] {
		return nil
	}
	n := uint64(1)
	for _, arg := range args {
		n += sizeCost(arg)
	}
	n += sizeCost(result)
	switch function {
	case "sort":
		n *= uint64(bits.Len64(n))
	case "find", "findAll":
		n *= 1 + sizeCost(args[1])
	}
	return &n
}

// sizeCost is a step per element, and per ten bytes of text, as CEL counts.
func sizeCost(v ref.Val) uint64 {
	switch x := v.(type) {
	case types.String:
		return uint64(len(x)+9) / 10
	case types.Bytes:
		return uint64(len(x)+9) / 10
	case traits.Lister:
		return uint64(x.Size().(types.Int))
	}
	return 0
}
