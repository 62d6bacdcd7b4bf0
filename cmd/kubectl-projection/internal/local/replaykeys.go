// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/keyreplay"
)

// ReplayKeysOptions are which rows are made anew, and where.
type ReplayKeysOptions struct {
	// Where says where the tables and the log are.
	Where VerifyOptions
	// Model is whose rows they are; empty is the only one.
	Model string
	// Keys are texts of keys (keyreplay.ParseKey), and KeysFile a file with one a line; - is standard input.
	Keys     []string
	KeysFile string
}

// ReplayedReport is what became of rows that were made anew.
type ReplayedReport struct {
	Written int64 `json:"written"`
	Deleted int64 `json:"deleted"`
	// Equal rows were as the log says.
	Equal int64 `json:"equal"`
	// Positions are those that the rows are of.
	Positions []PlaceReport `json:"positions"`
}

func newReplayedReport(r *keyreplay.Result) *ReplayedReport {
	total := r.Total()
	out := &ReplayedReport{Written: total.Written, Deleted: total.Deleted, Equal: total.Equal}
	for _, at := range r.At {
		out.Positions = append(out.Positions, PlaceReport{at.Topic, at.Partition, contract.OffsetPosition(at.Next)})
	}
	return out
}

func (r *ReplayedReport) print(p *output.Printer) {
	p.Printf("%s written, %s deleted", count(r.Written, "row"), output.Group(r.Deleted))
	if r.Equal > 0 {
		p.Printf(", %s as the log says already", output.Group(r.Equal))
	}
	p.Printf("\nat %s\n", placesText(r.Positions))
}

// ReplayKeysReport is what a replay of some keys came to, in the form of -o json.
type ReplayKeysReport struct {
	Projection string `json:"projection"`
	Store      string `json:"store"`
	Revision   string `json:"revision"`
	Model      string `json:"model"`
	// Keys counts them, each once.
	Keys    int     `json:"keys"`
	Events  int64   `json:"events"`
	Seconds float64 `json:"seconds"`
	ReplayedReport
}

// ReplayKeys makes the rows of some keys anew from the log.
func ReplayKeys(ctx context.Context, p *output.Printer, o ReplayKeysOptions) (err error) {
	texts, err := o.Texts(p.In)
	if err != nil {
		return err
	}
	pl, err := newVerifyPlan(p, o.Where)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pl.close()) }()
	began := time.Now()
	vo, err := pl.compared(ctx)
	if err != nil {
		return err
	}
	model := o.Model
	if model == "" {
		if len(vo.Contract.Models) > 1 {
			names := make([]string, len(vo.Contract.Models))
			for i := range names {
				names[i] = vo.Contract.Models[i].Name
			}
			return fmt.Errorf("there are several models, %s: say with --model whose keys they are", strings.Join(names, ", "))
		}
		model = vo.Contract.Models[0].Name
	}
	keys, err := keyreplay.ParseKeys(vo.Program.Models(), model, texts)
	if err != nil {
		return err
	}
	done, err := pl.replay(ctx, p, vo, keys)
	if err != nil {
		return err
	}
	report := &ReplayKeysReport{
		Projection: vo.Contract.Projection.Name, Store: pl.storeName(pl.projections[0]), Revision: done.Revision, Model: model,
		Keys: len(keys), Events: done.Events, Seconds: time.Since(began).Seconds(), ReplayedReport: *newReplayedReport(done),
	}
	if p.Format != output.Text {
		return p.Document(report)
	}
	p.Printf("%s   %s replayed   revision %s, %s in %.1f s\n%s   ", report.Projection, p.Paint(output.Green, count(int64(len(keys)), "key")),
		report.Revision, count(report.Events, "event"), report.Seconds, model)
	report.print(p)
	return nil
}

// Texts gathers the keys.
func (o *ReplayKeysOptions) Texts(in io.Reader) ([]string, error) {
	texts := o.Keys
	if o.KeysFile != "" {
		var data []byte
		var err error
		if o.KeysFile == "-" {
			data, err = io.ReadAll(in)
		} else {
			data, err = os.ReadFile(o.KeysFile)
		}
		if err != nil {
			return nil, fmt.Errorf("--keys: %w", err)
		}
		texts = append(texts, keyreplay.Lines(data)...)
	}
	if len(texts) == 0 {
		return nil, errors.New("there are no keys: give them with --key, or a file of them with --keys")
	}
	return texts, nil
}
