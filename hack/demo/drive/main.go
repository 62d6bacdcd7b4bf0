// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Command drive is the second half of `make demo`: on a cluster where the
// operator runs, it applies the samples, feeds real flights, kills a projector
// half way, and compares the read models with a computation of their own.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	d := &demo{out: os.Stdout, terminal: isTerminal(os.Stdout)}
	flag.IntVar(&d.flights, "flights", 500_000, "how many flights to send")
	flag.StringVar(&d.data, "data", "", "directory with the input files")
	flag.StringVar(&d.namespace, "namespace", "flights", "namespace to work in; it is made")
	flag.StringVar(&d.samples, "samples", "config/samples/flights", "manifests to apply")
	flag.StringVar(&d.kubectl, "kubectl", "kubectl", "kubectl to use")
	flag.DurationVar(&d.patience, "patience", 5*time.Minute, "how long to wait for the read models")
	flag.Parse()
	if err := d.run(ctx); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "demo:", err)
		if !errors.Is(err, errDifferent) {
			d.explain()
		}
		os.Exit(1)
	}
}
