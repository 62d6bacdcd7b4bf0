// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rig runs projectors as processes of their own against a real broker
// and a real database, and breaks all three.
//
// Parts are started by the scripts under hack/, each test suite with an instance
// of its own, so that breaking them disturbs nobody. A Projection is a contract
// with topics, schemas and Secrets of its own, so that many run beside each
// other on the same parts. A Process is one projector.
//
// It fails a test with the reason where a part cannot be had: nothing is skipped.
// Neighbours: test/oracle says what the tables must hold.
package rig
