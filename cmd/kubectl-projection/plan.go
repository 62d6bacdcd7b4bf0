// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/cluster"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/manifests"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/plan"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/workspace"
)

const planExitCodes = `Exit codes (of several projections, the one that needs a look most: 1, 3, 2, 4, 0):
  0  nothing to do
  1  it could not run, or a spec would be refused
  2  a new revision would be built
  3  a new revision would be built, and its switch would break readers
  4  the change takes effect in place`

func planCommand(env *environment, p *output.Printer) *cobra.Command {
	var files, against []string
	var ddl bool
	var flags cluster.Flags
	cmd := &cobra.Command{
		Use:   "plan -f FILE|DIR",
		Short: "Say what a change will do before it is applied",
		Long: "Compare the Projections of some files with what runs, and say whether the change takes effect in place or builds\n" +
			"a new revision, why, which tables are made, what readers notice, and what is read again. What the files lack\n" +
			"(EventTopics, EventBroker, ReadStore) is looked up in the cluster. With --against nothing is asked of a cluster:\n" +
			"what runs is taken to be what the manifests of before say.\n\n" + planExitCodes,
		Example: "  kubectl projection plan -f shop/ -n shop\n" +
			"  git worktree add /tmp/before origin/main && kubectl projection plan -f shop/ --against /tmp/before/shop -o markdown",
		Args:        cobra.NoArgs,
		Annotations: map[string]string{couldNotRun: "1"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			now, err := load(p, files)
			if err != nil {
				return err
			}
			var plans []*plan.Plan
			if len(against) > 0 {
				set, err := manifests.Load(against, p.In)
				if err != nil {
					return err
				}
				before := workspace.New(set)
				if plans, err = plan.Offline(now, before); err != nil {
					return err
				}
				for _, name := range plan.Gone(now, before) {
					_, _ = fmt.Fprintf(p.Err, "note: Projection %s is not among the files any more; what deleting it does is not planned\n", name)
				}
			} else {
				c, err := env.connect(&flags)
				if err != nil {
					return err
				}
				if plans, err = plan.Online(cmd.Context(), now, c); err != nil {
					return err
				}
			}
			switch p.Format {
			case output.Text:
				plan.Print(p, plans, ddl)
			case plan.Markdown:
				plan.PrintMarkdown(p, plans)
			default:
				if err := p.Document(struct {
					Class    string       `json:"class"`
					ExitCode int          `json:"exitCode"`
					Plans    []*plan.Plan `json:"plans"`
				}{string(plan.Worst(plans)), plan.Code(plan.Worst(plans)), plans}); err != nil {
					return err
				}
			}
			if code := plan.Code(plan.Worst(plans)); code != 0 {
				return output.CodeError(code)
			}
			return nil
		},
	}
	cmd.Flags().StringSliceVarP(&files, "filename", "f", nil, "file or directory of manifests; may be given several times")
	cmd.Flags().StringSliceVar(&against, "against", nil, "file or directory of the manifests of before, in place of a cluster")
	cmd.Flags().BoolVarP(&ddl, "verbose", "v", false, "show the statements that make tables, indexes and views")
	_ = cmd.MarkFlagRequired("filename")
	flags.Add(cmd)
	p.FormatFlag(cmd, plan.Markdown)
	return cmd
}

// load reads manifests that have at least one Projection.
func load(p *output.Printer, files []string) (*workspace.Workspace, error) {
	set, err := manifests.Load(files, p.In)
	if err != nil {
		return nil, err
	}
	w := workspace.New(set)
	if len(w.Projections) == 0 {
		return nil, errors.New("there is no Projection in these files")
	}
	return w, nil
}
