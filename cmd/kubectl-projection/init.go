// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/scaffold"
)

// maxProjectionName is the CRD's limit on the name of a Projection.
const maxProjectionName = 40

func initCommand(p *output.Printer) *cobra.Command {
	var from, dir, topic, channel string
	cmd := &cobra.Command{
		Use:   "init NAME --from FILE",
		Short: "Write a first projection for events that you have",
		Long: "Write a commented EventTopic, Projection and ProjectionTest (with an EventBroker and a ReadStore to fill in) from\n" +
			"a JSON Schema, an AsyncAPI document (2 or 3), or a sample of events: JSON objects one after the other, payloads\n" +
			"alone or records with topic, key, headers and value. What it cannot know it guesses, and says so in a comment.",
		Example: "  kubectl projection init order-summary --from events.ndjson\n" +
			"  kcat -b kafka:9092 -t shop.orders -C -e -c 1000 | kubectl projection init order-summary --from - --topic orders",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			name := args[0]
			if problems := validation.IsDNS1035Label(name); len(problems) > 0 || len(name) > maxProjectionName {
				return fmt.Errorf("%q is no name of a Projection: at most %d lower-case letters, digits and '-', beginning with a letter", name, maxProjectionName)
			}
			if dir == "" {
				dir = name
			}
			data, err := readInput(p.In, from)
			if err != nil {
				return err
			}
			source, err := scaffold.Read(data, channel)
			if err != nil {
				return fmt.Errorf("%s: %w", from, err)
			}
			files := scaffold.Files(source, scaffold.Options{Name: name, Topic: topic})
			if err := writeNew(dir, files); err != nil {
				return err
			}
			for _, f := range files {
				p.Printf("wrote %s\n", filepath.Join(dir, f.Name))
			}
			p.Printf("\n%s found in %s. Next:\n  kubectl projection lint %s\n  kubectl projection test %s\n", output.Count(len(source.Events), "event type"), source.Origin, dir, dir)
			return nil
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "JSON Schema, AsyncAPI document or events; - is standard input")
	cmd.Flags().StringVar(&dir, "dir", "", "directory to write to (default: NAME)")
	cmd.Flags().StringVar(&topic, "topic", "", "name of the EventTopic (default: after the topic, or NAME)")
	cmd.Flags().StringVar(&channel, "channel", "", "channel of an AsyncAPI document that has several")
	_ = cmd.MarkFlagRequired("from")
	return cmd
}

func readInput(stdin io.Reader, path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(stdin)
	}
	return os.ReadFile(path) //nolint:gosec // the path is the user's own flag
}

// writeNew writes files that are not there yet: a second init must not take away what was edited since the first.
func writeNew(dir string, files []scaffold.File) error {
	for _, f := range files {
		if _, err := os.Stat(filepath.Join(dir, f.Name)); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is there already: choose another --dir, or remove it", filepath.Join(dir, f.Name))
		}
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f.Name), []byte(f.Text), 0o600); err != nil {
			return err
		}
	}
	return nil
}
