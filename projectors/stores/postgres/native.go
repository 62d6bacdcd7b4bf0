// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"regexp"
	"strings"

	"github.com/projectionist-dev/projectionist/contract/value"
)

// A column with a native type is written by a cast from the text of its value,
// and read back as its logical type through the text that the server prints.
// A type outside pg_catalog, which is all that search_path holds, is named with its schema.

// nativeType is what v1alpha1 allows for the name of a type: it goes into statements as it is.
var nativeType = regexp.MustCompile(`^([a-z_][a-z0-9_]*[.])?[a-z_][a-z0-9_]*( [a-z]+)*(\([0-9]{1,5}(, ?[0-9]{1,5})?\))?$`)

// nativeCast is the type that values are cast to before they are assigned. A
// cast to varchar(3) cuts what is too long, the assignment refuses it: so the cast is to the
// type without its length.
func nativeCast(native string) string {
	base, _, _ := strings.Cut(native, "(")
	switch base {
	case "character", "char":
		return "bpchar" // char alone is one character
	case "bit":
		return "bit varying"
	}
	return base
}

// wire is the type in which the column's values are sent.
func (c column) wire() value.Type {
	if c.native != "" {
		return textType
	}
	return c.typ
}

// encode gives the binary form of an array of n of the column's values.
func (c column) encode(n int, at func(int) value.Value) []byte {
	if c.native == "" {
		return encodeArray(c.typ, n, at)
	}
	return encodeArray(textType, n, func(i int) value.Value {
		if v := at(i); v != nil {
			return wireText(c.typ, v)
		}
		return nil
	})
}

// read is an SQL expression of the column's value in its logical type; from
// names the table. A cast to text may say more than the type's output (inet does).
func (c column) read(from string) string {
	s := from + "." + quote(c.name)
	if c.native == "" {
		return s
	}
	return "CASE WHEN " + s + " IS NOT NULL THEN pg_catalog.format('%s', " + s + ")::" + cast(c.typ) + " END"
}
