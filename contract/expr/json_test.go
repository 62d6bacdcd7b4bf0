// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"testing"

	"github.com/valyala/fastjson"
)

// What an expression builds reads back as what it was, whatever has to be escaped.
func TestTextJSON(t *testing.T) {
	var arena fastjson.Arena
	for _, s := range []string{"", "x", "é😀", `"`, `\`, "\x00\x01\n\t\x1f", "\"\x7f\u00a0\u2028\U000e0001\ufffd<&>", "a\\u0041"} {
		if v := textJSON(&arena, s); string(v.GetStringBytes()) != s {
			t.Errorf("%q became %q", s, v.GetStringBytes())
		}
	}
}
