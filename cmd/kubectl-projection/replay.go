// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/cluster"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/local"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/rollout"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/status"
)

func replayCommand(env *environment, p *output.Printer) *cobra.Command {
	var wait waiting
	var wishes rollout.Wishes
	var token string
	var keys local.ReplayKeysOptions
	cmd := &cobra.Command{
		Use:   "replay NAME [--key KEY...] | replay -f DIRECTORY|FILE [PROJECTION] --key KEY...",
		Short: "Build the tables anew from the log, beside those that readers see, or some of their rows",
		Long: "Make a Replay of a projection: one new revision of the same spec is built from the first event on, and readers are moved\n" +
			"to it once it has caught up. kubectl projection abort gives it up. Where manifests come from Git, --token sets\n" +
			"spec.replayToken of the Projection instead, which asks for the same.\n\n" +
			"With --from, its tables hold what events from there on have made, as if those before had never been: earliest, a time, a\n" +
			"duration back from now (36h, 7d), or positions. Partitions that are not named begin with their first event. It is refused\n" +
			"where rows would be wrong, and not only missing: every event must set all that is written of a row, or delete it.\n\n" +
			"With --key, the rows of some keys are made anew, in the tables that readers see, while projectors go on. A key is the text\n" +
			"of its value where it is one column, and otherwise a JSON array of the values of the key columns in their order. A key\n" +
			"without events loses its row. A Replay takes 1,000 keys of 64 KiB together, and is a Job in the cluster. With -f they are\n" +
			"replayed from here, as verify does it, with the manifests and Secrets that are named: 10,000 at a time.\n\n" +
			"Exit code 0: done. 1: the Replay failed, or with --wait and --watch does not get on without a human, or time is up. 2: refused,\n" +
			"with the reason; nothing was changed.",
		Example: "  kubectl projection replay order-summary -n shop --watch\n" +
			"  kubectl projection replay device-state -n shop --from 7d\n" +
			"  kubectl projection replay device-state -n shop --from readings/0=123456,readings/1=99\n" +
			"  kubectl projection replay order-summary -n shop --verify sample=1% --watch\n" +
			"  kubectl projection replay order-summary -n shop --key o-17 --key o-18 --wait\n" +
			"  kubectl projection replay -f shop/ order-summary --model order_summary --key o-17 --key o-18\n" +
			"  kubectl projection replay -f shop/ order-summary --model stock --key '[\"berlin\", 5]' --secrets ./secrets",
		Args: cobra.MaximumNArgs(1),
	}
	flags := wait.flags(cmd)
	cmd.Flags().StringVar(&wishes.Promotion, "promotion", "", "who moves readers once it has caught up: Automatic or Manual (default: the projection's rollout.promotion)")
	cmd.Flags().StringVar(&wishes.Verify, "verify", "", "compare the new tables with the log before readers see them: all or sample=SHARE, in place of the projection's rollout.verify with its assertions")
	cmd.Flags().DurationVar(&wishes.TTL, "ttl", -time.Second, "how long the Replay stays once it has ended (default: for ever)")
	cmd.Flags().Lookup("ttl").DefValue = ""
	cmd.Flags().StringVar(&wishes.From, "from", "", "where the new tables begin: earliest, a time, a duration back, or TOPIC/PARTITION=POSITION,... (default: earliest)")
	cmd.Flags().StringVar(&token, "token", "", "make no Replay, but set spec.replayToken to this value, which was not used before")
	whereFlags(cmd, &keys.Where)
	cmd.Flags().StringVar(&keys.Model, "model", "", "model whose keys they are; without it the only one")
	cmd.Flags().StringArrayVar(&keys.Keys, "key", nil, "key of a row that is made anew; may be given several times")
	cmd.Flags().StringVar(&keys.KeysFile, "keys", "", "file of keys, one a line; - is standard input")
	cmd.MarkFlagsMutuallyExclusive("token", "promotion")
	cmd.MarkFlagsMutuallyExclusive("token", "ttl")
	cmd.MarkFlagsMutuallyExclusive("token", "from")
	cmd.MarkFlagsMutuallyExclusive("token", "verify")
	for _, flag := range []string{"key", "keys"} {
		for _, ofAll := range []string{"token", "promotion", "verify", "from"} {
			cmd.MarkFlagsMutuallyExclusive(flag, ofAll)
		}
	}
	for _, flag := range []string{"token", "promotion", "verify", "ttl", "from", "wait", "watch"} {
		cmd.MarkFlagsMutuallyExclusive("filename", flag)
	}
	p.FormatFlag(cmd)
	cmd.ValidArgsFunction = env.completeName(flags)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := misplaced(cmd, len(keys.Where.Files) > 0); err != nil {
			return err
		}
		if len(keys.Where.Files) > 0 {
			keys.Where.Namespace = flags.Namespace
			if len(args) > 0 {
				keys.Where.Projection = args[0]
			}
			return local.ReplayKeys(cmd.Context(), p, keys)
		}
		if p.Format != output.Text {
			return errors.New("-o is for what is replayed from here, with -f")
		}
		if len(args) == 0 {
			return errors.New("say which Projection is built anew, or with -f and --key which rows")
		}
		if token != "" {
			return env.act(cmd.Context(), p, flags, args[0], &wait, func(pr *v1alpha1.Projection) (*rollout.Decision, error) { return rollout.Token(pr, token) })
		}
		switch {
		case len(keys.Keys) > 0 || keys.KeysFile != "":
			var err error
			if wishes.Keys, err = keys.Texts(p.In); err != nil {
				return err
			}
			wishes.Model = keys.Model
		case keys.Model != "":
			return errors.New("--model is whose keys they are: give them with --key or --keys; without keys everything is built anew")
		}
		return env.replay(cmd.Context(), p, flags, args[0], &wait, wishes)
	}
	return cmd
}

// misplaced refuses flags that mean nothing where a replay is made: from here, with the manifests of -f, or in the cluster.
func misplaced(cmd *cobra.Command, here bool) error {
	names, why := []string{"store", "broker", "secrets", "cluster"}, "is for -f: a Replay in the cluster uses the ReadStore and the EventBroker of its Projection"
	if here {
		names, why = []string{"timeout", "kubeconfig", "context"}, "is for a Replay in the cluster: with -f the rows are made anew from here, and no API server is asked"
	}
	for _, name := range names {
		if cmd.Flags().Changed(name) {
			return fmt.Errorf("--%s %s", name, why)
		}
	}
	return nil
}

// replay makes a Replay, and follows it where that is asked for.
func (e *environment) replay(ctx context.Context, p *output.Printer, flags *cluster.Flags, name string, w *waiting, wishes rollout.Wishes) error {
	c, err := e.connect(flags)
	if err != nil {
		return err
	}
	projection, err := c.Projection(ctx, name)
	if err != nil {
		return err
	}
	r, d, err := rollout.Rebuild(projection, wishes, e.now())
	if err != nil {
		return err
	}
	if err := c.CreateReplay(ctx, r); err != nil {
		return err
	}
	say(p, d)
	if !w.wait && !w.watch {
		return nil
	}
	return e.follow(ctx, p, c, name, w, func(v *status.View, screen *status.Follower) (bool, error) {
		how, message := v.Replay(r.Name)
		active := v.Revision(v.Status.ActiveRevision)
		switch {
		case how == v1alpha1.ConditionFailed:
			_, _ = fmt.Fprintf(p.Err, "Replay %s failed: %s\n", r.Name, message)
			return true, output.ErrFound
		case how == v1alpha1.ConditionComplete && len(r.Spec.Keys.Values) > 0:
			p.Printf("Replay %s: %s\n", r.Name, message)
		case how == v1alpha1.ConditionComplete, active != nil && r.UID != "" && active.Attempt == string(r.UID):
			screen.Built(v, v.Status.ActiveRevision)
			screen.Arrived(v, v.Status.ActiveRevision)
		case how == status.Gone:
			_, _ = fmt.Fprintf(p.Err, "Replay %s was deleted\n", r.Name)
			return true, output.ErrFound
		default:
			if why := v.ReplayStalled(r.Name); why != nil {
				return true, needed(p, "Replay "+r.Name, why)
			}
			return false, nil
		}
		return true, nil
	})
}

func abortCommand(env *environment, p *output.Printer) *cobra.Command {
	var flags cluster.Flags
	var named string
	cmd := &cobra.Command{
		Use:   "abort NAME",
		Short: "Give up an unfinished Replay of a projection",
		Long: "Delete the Replay of a projection that is under way, else the one that comes next: what it has built is dropped, and\n" +
			"readers stay with what they see. A build that a change of the spec asked for is given up by putting the spec back.",
		Example:           "  kubectl projection abort order-summary -n shop",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: env.completeName(&flags),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := env.connect(&flags)
			if err != nil {
				return err
			}
			projection, err := c.Projection(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			all, err := c.Replays(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			r, d, err := rollout.Abort(projection, all, named)
			if err != nil {
				return err
			}
			if err := c.DeleteReplay(cmd.Context(), r); err != nil {
				return err
			}
			say(p, d)
			return nil
		},
	}
	cmd.Flags().StringVar(&named, "replay", "", "name of the Replay (default: the one that is under way)")
	flags.Add(cmd)
	return cmd
}
