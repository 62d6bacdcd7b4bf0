// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package contract is what the operator hands to a projector, and what it gets
// back. It is the only place where controllers/ and projectors/ meet.
//
// Everything here is plain data with a JSON form and a version. A projector
// reads the version it was built with and the one before; unknown fields are
// an error in neither direction, so that operator and projectors can be
// upgraded in any order. No Secret's value is ever part of it: it names
// Secrets and the keys in them, and the kubelet mounts them.
//
// Neighbours: contract/value (column types and values), contract/expr (CEL),
// contract/jsondoc (members of JSON texts),
// contract/compile (a Projection's spec becomes a Contract).
package contract
