// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/explain"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/manifests"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/workspace"
)

func explainCommand(p *output.Printer) *cobra.Command {
	var files []string
	var name string
	cmd := &cobra.Command{
		Use:   "explain -f FILE",
		Short: "Show the tables, the statements and how each handler runs",
		Long: "Show what a projection creates in the store, the statements that carry the effects of its handlers, whether a\n" +
			"handler reads rows first, whether a model is single-source, and why.",
		Example: "  kubectl projection explain -f shop/ --projection order-summary",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			set, err := manifests.Load(files, p.In)
			if err != nil {
				return err
			}
			w := workspace.New(set)
			var all []*explain.Projection
			for _, projection := range w.Projections {
				if name != "" && projection.Name != name {
					continue
				}
				// The consumer group and the comments in the store carry the namespace; one that is not given is kubectl's usual.
				projection.Value.Namespace = cmp.Or(projection.Value.Namespace, "default")
				compiled, err := w.Compile(projection, "explain")
				if err != nil {
					return err
				}
				e, err := explain.Explain(compiled.Contract)
				if err != nil {
					return err
				}
				all = append(all, e)
			}
			switch {
			case len(all) == 0 && name != "":
				return fmt.Errorf("there is no Projection %q in these files", name)
			case len(all) == 0:
				return errors.New("there is no Projection in these files")
			case p.Format != output.Text:
				return p.Document(struct {
					Projections []*explain.Projection `json:"projections"`
				}{all})
			}
			for i, e := range all {
				if i > 0 {
					p.Printf("\n")
				}
				explain.Print(p, e)
			}
			return nil
		},
	}
	cmd.Flags().StringSliceVarP(&files, "filename", "f", nil, "file or directory of manifests; may be given several times")
	cmd.Flags().StringVar(&name, "projection", "", "which Projection (default: all in the files)")
	_ = cmd.MarkFlagRequired("filename")
	p.FormatFlag(cmd)
	return cmd
}
