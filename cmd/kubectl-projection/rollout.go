// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/cluster"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/rollout"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/status"
)

// interval is how often a projection is looked at that is followed.
const interval = time.Second

const gitOps = "Only fields of the Projection's spec are set, and the operator acts on them. A tool that applies manifests (Argo CD,\n" +
	"Flux) sets them back, so that they have to be changed in Git, too; what to put there is printed.\n\n" +
	"Exit code with --wait and --watch: 0: readers see it. 1: it does not get on without a human, which is said, or time is up."

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

// waiting are the flags of commands that move readers.
type waiting struct {
	wait, watch bool
	timeout     time.Duration
}

func (w *waiting) flags(cmd *cobra.Command) *cluster.Flags {
	cmd.Flags().BoolVar(&w.wait, "wait", false, "wait until readers see the revision, or a human is needed")
	cmd.Flags().BoolVar(&w.watch, "watch", false, "show what happens until readers see the revision, or a human is needed")
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
	before := slices.Clone(projection.Status.Conditions)
	d, err := decide(projection)
	if err != nil {
		return err
	}
	if err := c.Patch(ctx, projection, d.Spec); err != nil {
		return err
	}
	say(p, d)
	p.Printf("If manifests are applied from Git, change it there, too, or it is set back:\n  %s\n", strings.ReplaceAll(d.InGit, "\n", "\n  "))
	if !w.wait && !w.watch {
		return nil
	}
	return e.follow(ctx, p, c, name, w, func(v *status.View, screen *status.Follower) (bool, error) {
		active := v.Revision(v.Status.ActiveRevision)
		token, isReplay := d.Spec["replayToken"].(string)
		switch {
		case isReplay && active != nil && active.Attempt == token:
			screen.Built(v, active.Name)
			screen.Arrived(v, active.Name)
			return true, nil
		case !isReplay && v.Status.ActiveRevision == d.Target:
			screen.Arrived(v, d.Target)
			return true, nil
		}
		if why := v.Stalled(d.Target, before); why != nil {
			return true, needed(p, "Projection "+v.Namespace+"/"+v.Name, why)
		}
		return false, nil
	})
}

// needed says that what is followed does not go on without a human.
func needed(p *output.Printer, who string, why *status.Stall) error {
	_, _ = fmt.Fprintf(p.Err, "%s does not get on without you: %s: %s\n", who, why.Reason, why.Message)
	return output.ErrFound
}

// say prints what was done, and what may keep it from having its effect.
func say(p *output.Printer, d *rollout.Decision) {
	p.Printf("%s\n", d.Says)
	for _, line := range d.Warnings {
		p.Printf("%s %s", p.Paint(output.Yellow, "WARNING:"), strings.TrimLeft(output.Wrap(line, len("WARNING: ")), " "))
	}
}

// follow looks at a projection once a second until done says so, or fails. It fails when time is up.
func (e *environment) follow(ctx context.Context, p *output.Printer, c *cluster.Cluster, name string, w *waiting, done func(*status.View, *status.Follower) (bool, error)) error {
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
		if ended, err := done(v, screen); ended || err != nil {
			return err
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
