// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package jsontext writes the JSON text of values that were not JSON: Avro,
// Protobuf, plain text, bytes.
//
// Why text, when expressions read a parse tree: fastjson can build one through
// its Arena, but Arena escapes strings by strconv.AppendQuote, whose \x01, \a
// and \U0001f9ff its own unescaping does not know, so that control characters
// and some others come out changed; and Object.Set looks through all members, so
// that a map costs the square of its size. Writing and parsing is linear, right,
// and puts every format under the limits and the parser of JSON payloads.
//
// Invariants: the text is valid JSON in valid UTF-8, numbers lose no digit, and
// size and depth are bounded (Law 10); no error holds a value (Law 7).
//
// Neighbours: projectors/codecs and the formats below it write, codecs.JSON parses.
package jsontext
