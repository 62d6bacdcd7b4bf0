// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
)

// Follower draws a projection again and again: in place on a terminal, elsewhere a line for each thing that is new.
type Follower struct {
	p     *output.Printer
	drawn int
	last  string
}

// NewFollower gives a follower that writes to a printer.
func NewFollower(p *output.Printer) *Follower { return &Follower{p: p} }

// Show draws a view.
func (f *Follower) Show(v *View) {
	if !f.p.Terminal {
		if s := news(v); s != f.last {
			f.p.Printf("%s  %s\n", v.now.UTC().Format("15:04:05"), s)
			f.last = s
		}
		return
	}
	lines := Lines(f.p, v)
	if f.drawn > 0 {
		f.p.Printf("\x1b[%dA", f.drawn)
	}
	for _, l := range lines {
		f.p.Printf("\x1b[K%s\n", l)
	}
	// A revision that is gone leaves its line behind.
	f.p.Printf("\x1b[J")
	f.drawn = len(lines)
}

const barWidth = 24

// Lines gives one line for each revision.
func Lines(p *output.Printer, v *View) []string {
	var out []string
	name := v.Name
	for i := range v.Status.Revisions {
		r := &v.Status.Revisions[i]
		out = append(out, fmt.Sprintf("%s  %s %-10s  %s", name, r.Name, strings.ToLower(r.State), figures(p, v, r)))
		name = strings.Repeat(" ", len(v.Name))
	}
	if len(out) == 0 {
		out = append(out, name+"  "+v.Status.Status)
	}
	for i := range v.Status.Revisions {
		if r := &v.Status.Revisions[i]; r.Message != "" && r.State != v1alpha1.RevisionActive {
			out = append(out, fmt.Sprintf("%s  %s: %s", name, r.Name, r.Message))
		}
	}
	if v.Note != "" {
		out = append(out, name+"  "+p.Paint(output.Faint, v.Note))
	}
	return out
}

func figures(p *output.Printer, v *View, r *v1alpha1.RevisionStatus) string {
	g := v.progress(r.Name)
	if g.partitions == 0 {
		if r.Lag == "" {
			return "lag unknown"
		}
		return "lag " + r.Lag
	}
	if r.State != v1alpha1.RevisionBuilding {
		return fmt.Sprintf("%d/%d partitions  lag %s", g.partitions, v.Status.Partitions, output.Group(g.lag))
	}
	full := g.percent() * barWidth / 100
	s := p.Paint(output.Green, strings.Repeat("█", full)) + strings.Repeat("░", barWidth-full)
	s += fmt.Sprintf(" %3d%%   %s of %s   %s/s", g.percent(), short(g.done), short(g.end), output.Group(int64(g.perSecond)))
	if g.leftIsKnown && g.lag > 0 {
		s += "   " + output.Span(g.left) + " left"
	}
	return s
}

// news is what a line says where no screen can be drawn; it changes by steps, so that logs stay short.
func news(v *View) string {
	var parts []string
	for i := range v.Status.Revisions {
		r := &v.Status.Revisions[i]
		s := r.Name + " " + strings.ToLower(r.State)
		g := v.progress(r.Name)
		const step = 5
		switch {
		case r.State == v1alpha1.RevisionBuilding && g.partitions > 0:
			s += fmt.Sprintf(" %d%%", g.percent()/step*step)
		case r.Lag != "" && r.State != v1alpha1.RevisionActive:
			s += " (lag " + r.Lag + ")"
		}
		if r.Message != "" && r.State != v1alpha1.RevisionActive {
			s += ": " + r.Message
		}
		parts = append(parts, s)
	}
	if len(parts) == 0 {
		parts = append(parts, v.Status.Status)
	}
	return strings.Join(slices.Compact(parts), "; ")
}

// Arrived says what a promotion came to: since when readers see the revision, and what is kept.
func Arrived(p *output.Printer, v *View, revision string) {
	seen := "readers see " + revision
	if r := v.Revision(revision); r != nil && r.PromotedAt != nil {
		seen += " since " + r.PromotedAt.UTC().Format("15:04:05")
	}
	parts := []string{seen}
	for _, r := range v.Status.Revisions {
		if r.State == v1alpha1.RevisionKept && r.KeptUntil != nil {
			parts = append(parts, fmt.Sprintf("%s is kept for a rollback until %s", r.Name, minute(r.KeptUntil.Time)))
		}
	}
	p.Printf("%s\n", p.Paint(output.Green, strings.Join(parts, "; ")))
}
