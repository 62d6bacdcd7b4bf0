// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Command projector is the data plane: it runs one revision of a projection,
// or, as a short Job, one action at a broker or store.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/actions"
	"github.com/projectionist-dev/projectionist/projectors/credentials"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := newCommand().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "projector:", err)
		os.Exit(1)
	}
}

func newCommand() *cobra.Command {
	var level slog.Level
	root := &cobra.Command{
		Use: "projector", Short: "Keep read models in sync with event topics",
		SilenceUsage: true, SilenceErrors: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.PersistentFlags().TextVar(&level, "log-level", slog.LevelInfo, "least level to log: DEBUG, INFO, WARN or ERROR")
	logger := func() *slog.Logger {
		return slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	}
	root.AddCommand(runCommand(logger))
	for _, a := range []contract.Action{
		contract.ActionProbeBroker, contract.ActionProbeTopic, contract.ActionProbeStore,
		contract.ActionPrepare, contract.ActionRetire, contract.ActionPromote, contract.ActionDiscard, contract.ActionReplayKeys, contract.ActionVerify,
	} {
		root.AddCommand(actionCommand(a, logger))
	}
	return root
}

// terminationLog is where the kubelet picks up a container's last message.
const terminationLog = "/dev/termination-log"

func actionCommand(action contract.Action, logger func() *slog.Logger) *cobra.Command {
	var contractPath, resultPath string
	mounts := credentials.DefaultMounts()
	cmd := &cobra.Command{
		Use: string(action), Short: "Action of a Job: reads " + contract.RequestEnv + ", writes a result", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r := &actions.Runner{
				Mounts: mounts, ContractPath: contractPath, Logger: logger(),
			}
			res := r.Run(cmd.Context(), action, os.Getenv(contract.RequestEnv))
			if err := actions.WriteResult(resultPath, res); err != nil {
				return err
			}
			if !res.OK {
				return fmt.Errorf("%s: %s: %s", action, res.Reason, res.Message)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&contractPath, "contract", contract.ContractPath, "file of the contract, for prepare, retire, verify and replay-keys")
	cmd.Flags().StringVar(&resultPath, "result", terminationLog, "file to write the result to")
	mountFlags(cmd, &mounts)
	return cmd
}

func mountFlags(cmd *cobra.Command, m *credentials.Mounts) {
	cmd.Flags().StringVar(&m.Secrets, "secrets", m.Secrets, "directory that holds a directory per Secret")
	cmd.Flags().StringVar(&m.ConfigMaps, "configmaps", m.ConfigMaps, "directory that holds a directory per ConfigMap")
}
