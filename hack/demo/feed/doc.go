// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package feed sends a sequence of events to Kafka topics, each event exactly once and, within a partition, in order.
//
// kafka-go has no idempotent producer, and a table of counts would show every record that a retry doubles. So there is
// one request in flight for each partition, and after a lost answer the partition's end offset tells whether the batch
// was appended. That needs topics to which nobody else writes meanwhile; another writer is noticed and is an error.
//
// Neighbours: hack/demo/flights yields the events.
package feed
