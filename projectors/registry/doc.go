// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package registry finds schemas in a schema registry that speaks Confluent's
// REST interface (Confluent, Karapace, Apicurio, Redpanda).
//
// Invariants: what was found is remembered (an id never changes its meaning), so
// that an outage does not stop known schemas; what was not found is an
// UnavailableError, never an event's fault (Law 5), and is asked again only after
// a pause; each id is asked once at a time, in the background, and callers wait
// for the first answer only a moment; answers, schemas and their number are
// bounded (Law 10); credentials and CA are read for each request, so that they
// may rotate, and no error holds a secret (Law 7). Redirects are not followed:
// credentials go to the declared addresses alone.
//
// Neighbours: projectors/connect makes it from a contract, projectors/codecs asks.
package registry
