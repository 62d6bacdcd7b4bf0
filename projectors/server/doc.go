// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package server answers a projector's HTTP endpoints: /status (JSON, what the
// operator and the command line read), /metrics, /healthz and /readyz.
//
// Nothing it says carries a payload's value (Law 7). /readyz does not ask for a
// partition: with more pods than partitions a surge roll-out would never end.
package server
