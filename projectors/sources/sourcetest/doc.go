// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sourcetest holds every source to the same behaviour: Run is the
// conformance suite, and a Harness is what a source gives it to work on.
//
// The suite knows logs by what a reader sees. What only one kind of broker can
// do (codecs, compaction, corrupt batches) is tested beside that source.
package sourcetest
