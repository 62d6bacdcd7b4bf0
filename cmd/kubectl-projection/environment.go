// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/cluster"
)

// environment is what commands need of the world beside their streams.
type environment struct {
	connect func(*cluster.Flags) (*cluster.Cluster, error)
	now     func() time.Time
	// after gives a channel that yields once a duration has passed.
	after func(time.Duration) <-chan time.Time
}

func realEnvironment() *environment {
	return &environment{connect: cluster.Connect, now: time.Now, after: time.After}
}

// completeName completes the name of a projection from the cluster.
func (e *environment) completeName(flags *cluster.Flags) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		c, err := e.connect(flags)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		names, err := c.Names(cmd.Context())
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
