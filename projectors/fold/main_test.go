// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package fold_test

import (
	"flag"
	"os"
	"testing"
)

// TestMain asks for more than rapid's 100 checks, since the laws of the fold are
// cheap to check and everything stands on them; the command line wins.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "1500"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
