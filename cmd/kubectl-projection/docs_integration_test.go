// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package main

import (
	"os"
	"testing"
)

func TestDocsOnPostgreSQL(t *testing.T) {
	url := os.Getenv("PG_URL")
	if url == "" {
		t.Fatal("PG_URL is not set: run hack/postgres/up and evaluate hack/postgres/env")
	}
	passes(t, url)
}
