// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/local"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
	"github.com/projectionist-dev/projectionist/projectors/connect"
)

func runCommand(p *output.Printer) *cobra.Command {
	var o local.Options
	cmd := &cobra.Command{
		Use:   "run -f DIRECTORY|FILE",
		Short: "Run the projections of some manifests on this machine",
		Long: "Run every Projection of the manifests on this machine, until interrupted or until everything is caught up.\n" +
			"Where no broker and no store are named, events come from files (--events) by way of a broker in this process,\n" +
			"and rows go to a SQLite file. Progress goes to standard error, the result to standard output.",
		Example: "  kubectl projection run -f shop/ --events events.ndjson --until-caught-up\n" +
			"  kubectl projection run -f shop/ --events stock=sales.ndjson --store sqlite:shop.db\n" +
			"  kubectl projection run -f shop/ --secrets ./secrets",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return local.Run(cmd.Context(), p, o) },
	}
	cmd.Flags().StringSliceVarP(&o.Files, "filename", "f", nil, "file or directory of manifests; may be given several times")
	cmd.Flags().BoolVar(&o.Embedded, "embedded", false, "use a broker in this process in place of the EventBroker's Kafka; implied by --events")
	cmd.Flags().StringArrayVar(&o.Events, "events", nil, "file of events for the embedded broker: FILE or TOPIC=FILE, - is the standard input; may be given several times")
	cmd.Flags().StringVar(&o.Store, "store", "", "store in place of the ReadStore: "+connect.URLForms)
	cmd.Flags().StringVar(&o.Secrets, "secrets", "", "directory with a directory per Secret")
	cmd.Flags().BoolVar(&o.UntilCaughtUp, "until-caught-up", false, "end when the ends of all topics are reached")
	_ = cmd.MarkFlagRequired("filename")
	p.FormatFlag(cmd)
	return cmd
}
