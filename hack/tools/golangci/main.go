// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Command golangci is golangci-lint with kube-api-linter as a built-in module plugin. golangci-lint's own way to add a
// plugin fetches its source with git; this needs nothing but Go modules.
package main

import (
	"fmt"
	"os"

	"github.com/golangci/golangci-lint/v2/pkg/commands"
	_ "sigs.k8s.io/kube-api-linter"
)

func main() {
	if err := commands.Execute(commands.BuildInfo{GoVersion: "go1.26", Version: "v2.15.0", Commit: "module", Date: "unknown"}); err != nil {
		fmt.Fprintln(os.Stderr, "golangci:", err)
		os.Exit(3)
	}
}
