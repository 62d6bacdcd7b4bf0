// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/cluster"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/status"
)

func statusCommand(env *environment, p *output.Printer) *cobra.Command {
	var flags cluster.Flags
	w := waiting{watch: true}
	var watch bool
	cmd := &cobra.Command{
		Use:   "status NAME",
		Short: "Show what a projection is doing, and what is wrong",
		Long: "Show the conditions of a projection, its revisions, and the partitions that are behind or stopped. Figures per partition\n" +
			"come from the projectors, through the API server, for those who may list pods and get pods/proxy.\n\n" +
			"Exit code 0, whatever is shown, as kubectl get has it. kubectl wait --for=condition=Ready proj/NAME asks in scripts.",
		Example:           "  kubectl projection status order-summary -n shop",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: env.completeName(&flags),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := env.connect(&flags)
			if err != nil {
				return err
			}
			if watch && p.Format == output.Text {
				err := env.follow(cmd.Context(), p, c, args[0], &w, func(*status.View, *status.Follower) (bool, error) { return false, nil })
				// Ctrl-C is how it ends.
				if cmd.Context().Err() == nil {
					return err
				}
				return nil
			}
			return show(cmd.Context(), env, p, c, args[0], true, status.Print)
		},
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "show its revisions as they go on, until it is interrupted")
	flags.Add(cmd)
	p.FormatFlag(cmd)
	return cmd
}

func revisionsCommand(env *environment, p *output.Printer) *cobra.Command {
	var flags cluster.Flags
	cmd := &cobra.Command{
		Use:               "revisions NAME",
		Short:             "List the revisions that a projection has tables of",
		Long:              "List the revision that readers see, the one that is built, and those that are kept for a rollback.",
		Example:           "  kubectl projection revisions order-summary -n shop",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: env.completeName(&flags),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := env.connect(&flags)
			if err != nil {
				return err
			}
			return show(cmd.Context(), env, p, c, args[0], false, status.PrintRevisions)
		},
	}
	flags.Add(cmd)
	p.FormatFlag(cmd)
	return cmd
}

// show reads a projection once and prints it in the printer's format.
func show(ctx context.Context, env *environment, p *output.Printer, c *cluster.Cluster, name string, exact bool, text func(*output.Printer, *status.View)) error {
	v, err := status.Read(ctx, c, name, exact, env.now())
	if err != nil {
		return err
	}
	if p.Format != output.Text {
		return p.Document(v)
	}
	text(p, v)
	return nil
}
