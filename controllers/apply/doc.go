// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package apply brings desired objects to the API server by server-side apply,
// and sends nothing where the live object already is what is desired (Law 9).
//
// One field manager owns all fields that the operator sets. A desired object
// carries a hash of itself, so that a field that is no longer desired is seen
// as a change; the fields that it sets are compared with the live ones, so that
// drift is repaired. An object of the same name that is another's is never
// taken over.
package apply
