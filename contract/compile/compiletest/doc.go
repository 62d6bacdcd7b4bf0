// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package compiletest draws specs and events at random, for tests of what
// contract/compile admits: no admitted row may depend on how partitions
// interleave (CORRECTNESS 1), be it folded by an interpreter of the test's own
// (contract/compile) or by what projectors run (projectors/handlers).
package compiletest
