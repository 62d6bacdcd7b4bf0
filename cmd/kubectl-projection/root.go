// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
)

// pluginPrefix is what kubectl looks for in PATH.
const pluginPrefix = "kubectl-"

// The groups of commands in the help.
const (
	groupDevelop = "develop"
	groupRollout = "rollout"
)

const exitCodes = `Exit codes:
  0  everything is well
  1  problems were found, a test failed, a partition stopped (run), or what --wait follows needs a human
  2  it could not run: wrong flags, a file that cannot be read, a store that does not answer
plan has codes of its own (plan --help).`

// couldNotRun annotates commands whose exit code 2 has another meaning with the one that they fail with instead.
const couldNotRun = "projectionist.dev/could-not-run"

// execute runs the command of args and gives the exit code of the process.
func execute(ctx context.Context, env *environment, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	name := displayName(args[0])
	root := newRoot(name, env, output.New(stdin, stdout, stderr))
	root.SetArgs(args[1:])
	cmd, err := root.ExecuteContextC(ctx)
	var code output.CodeError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, output.ErrFound):
		return 1
	case errors.As(err, &code):
		return int(code)
	}
	_, _ = fmt.Fprintf(stderr, "%s: %s\n", name, err)
	if own, err := strconv.Atoi(cmd.Annotations[couldNotRun]); err == nil {
		return own
	}
	return 2
}

// displayName is how the user called the program: kubectl runs kubectl-projection for kubectl projection.
func displayName(arg0 string) string {
	name := strings.TrimSuffix(filepath.Base(arg0), ".exe")
	if rest, ok := strings.CutPrefix(name, pluginPrefix); ok {
		return "kubectl " + rest
	}
	return name
}

func newRoot(name string, env *environment, p *output.Printer) *cobra.Command {
	root := &cobra.Command{
		Use:   "kubectl-projection",
		Short: "Develop projections without a cluster, and roll them out in one",
		Long: "Check, test, run and explain projections without a cluster, and roll them out in one.\n\n" +
			"Commands for development read manifests of EventBroker, EventTopic, ReadStore and Projection from files and\n" +
			"directories, and ask no API server. Commands for roll-outs read Projections of a cluster, and act by setting\n" +
			"fields of their specs, and by making and deleting Replays. verify and replay work from here, too, with the manifests of -f.\n\n" + exitCodes,
		Version:      version,
		SilenceUsage: true, SilenceErrors: true,
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: name},
	}
	root.SetIn(p.In)
	root.SetOut(p.Out)
	root.SetErr(p.Err)
	root.SetVersionTemplate("{{.DisplayName}} {{.Version}}\n")
	root.AddGroup(&cobra.Group{ID: groupDevelop, Title: "Without a cluster:"}, &cobra.Group{ID: groupRollout, Title: "With a cluster:"})
	for _, cmd := range []*cobra.Command{explainCommand(p), initCommand(p), lintCommand(p), testCommand(p), previewCommand(p), runCommand(p)} {
		cmd.GroupID = groupDevelop
		root.AddCommand(cmd)
	}
	for _, cmd := range []*cobra.Command{
		planCommand(env, p), statusCommand(env, p), revisionsCommand(env, p), promoteCommand(env, p), rollbackCommand(env, p), replayCommand(env, p),
		abortCommand(env, p), verifyCommand(env, p),
	} {
		cmd.GroupID = groupRollout
		root.AddCommand(cmd)
	}
	return root
}
