// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package connect turns what a contract says about a broker, its schema registry
// and a store into the configuration of their clients, with credentials that are read from the
// mounted Secrets before every new connection.
//
// It is where sources and stores are registered: adding one is a branch here.
// Neighbours: projectors/credentials reads, cmd/projector and
// projectors/actions call.
package connect
