// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
)

// pluginPrefix is what kubectl looks for in PATH.
const pluginPrefix = "kubectl-"

const exitCodes = `Exit codes:
  0  everything is well
  1  problems were found, or a test failed
  2  it could not run: wrong flags, a file that cannot be read, a store that does not answer`

// execute runs the command of args and gives the exit code of the process.
func execute(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	name := displayName(args[0])
	root := newRoot(name, output.New(stdin, stdout, stderr))
	root.SetArgs(args[1:])
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, output.ErrFound):
		return 1
	default:
		_, _ = fmt.Fprintf(stderr, "%s: %s\n", name, err)
		return 2
	}
}

// displayName is how the user called the program: kubectl runs kubectl-projection for kubectl projection.
func displayName(arg0 string) string {
	name := strings.TrimSuffix(filepath.Base(arg0), ".exe")
	if rest, ok := strings.CutPrefix(name, pluginPrefix); ok {
		return "kubectl " + rest
	}
	return name
}

func newRoot(name string, p *output.Printer) *cobra.Command {
	root := &cobra.Command{
		Use:   "kubectl-projection",
		Short: "Develop projections: check, test and explain them without a cluster",
		Long: "Check, test, run and explain projections without a cluster.\n\n" +
			"It reads manifests of EventBroker, EventTopic, ReadStore and Projection from files and directories, and\n" +
			"asks no API server.\n\n" + exitCodes,
		Version:      version,
		SilenceUsage: true, SilenceErrors: true,
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: name},
	}
	root.SetIn(p.In)
	root.SetOut(p.Out)
	root.SetErr(p.Err)
	root.SetVersionTemplate("{{.DisplayName}} {{.Version}}\n")
	root.AddCommand(
		explainCommand(p),
		initCommand(p),
		lintCommand(p),
		testCommand(p),
		previewCommand(p),
		runCommand(p),
		verifyCommand(p),
	)
	return root
}
