// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/cluster"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/local"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/secrets"
	"github.com/projectionist-dev/projectionist/projectors/connect"
)

func verifyCommand(env *environment, p *output.Printer) *cobra.Command {
	var o local.VerifyOptions
	var flags cluster.Flags
	var revision string
	cmd := &cobra.Command{
		Use:   "verify NAME | verify -f DIRECTORY|FILE [PROJECTION]",
		Short: "Say whether the tables hold exactly what the log says",
		Long: "Fold the log of a Projection's topics once more, from its beginning to the positions of the tables that readers\n" +
			"see, and compare row by row; and test the assertions of its rollout.verify, or of the Replay that has\n" +
			"built it. Projectors go on, and nothing is written without --repair. It costs one read of the log and one of the\n" +
			"tables. Values of rows that differ are shown.\n\n" +
			"With a NAME, the cluster says what the tables were built from, and you need the right to read the Secrets of its broker\n" +
			"and store, or --secrets. Broker and store are reached from here: --broker and --store give addresses that lead there.\n\n" +
			"With --repair, the rows that differ, at most 10,000, are made anew from the log, which is read once more; rows that\n" +
			"have no event are deleted.\n\n" +
			"Exit code 0: all rows are equal, or were repaired, and all assertions hold. 1: not so. 2: there is no answer, or no repair.",
		Example: "  kubectl projection verify order-summary -n shop --revision b2d1905c3e --store postgres://projector@localhost/shop\n" +
			"  kubectl projection verify -f shop/ order-summary --secrets ./secrets\n" +
			"  kubectl projection verify -f shop/ --sample 1% --store postgres://projector@localhost/shop --broker localhost:9092",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: env.completeName(&flags),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.Projection = args[0]
			}
			o.Namespace = flags.Namespace
			if len(o.Files) > 0 {
				return local.Verify(cmd.Context(), p, o)
			}
			if o.Projection == "" {
				return errors.New("say which Projection of the cluster, or give its manifests with -f")
			}
			c, err := env.connect(&flags)
			if err != nil {
				return err
			}
			if o.Deployed, err = deployed(cmd.Context(), c, &o, revision); err != nil {
				return err
			}
			return local.Verify(cmd.Context(), p, o)
		},
	}
	flags.Add(cmd)
	whereFlags(cmd, &o)
	cmd.Flags().StringVar(&revision, "revision", "", "revision of the cluster to compare, or the beginning of its name; without it the one that readers see")
	cmd.Flags().StringVar(&o.Sample, "sample", "", "share of the keys to compare, always the same ones: 1%")
	cmd.Flags().BoolVar(&o.All, "all", false, "hold any number of rows in memory; without it 2 million")
	cmd.Flags().BoolVar(&o.Repair, "repair", false, "make the rows that differ anew from the log")
	cmd.Flags().IntVar(&o.Limit, "limit", 10, "how many differing rows of a model, or rows that do not meet an assertion, to show")
	cmd.MarkFlagsMutuallyExclusive("sample", "all")
	for _, ofCluster := range []string{"revision", "kubeconfig", "context"} {
		cmd.MarkFlagsMutuallyExclusive("filename", ofCluster)
	}
	p.FormatFlag(cmd)
	return cmd
}

// deployed reads from the cluster what a revision was built from, and what it takes to reach broker and store.
func deployed(ctx context.Context, c *cluster.Cluster, o *local.VerifyOptions, revision string) (*local.Deployed, error) {
	projection, err := c.Projection(ctx, o.Projection)
	if err != nil {
		return nil, err
	}
	known, err := c.Contract(ctx, projection, revision)
	if err != nil {
		return nil, err
	}
	wanted := *known
	if o.Store != "" {
		wanted.Store.Postgres = nil
	}
	mounted, denied, err := c.Mounts(ctx, secrets.Names(&wanted), secrets.ConfigMaps(&wanted))
	if err != nil {
		return nil, err
	}
	if len(denied) > 0 && o.Secrets == "" {
		return nil, fmt.Errorf("you may not read %s in namespace %s: give what they hold with --secrets", strings.Join(denied, ", "), c.Namespace)
	}
	// What a Replay has built is verified as that says.
	all, err := c.Replays(ctx, projection.Name)
	if err != nil && !cluster.Forbidden(err) {
		return nil, err
	}
	for i := range all {
		if v := all[i].Spec.Verify; v != nil && known.Attempt != "" && known.Attempt == string(all[i].UID) {
			projection.Spec.Rollout.Verify = v
		}
	}
	return &local.Deployed{Projection: projection, Contract: known, Mounted: mounted}, nil
}

// whereFlags say where the tables and the log of a projection are.
func whereFlags(cmd *cobra.Command, o *local.VerifyOptions) {
	cmd.Flags().StringSliceVarP(&o.Files, "filename", "f", nil, "file or directory of manifests; may be given several times")
	cmd.Flags().StringVar(&o.Store, "store", "", "store in place of the ReadStore: "+connect.URLForms)
	cmd.Flags().StringVar(&o.Broker, "broker", "", "addresses in place of the EventBroker's bootstrapServers: HOST:PORT,...")
	cmd.Flags().StringVar(&o.Secrets, "secrets", "", "directory with a directory per Secret")
	cmd.Flags().StringVar(&o.Cluster, "cluster", "", "cluster that owns the tables, as the operator's --cluster-id; without it those of a local run")
}
