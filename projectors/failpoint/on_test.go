// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build failpoints

package failpoint

import (
	"slices"
	"testing"
)

func TestHitCounts(t *testing.T) {
	Set("a, b=2")
	var a, b, c []bool
	for range 3 {
		a, b, c = append(a, Hit("a")), append(b, Hit("b")), append(c, Hit("c"))
	}
	if !slices.Equal(a, []bool{true, true, true}) || !slices.Equal(b, []bool{false, true, false}) || !slices.Equal(c, []bool{false, false, false}) {
		t.Fatal(a, b, c)
	}
}

func TestMisspeltCountPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fatal("a=x was taken")
		}
	}()
	parse("a=x")
}
