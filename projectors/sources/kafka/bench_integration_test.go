// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package kafka_test

import "testing"

// BenchmarkFetchReal is BenchmarkFetchFake on a real broker.
func BenchmarkFetchReal(b *testing.B) { benchFetch(b, realHarness(b)) }
