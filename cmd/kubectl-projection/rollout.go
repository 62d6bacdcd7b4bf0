// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/cluster"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/local"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/rollout"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/status"
)

// interval is how often a projection is looked at that is followed.
const interval = time.Second

const gitOps = "Only fields of the Projection's spec are set, and the operator acts on them. A tool that applies manifests (Argo CD,\n" +
	"Flux) sets them back, so that they have to be changed in Git, too; what to put there is printed."

func promoteCommand(env *environment, p *output.Printer) *cobra.Command {
	var wait waiting
	cmd := &cobra.Command{
		Use:   "promote NAME [REVISION]",
		Short: "Move readers to a revision that is ready",
		Long: "Set spec.rollout.activeRevision to the revision of the newest spec, or to the one that is named; the beginning of its\n" +
			"name will do. Where rollout.promotion is Automatic and a pin alone held readers back, the pin is removed instead.\n\n" + gitOps,
		Example: "  kubectl projection promote order-summary -n shop --wait",
		Args:    cobra.RangeArgs(1, 2),
	}
	flags := wait.flags(cmd)
	cmd.ValidArgsFunction = env.completeName(flags)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		revision := ""
		if len(args) > 1 {
			revision = args[1]
		}
		return env.act(cmd.Context(), p, flags, args[0], &wait, func(pr *v1alpha1.Projection) (*rollout.Decision, error) { return rollout.Promote(pr, revision) })
	}
	return cmd
}

func rollbackCommand(env *environment, p *output.Printer) *cobra.Command {
	var wait waiting
	var to string
	cmd := &cobra.Command{
		Use:   "rollback NAME",
		Short: "Move readers back to a revision that is kept",
		Long: "Set spec.rollout.activeRevision to the revision that readers saw last, or to another that is kept. It has been kept up\n" +
			"to date, so that this is as quick as a promotion. The newest spec stays as it is, and is not promoted until promote is\n" +
			"called or the field is removed. Applying the old spec again (git revert) does the same without a pin.\n\n" + gitOps,
		Example: "  kubectl projection rollback order-summary -n shop --wait",
		Args:    cobra.ExactArgs(1),
	}
	flags := wait.flags(cmd)
	cmd.Flags().StringVar(&to, "to", "", "revision to go back to (default: the one that readers saw last)")
	cmd.ValidArgsFunction = env.completeName(flags)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return env.act(cmd.Context(), p, flags, args[0], &wait, func(pr *v1alpha1.Projection) (*rollout.Decision, error) { return rollout.Rollback(pr, to) })
	}
	return cmd
}

func replayCommand(env *environment, p *output.Printer) *cobra.Command {
	var wait waiting
	var token string
	var keys local.ReplayKeysOptions
	cmd := &cobra.Command{
		Use:   "replay NAME | replay -f DIRECTORY|FILE [PROJECTION] --key KEY...",
		Short: "Build the tables anew from the log, beside those that readers see, or some of their rows",
		Long: "Set spec.replayToken to a value that was not used before: one new revision of the same spec is built from the first\n" +
			"event on, and promoted like any other. To give it up while it is built, set the token back to what it was.\n\n" + gitOps + "\n\n" +
			"With -f, the rows of some keys are made anew from here, in the tables that readers see, while projectors go on: as\n" +
			"verify does it, with the manifests and Secrets that are named. A key is the text of its value where it is one column,\n" +
			"and otherwise a JSON array of the values of the key columns in their order. At most 10,000 at a time. A key without\n" +
			"events loses its row.\n\n" +
			"Exit code 0: done. 2: refused, with the reason; nothing was changed.",
		Example: "  kubectl projection replay order-summary -n shop --token 'after the price fix' --watch\n" +
			"  kubectl projection replay -f shop/ order-summary --model order_summary --key o-17 --key o-18\n" +
			"  kubectl projection replay -f shop/ order-summary --model stock --key '[\"berlin\", 5]' --secrets ./secrets",
		Args: cobra.MaximumNArgs(1),
	}
	flags := wait.flags(cmd)
	cmd.Flags().StringVar(&token, "token", "", "value of spec.replayToken (default: the time)")
	whereFlags(cmd, &keys.Where)
	cmd.Flags().StringVar(&keys.Model, "model", "", "model whose keys they are; without it the only one")
	cmd.Flags().StringArrayVar(&keys.Keys, "key", nil, "key of a row that is made anew; may be given several times")
	cmd.Flags().StringVar(&keys.KeysFile, "keys", "", "file of keys, one a line; - is standard input")
	for _, flag := range []string{"token", "wait", "watch"} {
		cmd.MarkFlagsMutuallyExclusive("filename", flag)
	}
	p.FormatFlag(cmd)
	cmd.ValidArgsFunction = env.completeName(flags)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(keys.Where.Files) > 0 {
			keys.Where.Namespace = flags.Namespace
			if len(args) > 0 {
				keys.Where.Projection = args[0]
			}
			return local.ReplayKeys(cmd.Context(), p, keys)
		}
		if len(keys.Keys) > 0 || keys.KeysFile != "" {
			return errors.New("keys are replayed from here: say with -f where the manifests are that the tables were built from")
		}
		if p.Format != output.Text {
			return errors.New("-o is for what is replayed from here, with -f")
		}
		if len(args) == 0 {
			return errors.New("say which Projection is built anew, or with -f and --key which rows")
		}
		return env.act(cmd.Context(), p, flags, args[0], &wait, func(pr *v1alpha1.Projection) (*rollout.Decision, error) { return rollout.Replay(pr, token, env.now()) })
	}
	return cmd
}

// waiting are the flags of commands that move readers.
type waiting struct {
	wait, watch bool
	timeout     time.Duration
}

func (w *waiting) flags(cmd *cobra.Command) *cluster.Flags {
	cmd.Flags().BoolVar(&w.wait, "wait", false, "wait until readers see the revision")
	cmd.Flags().BoolVar(&w.watch, "watch", false, "show what happens until readers see the revision")
	cmd.Flags().DurationVar(&w.timeout, "timeout", 0, "how long to wait or watch (default: for ever)")
	flags := new(cluster.Flags)
	flags.Add(cmd)
	return flags
}

// act decides on a projection, writes what was decided, and follows it where that is asked for.
func (e *environment) act(ctx context.Context, p *output.Printer, flags *cluster.Flags, name string, w *waiting,
	decide func(*v1alpha1.Projection) (*rollout.Decision, error),
) error {
	c, err := e.connect(flags)
	if err != nil {
		return err
	}
	projection, err := c.Projection(ctx, name)
	if err != nil {
		return err
	}
	d, err := decide(projection)
	if err != nil {
		return err
	}
	if err := c.Patch(ctx, projection, d.Spec); err != nil {
		return err
	}
	p.Printf("%s\n", d.Says)
	for _, line := range d.Warnings {
		p.Printf("%s %s", p.Paint(output.Yellow, "WARNING:"), strings.TrimLeft(output.Wrap(line, len("WARNING: ")), " "))
	}
	p.Printf("If manifests are applied from Git, change it there, too, or it is set back:\n  %s\n", strings.ReplaceAll(d.InGit, "\n", "\n  "))
	if !w.wait && !w.watch {
		return nil
	}
	arrived := ""
	err = e.follow(ctx, p, c, name, w, func(v *status.View) bool {
		active := v.Revision(v.Status.ActiveRevision)
		token, isReplay := d.Spec["replayToken"].(string)
		if isReplay && active != nil && active.Attempt == token || !isReplay && v.Status.ActiveRevision == d.Target {
			arrived = v.Status.ActiveRevision
		}
		if arrived != "" {
			status.Arrived(p, v, arrived)
		}
		return arrived != ""
	})
	return err
}

// follow looks at a projection once a second until done says so. It fails when time is up.
func (e *environment) follow(ctx context.Context, p *output.Printer, c *cluster.Cluster, name string, w *waiting, done func(*status.View) bool) error {
	began := e.now()
	screen := status.NewFollower(p)
	for {
		v, err := status.Read(ctx, c, name, w.watch, e.now())
		if err != nil {
			return err
		}
		if w.watch {
			screen.Show(v)
		}
		if done(v) {
			return nil
		}
		if w.timeout > 0 && e.now().Sub(began) >= w.timeout {
			_, _ = fmt.Fprintf(p.Err, "not done within %s; kubectl projection status %s says what it waits for\n", w.timeout, name)
			return output.ErrFound
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-e.after(interval):
		}
	}
}
