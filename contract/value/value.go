// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package value

// Value is one column's value. Its dynamic type follows from the column's Type:
//
//	text              a string
//	bool              a bool
//	int32, int64      an int64
//	float64           a float64, finite, never -0
//	decimal(p,s)      *apd.Decimal, exponent -s, never modified after it was made
//	timestamp         time.Time in UTC, whole microseconds
//	date              time.Time in UTC, midnight
//	uuid              [16]byte
//	json              JSON
//	bytes             []byte, never modified after it was made
//	T[]               []Value of T, never modified after it was made
//
// NULL is nil.
type Value = any

// JSON is the text of a JSON value.
type JSON string
