// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package codecs turns a record's bytes into what expressions read: JSON,
// CloudEvents, Debezium's envelope and outbox, Avro, Protobuf and JSON Schema
// behind the id of a schema registry, text, and bytes. docs/formats.md says what
// becomes of each value.
//
// Invariants: decoding is lazy (a field that no expression names is not
// converted, and a payload in JSON of which expressions read members at fixed paths
// alone never becomes a tree: NewOf) but complete (what is not valid is refused, wherever the fault is,
// so that whether an event is good does not depend on which fields are read); it
// is bounded in size and depth (Law 10); no error carries a part of the payload
// (Law 7). An event is to blame for a DecodeError alone: a schema that cannot be
// had or used is an UnavailableError, which makes a wait (Law 5).
//
// Neighbours: contract/jsondoc reads JSON; the formats with schemas are packages below; projectors/registry
// gives schemas; projectors/handlers decodes with it, contract/expr reads the
// result, projectors/engine waits.
package codecs
