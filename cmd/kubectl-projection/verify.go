// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/local"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
	"github.com/projectionist-dev/projectionist/projectors/connect"
)

func verifyCommand(p *output.Printer) *cobra.Command {
	var o local.VerifyOptions
	cmd := &cobra.Command{
		Use:   "verify -f DIRECTORY|FILE [PROJECTION]",
		Short: "Say whether the tables hold exactly what the log says",
		Long: "Fold the log of a Projection's topics once more, from its beginning to the positions of the tables that readers\n" +
			"see, and compare row by row. Projectors go on, and nothing is written without --repair. It costs one read of the log\n" +
			"and one of the tables. Values of rows that differ are shown.\n\n" +
			"With --repair, the rows that differ, at most 10,000, are made anew from the log, which is read once more; rows that\n" +
			"have no event are deleted.\n\n" +
			"Exit code 0: all rows are equal, or were repaired. 1: rows differ. 2: there is no answer, or no repair.",
		Example: "  kubectl projection verify -f shop/ order-summary --secrets ./secrets\n" +
			"  kubectl projection verify -f shop/ --sample 1% --store postgres://projector@localhost/shop --broker localhost:9092",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.Projection = args[0]
			}
			return local.Verify(cmd.Context(), p, o)
		},
	}
	whereFlags(cmd, &o)
	cmd.Flags().StringVarP(&o.Namespace, "namespace", "n", "", "namespace that owns the tables; without it the manifest's")
	cmd.Flags().StringVar(&o.Sample, "sample", "", "share of the keys to compare, always the same ones: 1%")
	cmd.Flags().BoolVar(&o.All, "all", false, "hold any number of rows in memory; without it 2 million")
	cmd.Flags().BoolVar(&o.Repair, "repair", false, "make the rows that differ anew from the log")
	cmd.Flags().IntVar(&o.Limit, "limit", 10, "how many differing rows of a model to show")
	_ = cmd.MarkFlagRequired("filename")
	cmd.MarkFlagsMutuallyExclusive("sample", "all")
	p.FormatFlag(cmd)
	return cmd
}

// whereFlags say where the tables and the log of a projection are.
func whereFlags(cmd *cobra.Command, o *local.VerifyOptions) {
	cmd.Flags().StringSliceVarP(&o.Files, "filename", "f", nil, "file or directory of manifests; may be given several times")
	cmd.Flags().StringVar(&o.Store, "store", "", "store in place of the ReadStore: "+connect.URLForms)
	cmd.Flags().StringVar(&o.Broker, "broker", "", "addresses in place of the EventBroker's bootstrapServers: HOST:PORT,...")
	cmd.Flags().StringVar(&o.Secrets, "secrets", "", "directory with a directory per Secret")
	cmd.Flags().StringVar(&o.Cluster, "cluster", "", "cluster that owns the tables, as the operator's --cluster-id; without it those of a local run")
}
