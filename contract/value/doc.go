// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package value holds the types of columns and the values of rows: parsing a
// type, converting what an expression yields into a column's value, comparing
// and adding values, and encoding them as map keys.
//
// Invariants: a conversion gives the value, the value rounded to the resolution
// that the column's type declares (the scale of a decimal, the microseconds of a
// timestamp, the nearest float64), or an error; it never wraps, cuts or guesses
// (CORRECTNESS 3). Conversions of key columns are injective: two different
// inputs never become the same key, so they do not round at all. Key encodings
// are injective and sort like Compare; text compares bytewise (the C collation)
// everywhere. No error carries a value (Law 7). It is a leaf below
// contract/expr, contract/compile, projectors/fold and every store, so that all
// of them mean the same by "decimal(12,2)".
package value
