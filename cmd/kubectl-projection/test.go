// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/testrun"
	"github.com/projectionist-dev/projectionist/projectors/connect"
)

func testCommand(p *output.Printer) *cobra.Command {
	var o testrun.Options
	var run string
	var verbose bool
	cmd := &cobra.Command{
		Use:   "test DIRECTORY|FILE...",
		Short: "Run ProjectionTests: given these events, then these rows",
		Long: "Run the ProjectionTests in files and directories: each case gives events and says which rows they make.\n" +
			"Manifests of Projections and EventTopics are found in the same directories; nothing else is needed.",
		Example: "  kubectl projection test shop/\n" +
			"  kubectl projection test shop/stock_test.yaml --run 'returns'\n" +
			"  kubectl projection test shop/ --store postgres://me:secret@localhost/scratch -o junit > tests.xml",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Paths = args
			if run != "" {
				re, err := regexp.Compile(run)
				if err != nil {
					return fmt.Errorf("--run: %w", err)
				}
				o.Run = re
			}
			r, err := testrun.Run(cmd.Context(), o)
			if err != nil {
				return err
			}
			if err := testrun.Print(p, r, verbose); err != nil {
				return err
			}
			switch {
			case r.Summary.Errors+len(r.Problems) > 0:
				return fmt.Errorf("%s could not run", output.Count(r.Summary.Errors+len(r.Problems), "file"))
			case r.Summary.Failed > 0:
				return output.ErrFound
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&o.Store, "store", "", "store to run on: "+connect.URLForms+" (default memory:)")
	cmd.Flags().StringVar(&run, "run", "", "run only the cases whose TEST/CASE matches this regular expression")
	cmd.Flags().BoolVar(&o.Update, "update", false, "rewrite the expected rows of cases that fail with what came out")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "name the cases that passed, too")
	p.FormatFlag(cmd, testrun.JUnit)
	return cmd
}
