// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package codecs turns a record's bytes into what expressions read.
//
// Invariants: decoding is lazy (a field that no expression names is not
// converted) but complete (what is not valid JSON is refused, wherever the fault
// is, so that whether an event is good does not depend on which fields are
// read); it is bounded in size and depth (Law 10); no error carries a part of
// the payload (Law 7).
//
// Neighbours: projectors/handlers decodes with it, contract/expr reads the result.
package codecs
