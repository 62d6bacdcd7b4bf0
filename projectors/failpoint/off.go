// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !failpoints

package failpoint

// Enabled tells whether this build has failpoints.
const Enabled = false

// Hit tells whether the point is on now. In this build it never is.
func Hit(string) bool { return false }
