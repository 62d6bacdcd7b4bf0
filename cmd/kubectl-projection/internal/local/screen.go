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

	"golang.org/x/term"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/connect"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// Report is what a run came to, in the form of -o json.
type Report struct {
	Store       string             `json:"store"`
	Seconds     float64            `json:"seconds"`
	Projections []ProjectionReport `json:"projections"`

	// url is where the rows are; empty for ReadStores.
	url string
}

// ProjectionReport is one projection.
type ProjectionReport struct {
	Name     string `json:"name"`
	Revision string `json:"revision"`
	CaughtUp bool   `json:"caughtUp"`
	// Events counts those applied or ignored in this run.
	Events  int64         `json:"events"`
	Lag     int64         `json:"lag"`
	Models  []ModelReport `json:"models"`
	Stopped []StopReport  `json:"stopped,omitempty"`
	// Waiting is why partitions do not move although nothing is wrong with their events.
	Waiting []string `json:"waiting,omitempty"`
}

// ModelReport is one model.
type ModelReport struct {
	Name string `json:"name"`
	Rows int64  `json:"rows"`
}

// StopReport is a partition that stopped.
type StopReport struct {
	Partition string `json:"partition"`
	contract.Stop
}

func (r *Report) stopped() bool {
	for _, p := range r.Projections {
		if len(p.Stopped) > 0 {
			return true
		}
	}
	return false
}

// report counts the rows and gathers what became of the partitions.
func (r *runner) report(ctx context.Context) (*Report, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	out := &Report{Store: r.storeName(r.running[0].Compiled), Seconds: r.took.Seconds(), url: connect.Redact(r.storeURL)}
	for _, one := range r.running {
		pr := ProjectionReport{
			Name: one.Projection.Name, Revision: one.Contract.Revision, Events: one.last.EventsTotal,
			CaughtUp: len(one.last.Partitions) >= one.expected,
		}
		for _, ps := range one.last.Partitions {
			pr.Lag += ps.Lag
			at := fmt.Sprintf("%s/%d", ps.Topic, ps.Partition)
			switch {
			case ps.Stopped != nil:
				pr.Stopped = append(pr.Stopped, StopReport{at, *ps.Stopped})
			case ps.Waiting != "":
				pr.Waiting = append(pr.Waiting, at+": "+ps.Waiting)
			}
			pr.CaughtUp = pr.CaughtUp && ps.Stopped == nil && ps.Position.Compare(ps.End) >= 0
		}
		admin, err := r.admin(one.Contract)
		if err != nil {
			return nil, err
		}
		for m := range one.Contract.Models {
			n, err := rowsOf(ctx, admin, one.Contract, m)
			if err != nil {
				admin.Close()
				return nil, err
			}
			pr.Models = append(pr.Models, ModelReport{one.Contract.Models[m].Name, n})
		}
		admin.Close()
		out.Projections = append(out.Projections, pr)
	}
	return out, nil
}

// rowsOf counts the rows that readers of a model see.
func rowsOf(ctx context.Context, admin stores.Admin, c *contract.Contract, model int) (int64, error) {
	reader, ok := admin.(stores.Reader)
	if !ok {
		return 0, errors.New("rows cannot be read back from this store")
	}
	return reader.Count(ctx, c, model)
}

// Print shows a report in the printer's format.
func Print(p *output.Printer, r *Report) error {
	if p.Format != output.Text {
		return p.Document(r)
	}
	name, model, rows := 0, 0, 0
	for _, pr := range r.Projections {
		name = max(name, len(pr.Name))
		for _, m := range pr.Models {
			model, rows = max(model, len(m.Name)), max(rows, len(output.Group(m.Rows)))
		}
	}
	for _, pr := range r.Projections {
		state := p.Paint(output.Green, "caught up")
		switch {
		case len(pr.Stopped) > 0:
			state = p.Paint(output.Red, "stopped")
		case !pr.CaughtUp:
			state = p.Paint(output.Yellow, "lag "+output.Group(pr.Lag))
		}
		p.Printf("%-*s   %s   %s in %.1f s (%s events/s)\n", name, pr.Name, state, count(pr.Events, "event"), r.Seconds, rate(pr.Events, r.Seconds))
		for _, m := range pr.Models {
			p.Printf("  %-*s   %*s %s\n", model, m.Name, rows, output.Group(m.Rows), rowWord(m.Rows))
		}
		for _, s := range pr.Stopped {
			p.Printf("  %s at position %s: %s\n", p.Paint(output.Red, s.Partition+" stopped"), s.Position, s.Reason)
			for _, line := range []string{s.Path, s.Message} {
				if line != "" {
					p.Printf("    %s\n", line)
				}
			}
		}
		for _, w := range pr.Waiting {
			p.Printf("  %s\n", w)
		}
	}
	if file, ok := strings.CutPrefix(r.url, "sqlite:"); ok && len(r.Projections[0].Models) > 0 {
		p.Printf("look at them: sqlite3 %s 'select * from %s limit 5'\n", file, r.Projections[0].Models[0].Name)
	}
	return nil
}

func rate(n int64, seconds float64) string {
	if seconds <= 0 {
		return "0"
	}
	return output.Group(int64(float64(n) / seconds))
}

func count(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return output.Group(n) + " " + what + "s"
}

// ticker shows one line after the other: in place on a terminal, below each other elsewhere.
type ticker struct {
	w       io.Writer
	inPlace bool
	drawn   bool
}

func newTicker(p *output.Printer) ticker {
	f, ok := p.Err.(*os.File)
	return ticker{w: p.Err, inPlace: ok && term.IsTerminal(int(f.Fd()))}
}

func (t *ticker) show(line string) {
	if !t.inPlace {
		_, _ = fmt.Fprintln(t.w, line)
		return
	}
	t.drawn = true
	_, _ = fmt.Fprintf(t.w, "\r\x1b[K%s", line)
}

// end leaves the line.
func (t *ticker) end() {
	if t.drawn {
		_, _ = fmt.Fprintln(t.w)
	}
}

// progress tells how far the engines are.
type progress struct {
	ticker
	last     int64
	lastTime time.Time
}

func newProgress(p *output.Printer) *progress {
	return &progress{ticker: newTicker(p), lastTime: time.Now()}
}

func (g *progress) tell(r *runner) {
	var done, lag int64
	stopped := 0
	for _, one := range r.running {
		done += one.last.EventsTotal
		for _, ps := range one.last.Partitions {
			if ps.Stopped != nil {
				stopped++
				continue
			}
			lag += ps.Lag
		}
	}
	now := time.Now()
	line := fmt.Sprintf("%5.0f s   %s   %s/s   lag %s", now.Sub(r.began).Seconds(), count(done, "event"), rate(done-g.last, now.Sub(g.lastTime).Seconds()), output.Group(lag))
	if stopped > 0 {
		line += "   " + count(int64(stopped), "partition") + " stopped"
	}
	g.last, g.lastTime = done, now
	g.show(line)
}

func rowWord(n int64) string {
	if n == 1 {
		return "row"
	}
	return "rows"
}
