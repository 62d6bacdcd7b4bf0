// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package scaffold makes a first EventTopic, Projection and ProjectionTest out
// of what is known of a topic's events: a JSON Schema, an AsyncAPI document (2
// and 3), or a sample of events.
//
// What it makes is a beginning for people: commented, without advice from lint,
// with a test that passes. Where it guesses, the comment says so.
//
// Invariants: the files depend on the input alone; nothing is guessed that would
// make lint refuse the result.
//
// Neighbours: the command init; lint and test, which its tests run on the result.
package scaffold
