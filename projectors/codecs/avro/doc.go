// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package avro turns Avro binary values into JSON text, by the table in
// docs/formats.md.
//
// twmb/avro parses schemas. Values are read here, because the library reads them
// into Go maps: those lose the order of fields, have to be walked once more to
// become JSON, and allocate for every field. A differential fuzz test holds the
// two readers equal.
//
// Invariants: a payload is read whole and exactly (bytes that are left are an
// error); what it makes is bounded by jsontext (Law 10); errors name the field
// path in the schema and never a value (Law 7).
//
// Neighbours: projectors/codecs calls, projectors/codecs/jsontext writes.
package avro
