// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package foldtest draws effects, events and rows for property tests of the
// fold and of the stores. Few keys and extreme operands make the rare cases
// (overflow on the way, deleted and created again, absent and ignored) common.
package foldtest
