// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/events"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/manifests"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/preview"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/replay"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/secrets"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/workspace"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/codecs"
	"github.com/projectionist-dev/projectionist/projectors/connect"
	"github.com/projectionist-dev/projectionist/projectors/credentials"
	"github.com/projectionist-dev/projectionist/projectors/handlers"
)

// maxPreview bounds the events of a preview: all rows are kept in memory, and looked at after each event.
const maxPreview = 1000

type previewOptions struct {
	files      []string
	projection string
	from       string
	limit      int
	secrets    string
}

func previewCommand(p *output.Printer) *cobra.Command {
	var o previewOptions
	cmd := &cobra.Command{
		Use:   "preview -f FILE --from TOPIC|FILE",
		Short: "Show what some real events would do, event by event",
		Long: "Take the first events of a topic or file, and show what each would do to which row, and the rows that come of\n" +
			"it. Nothing is written anywhere. Values of the events are shown.",
		Example: "  kubectl projection preview -f shop/ --projection stock-levels --from stock --limit 5\n" +
			"  kubectl projection preview -f shop/stock.yaml --from stock=sales.ndjson",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), p) },
	}
	cmd.Flags().StringSliceVarP(&o.files, "filename", "f", nil, "file or directory of manifests; may be given several times")
	cmd.Flags().StringVar(&o.projection, "projection", "", "which Projection, where the manifests have several")
	cmd.Flags().StringVar(&o.from, "from", "", "an EventTopic, to read from its broker, or a file of events: FILE or TOPIC=FILE, - is the standard input")
	cmd.Flags().IntVar(&o.limit, "limit", 20, "how many events to take")
	cmd.Flags().StringVar(&o.secrets, "secrets", "", "directory with a directory per Secret, for the broker")
	for _, name := range []string{"filename", "from"} {
		_ = cmd.MarkFlagRequired(name)
	}
	p.FormatFlag(cmd)
	return cmd
}

func (o *previewOptions) run(ctx context.Context, p *output.Printer) error {
	if o.limit < 1 || o.limit > maxPreview {
		return fmt.Errorf("--limit must be from 1 to %d", maxPreview)
	}
	set, err := manifests.Load(o.files, p.In)
	if err != nil {
		return err
	}
	w := workspace.New(set)
	projection, err := one(w, o.projection)
	if err != nil {
		return err
	}
	compiled, err := w.Compile(projection, "preview")
	if err != nil {
		return err
	}
	mounts, remove, err := secrets.Gather(secrets.Sources{Dir: o.secrets, Manifests: o.files, Environ: os.Environ()}, compiled.Contract)
	if err != nil {
		return err
	}
	defer remove() //nolint:errcheck // a temporary directory
	given, previewed, err := o.events(ctx, p, compiled, mounts)
	if err != nil {
		return err
	}
	report, err := preview.Of(ctx, previewed, given)
	if err != nil {
		return err
	}
	if err := preview.Print(p, report); err != nil {
		return err
	}
	if report.Summary.Errors > 0 {
		return output.ErrFound
	}
	return nil
}

// one is the Projection of a name, or the only one.
func one(w *workspace.Workspace, name string) (out manifests.Of[v1alpha1.Projection], err error) {
	if name != "" {
		return w.Projection(".", "", name)
	}
	names := make([]string, len(w.Projections))
	for i, p := range w.Projections {
		names[i] = p.Name
	}
	switch len(names) {
	case 0:
		return out, errors.New("there is no Projection in the manifests")
	case 1:
		return w.Projections[0], nil
	default:
		return out, fmt.Errorf("there are several Projections, %s: say which with --projection", strings.Join(names, ", "))
	}
}

// events reads the events, and gives the projection as it reads their payloads: those of a topic by its codec, those of
// a file past a codec that needs a schema registry.
func (o *previewOptions) events(ctx context.Context, p *output.Printer, compiled *workspace.Compiled, m credentials.Mounts) ([]events.Event, *replay.Projection, error) {
	c := compiled.Contract
	var schemas codecs.Schemas
	isTopic := slices.ContainsFunc(c.Topics, func(t contract.Topic) bool { return t.Name == o.from })
	switch {
	case !isTopic:
		c = events.WithoutRegistry(c)
	case !compiled.HasBroker:
		return nil, nil, fmt.Errorf("the EventBroker of topic %s is not among the manifests: name its file with -f, too, or take events from a file", o.from)
	default:
		var err error
		if schemas, err = connect.Schemas(ctx, m, c.Broker); err != nil {
			return nil, nil, err
		}
	}
	program, err := handlers.Compile(c, schemas)
	if err != nil {
		return nil, nil, err
	}
	previewed := &replay.Projection{Contract: c, Program: program}
	if isTopic {
		given, err := preview.FromKafka(ctx, m, c, o.from, o.limit)
		return given, previewed, err
	}
	maker := events.NewMaker(compiled.Contract.Topics, program.NewEvaluator(), time.Now().UTC())
	given, err := preview.FromFile(maker, o.from, p.In, o.limit)
	return given, previewed, err
}
