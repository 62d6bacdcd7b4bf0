// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kubectl-projection develops projections without a cluster, and rolls them out in one. It works
// as a kubectl plugin (kubectl projection) and alone.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// version is set by the linker (see the Makefile).
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	code := execute(ctx, realEnvironment(), os.Args, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
