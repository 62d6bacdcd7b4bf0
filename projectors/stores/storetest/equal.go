// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"encoding/json"
	"reflect"
	"strings"

	"github.com/projectionist-dev/projectionist/contract/value"
)

// Equal tells whether two values of one type are the same: JSON by its
// meaning, since stores keep it in forms of their own, the rest by value.Compare.
func Equal(a, b value.Value) bool {
	x, isJSON := a.(value.JSON)
	y, both := b.(value.JSON)
	if isJSON && both {
		return reflect.DeepEqual(meaning(x), meaning(y))
	}
	return value.Compare(a, b) == 0
}

// meaning keeps the digits of numbers.
func meaning(j value.JSON) any {
	d := json.NewDecoder(strings.NewReader(string(j)))
	d.UseNumber()
	var out any
	if d.Decode(&out) != nil {
		return j
	}
	return out
}
