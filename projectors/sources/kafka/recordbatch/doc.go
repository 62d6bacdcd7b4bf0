// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package recordbatch decodes the record batches of a Kafka fetch response
// (message format 2) into event records.
//
// Invariants:
//
//   - The next offset comes from the batch headers (base offset, last offset
//     delta), never from the records: a batch that compaction emptied, a tail
//     that it took away, control records and aborted transactions all move it.
//   - Every complete batch is checked against its CRC-32C before a byte of it
//     is used. An incomplete last batch is left for the next fetch.
//   - What a batch may unpack to is bounded before it is unpacked.
//   - Input is hostile: no input makes the decoder panic, loop, or allocate
//     beyond the limits.
//   - No allocation per record: keys and values point into the response's
//     buffer, or into the buffer that the batch was decompressed to.
//
// Kafka's own consumer is the model for the filter of aborted transactions
// (org.apache.kafka.clients.consumer.internals.CompletedFetch).
package recordbatch
