// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package value holds the types of columns and the values of rows: parsing a
// type, converting what an expression yields into a column's value, comparing
// values, and encoding them as map keys.
//
// Invariants: a conversion either is exact or an error (numbers never lose a
// digit silently, CORRECTNESS 3); key encodings are injective; text compares
// bytewise (the C collation) everywhere. It is a leaf below contract/expr,
// contract/compile, projectors/fold and every store, so that all of them mean
// the same by "decimal(12,2)".
package value
