// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package manifests reads YAML and JSON files of resources, as kubectl reads
// them, and remembers where each field stands.
//
// Invariants: values are what kubectl would send, YAML 1.1 booleans included,
// since they come from the same library; a field path resolves to a file, a line
// and a column, or to those of the nearest field that is there; other groups'
// resources are passed over; what is wrong with a file is a Problem with a
// position, and only what cannot be read is an error.
//
// Neighbours: lint, test, run, explain and preview; contract/compile, whose
// paths it resolves.
package manifests
