// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package credentials reads what a mounted Secret says about a broker, a schema
// registry or a store, in the formats that users already have: Strimzi KafkaUser,
// CloudNativePG app, Service Binding, cert-manager, or keys mapped by hand.
//
// Invariants: nothing is cached, so that a rotated Secret is used by the next
// connection; an error names the Secret and the key, never a value (Law 7); the
// CA is never taken from a user's Secret unless it is referred to by name (a
// Strimzi KafkaUser's ca.crt is the clients' CA, not the brokers').
//
// Neighbours: cmd/projector and projectors/actions hand the results to
// sources/kafka, registry and stores/postgres, which ask again before each
// connection or request.
package credentials
