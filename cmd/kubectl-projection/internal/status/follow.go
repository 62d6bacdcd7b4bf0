// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
	"github.com/projectionist-dev/projectionist/contract"
)

// Follower draws a projection again and again: in place on a terminal, elsewhere a line for each thing that is new.
type Follower struct {
	p     *output.Printer
	drawn int
	last  string
	lag   liveLag
}

// NewFollower gives a follower that writes to a printer.
func NewFollower(p *output.Printer) *Follower { return &Follower{p: p} }

// Show draws a view.
func (f *Follower) Show(v *View) {
	f.lag.look(v)
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

// goesOn reports whether a revision is being built, and its message says nothing that figures do not.
func goesOn(r *v1alpha1.RevisionStatus) bool { return r.Reason == v1alpha1.ReasonBuilding }

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
		if r := &v.Status.Revisions[i]; r.Message != "" && r.State != v1alpha1.RevisionActive && !goesOn(r) {
			out = append(out, fmt.Sprintf("%s  %s: %s", name, r.Name, r.Message))
		}
	}
	for _, r := range waiting(v) {
		out = append(out, name+"  "+r)
	}
	if v.Note != "" {
		out = append(out, name+"  "+p.Paint(output.Faint, v.Note))
	}
	return out
}

// waiting says of the Replays that no revision speaks of how they are.
func waiting(v *View) []string {
	var out []string
	for i := range v.Replays {
		r := &v.Replays[i]
		if how, _ := ended(&r.Status); how != "" || r.shown() {
			continue
		}
		s := "Replay " + r.Name + " " + strings.ToLower(cmp.Or(r.Status.Status, v1alpha1.ReplayPending))
		if i := slices.IndexFunc(r.Status.Conditions, func(c metav1.Condition) bool { return c.Type == v1alpha1.ConditionReady }); i >= 0 {
			s += ": " + r.Status.Conditions[i].Message
		}
		out = append(out, s)
	}
	return out
}

func figures(p *output.Printer, v *View, r *v1alpha1.RevisionStatus) string {
	g := v.progress(r.Name)
	if g.partitions == 0 && r.Progress != nil {
		// Without the right to ask projectors, the status has to do.
		return bar(p, fromStatus(r.Progress))
	}
	if g.partitions == 0 {
		if r.Lag == "" {
			return "lag unknown"
		}
		return "lag " + r.Lag
	}
	if r.State != v1alpha1.RevisionBuilding {
		return fmt.Sprintf("%d/%d partitions  lag %s", g.partitions, v.Status.Partitions, output.Group(g.lag))
	}
	return bar(p, g)
}

func bar(p *output.Printer, g progress) string {
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
		case r.State == v1alpha1.RevisionBuilding && r.Progress != nil:
			s += fmt.Sprintf(" %d%%", fromStatus(r.Progress).percent()/step*step)
		case r.Lag != "" && r.State != v1alpha1.RevisionActive:
			s += " (lag " + r.Lag + ")"
		}
		if r.Message != "" && r.State != v1alpha1.RevisionActive && !goesOn(r) {
			s += ": " + r.Message
		}
		parts = append(parts, s)
	}
	parts = append(parts, waiting(v)...)
	if len(parts) == 0 {
		parts = append(parts, v.Status.Status)
	}
	return strings.Join(slices.Compact(parts), "; ")
}

// Built says what a build has taken, once readers see it: how far behind they were meanwhile, as far as that was shown, how
// long it took, and what came of its verification.
func (f *Follower) Built(v *View, revision string) {
	if s := f.lag.String(); s != "" {
		f.p.Printf("live lag during the build: %s\n", s)
	}
	r := v.Revision(revision)
	if r == nil {
		return
	}
	var parts []string
	if r.Built.Events > 0 && r.Built.Seconds > 0 {
		// Times in which nobody looked do not count, so that it need not be all of them.
		rate := contract.TwoDigits(float64(r.Built.Events) / float64(r.Built.Seconds))
		parts = append(parts, fmt.Sprintf("caught up at %s events/s (measured: %s events in %s)",
			output.Group(rate), output.Group(r.Built.Events), output.Span(time.Duration(r.Built.Seconds)*time.Second)))
	}
	if r.Message != "" {
		parts = append(parts, r.Message)
	}
	if len(parts) > 0 {
		f.p.Printf("%s: %s\n", revision, strings.Join(parts, "; "))
	}
}

// Arrived says what a promotion came to: since when readers see the revision, and what is kept.
func (f *Follower) Arrived(v *View, revision string) {
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
	f.p.Printf("%s\n", f.p.Paint(output.Green, strings.Join(parts, "; ")))
}
