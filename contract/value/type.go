// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package value

import (
	"fmt"
	"strconv"
	"strings"
)

// Kind is the family of a Type.
type Kind uint8

// The kinds. The zero Kind is no type.
const (
	Text Kind = iota + 1
	Bool
	Int32
	Int64
	Float64
	Decimal
	Timestamp
	Date
	UUID
	JSONKind
	Bytes
	Time
)

// Limits of types and values (Law 10).
const (
	// MaxPrecision is the largest precision of a decimal: what every store can hold.
	MaxPrecision = 38
	// MaxTextBytes bounds one text, json or bytes value.
	MaxTextBytes = 1 << 20
	// MaxKeyTextBytes bounds a text value in a key column: an index entry has to hold it.
	MaxKeyTextBytes = 512
	// MaxArrayElements bounds an array.
	MaxArrayElements = 10_000
)

// Type is the type of a column. Types compare with ==.
type Type struct {
	Kind Kind
	// Precision and Scale are set for Decimal only: digits in all, and after the point.
	Precision, Scale uint8
	// Array makes it a one-dimensional array of the rest.
	Array bool
}

var kindNames = [...]string{
	Text: "text", Bool: "bool", Int32: "int32", Int64: "int64", Float64: "float64", Decimal: "decimal",
	Timestamp: "timestamp", Date: "date", UUID: "uuid", JSONKind: "json", Bytes: "bytes", Time: "time",
}

// TypesHelp names every type, for messages.
const TypesHelp = "text, bool, int32, int64, float64, decimal(p,s) with p from 1 to 38 and s from 0 to p, " +
	"timestamp, date, time, uuid, json, bytes, and arrays of all but json and bytes, such as text[]"

// Parse reads the canonical text of a type: "text", "decimal(12,2)", "int64[]".
// Spaces inside the parentheses of decimal are allowed, nothing else is.
func Parse(s string) (Type, error) {
	base, array := strings.CutSuffix(s, "[]")
	t := Type{Array: array}
	name, args, hasArgs := strings.Cut(base, "(")
	for k, n := range kindNames {
		if n == name && n != "" {
			t.Kind = Kind(k)
		}
	}
	switch {
	case t.Kind == 0:
		return Type{}, fmt.Errorf("unknown type %q; there are %s", s, TypesHelp)
	case t.Kind == Decimal:
		p, sc, ok := parsePrecision(args)
		if !hasArgs || !ok {
			return Type{}, fmt.Errorf("type %q: write decimal(p,s), for example decimal(12,2), with p from 1 to %d and s from 0 to p", s, MaxPrecision)
		}
		t.Precision, t.Scale = p, sc
	case hasArgs:
		return Type{}, fmt.Errorf("type %q: %s takes no parameters", s, name)
	case array && (t.Kind == JSONKind || t.Kind == Bytes):
		return Type{}, fmt.Errorf("type %q: there are no arrays of %s; use a json column", s, name)
	}
	return t, nil
}

func parsePrecision(args string) (p, s uint8, ok bool) {
	args, ok = strings.CutSuffix(args, ")")
	if !ok {
		return 0, 0, false
	}
	ps, ss, ok := strings.Cut(args, ",")
	if !ok {
		return 0, 0, false
	}
	pn, err1 := strconv.ParseUint(strings.TrimSpace(ps), 10, 8)
	sn, err2 := strconv.ParseUint(strings.TrimSpace(ss), 10, 8)
	if err1 != nil || err2 != nil || pn < 1 || pn > MaxPrecision || sn > pn {
		return 0, 0, false
	}
	return uint8(pn), uint8(sn), true
}

// MustParse is Parse for literals in code; it panics on a wrong one.
func MustParse(s string) Type {
	t, err := Parse(s)
	if err != nil {
		panic(err)
	}
	return t
}

// String gives the canonical text, which Parse reads back to an equal Type.
func (t Type) String() string {
	if int(t.Kind) >= len(kindNames) || t.Kind == 0 {
		return "invalid"
	}
	s := kindNames[t.Kind]
	if t.Kind == Decimal {
		s = fmt.Sprintf("decimal(%d,%d)", t.Precision, t.Scale)
	}
	if t.Array {
		s += "[]"
	}
	return s
}

// Elem is the type of an array's elements.
func (t Type) Elem() Type { t.Array = false; return t }

// CanKey tells whether a column of this type may be part of a model's key. Types
// whose values have several spellings (1.0 and 1.00) may not.
func (t Type) CanKey() bool {
	switch t.Kind {
	case Text, Bool, Int32, Int64, UUID, Date, Time, Timestamp:
		return !t.Array
	default:
		return false
	}
}

// CanAdd tells whether `add` works on this type. Addition of float64 is not
// associative, so a fold could not be cut anywhere.
func (t Type) CanAdd() bool {
	return !t.Array && (t.Kind == Int32 || t.Kind == Int64 || t.Kind == Decimal)
}

// CanMin tells whether `min` works on this type.
func (t Type) CanMin() bool { return t.CanMax() }

// CanMax tells whether `max` works on this type.
func (t Type) CanMax() bool {
	switch t.Kind {
	case Text, Int32, Int64, Float64, Decimal, Timestamp, Date, Time:
		return !t.Array
	default:
		return false
	}
}

// CanAppend tells whether `append` works on this type.
func (t Type) CanAppend() bool { return t.Array }

// CanMerge tells whether `merge` works on this type.
func (t Type) CanMerge() bool { return t.Kind == JSONKind }
