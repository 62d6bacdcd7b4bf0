// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package memory is an event log in the process: for unit tests of the engine,
// and for trying a projection on the command line without a broker.
//
// A Broker holds topics and groups; Log and Join give the views of one client.
// What happens to logs in real life can be made to happen: partitions added,
// topics made anew, tails lost, old records removed, transactions left open,
// members joining and leaving, and faults at will.
//
// Neighbours: sources has the interfaces; sourcetest holds this package and the
// Kafka source to the same behaviour.
package memory
