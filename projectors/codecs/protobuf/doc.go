// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package protobuf turns Protobuf messages into JSON text, by the table in
// docs/formats.md: Protobuf's own JSON names and forms, with 64-bit integers as
// numbers, and with fields that have no presence always there.
//
// Schemas come as .proto text; protocompile compiles them. Messages are read by
// dynamicpb, the reference implementation. hyperpb reads several times faster,
// but by unsafe code that does not build on every processor and is not yet
// version 1: payloads come from strangers. It has the same reflection interface,
// so that it can take dynamicpb's place in Decode alone.
//
// Invariants: what is made is bounded by jsontext (Law 10); the same bytes give
// the same text (maps are sorted); errors name no value (Law 7).
//
// Neighbours: projectors/codecs calls, projectors/codecs/jsontext writes.
package protobuf
