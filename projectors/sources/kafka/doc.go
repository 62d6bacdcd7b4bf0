// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kafka reads Apache Kafka (2.8 and newer) and its like.
//
// Connections, TLS, SASL, group membership and administration are kafka-go's
// (Transport, ConsumerGroup, Client). The data is not: kafka-go's read paths
// deliver aborted and control records and lose their place on the empty batches
// that compaction leaves, so Fetch, ListOffsets and Metadata are messages of
// our own, sent through its Transport by protocol.RawExchanger and decoded by
// package recordbatch.
//
// Invariants:
//
//   - Every round trip has a deadline, and every connection one per read and
//     write: nothing waits for ever for a silent broker.
//   - The buffer of a round trip that did not return normally is never used
//     again: kafka-go's goroutine may still write into it.
//   - Requests go straight to the leader that our own metadata names, with the
//     leader epoch and, where the broker can (3.1 and newer), with the topic's
//     id. Errors that say the metadata is old are mended inside, and surface
//     only when they last.
//   - Credentials and certificates are resolved again for every connection.
//   - A position is never changed: what the log no longer holds is an error.
//
// Neighbours: sources has the interfaces and the errors, assign the assignment
// of partitions.
package kafka
