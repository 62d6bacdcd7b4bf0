// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/lint"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/manifests"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
)

func lintCommand(p *output.Printer) *cobra.Command {
	var strict bool
	cmd := &cobra.Command{
		Use:   "lint FILE|DIR...",
		Short: "Say what the API server and the operator would refuse",
		Long: "Check manifests as the API server and the operator would, and give advice. Directories are read with their\n" +
			"subdirectories; - is standard input. References are looked up in the files that are named.",
		Example: "  kubectl projection lint shop/\n  kustomize build overlays/prod | kubectl projection lint -",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			set, err := manifests.Load(args, p.In)
			if err != nil {
				return err
			}
			if len(set.Objects) == 0 && len(set.Problems) == 0 {
				return errors.New("there is no resource of cqrs.projectionist.dev in these files")
			}
			report, err := lint.Run(set)
			if err != nil {
				return err
			}
			if p.Format == output.Text {
				lint.Print(p, report)
			} else if err := p.Document(report); err != nil {
				return err
			}
			if report.Errors > 0 || strict && report.Advice > 0 {
				return output.ErrFound
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&strict, "strict", false, "fail on advice too")
	p.FormatFlag(cmd)
	return cmd
}
