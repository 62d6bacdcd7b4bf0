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

// few is how many events a partition may be behind and still be no news; most is how many partitions are shown.
const (
	few  = 10
	most = 20
)

// Print writes the screen of a projection.
func Print(p *output.Printer, v *View) {
	observed := int64(-1)
	if v.Status.ObservedGeneration != nil {
		observed = *v.Status.ObservedGeneration
	}
	word := cmp.Or(v.Status.Status, v1alpha1.StatusPending)
	p.Printf("%s   %s   namespace %s, generation %d (observed %d)\n", p.Paint(output.Bold, v.Name), p.Paint(style(word), word), v.Namespace, v.Generation, observed)
	if _, _, message := v.condition(v1alpha1.ConditionReady); message != "" {
		p.Printf("%s", output.Wrap(message, 2))
	}
	neighbour(p, v, "Source", v1alpha1.ConditionSourceReady, "")
	neighbour(p, v, "Store", v1alpha1.ConditionStoreReady, v.store+"   ")
	title := "Revision"
	for i := range v.Status.Revisions {
		p.Printf("%-9s %s\n", title, describe(v, &v.Status.Revisions[i]))
		if m := v.Status.Revisions[i].Message; m != "" && !goesOn(&v.Status.Revisions[i]) {
			p.Printf("%s", output.Wrap(m, 21))
		}
		title = ""
	}
	if len(v.Status.Revisions) == 0 && v.Status.ActiveRevision != "" {
		p.Printf("%-9s %s active\n", title, v.Status.ActiveRevision)
	}
	replays(p, v)
	partitions(p, v)
	if v.Note != "" {
		p.Printf("\n%s\n", p.Paint(output.Faint, v.Note))
	}
}

func style(word string) string {
	switch word {
	case v1alpha1.StatusCaughtUp:
		return output.Green
	case v1alpha1.StatusStalled, v1alpha1.StatusRefused, v1alpha1.StatusUnreachable:
		return output.Red
	}
	return output.Yellow
}

// neighbour writes how broker or store are.
func neighbour(p *output.Printer, v *View, title, condition, name string) {
	status, reason, message := v.condition(condition)
	switch status {
	case "":
		return
	case string(metav1.ConditionTrue):
		p.Printf("%-9s %s%s\n", title, name, reason)
	default:
		p.Printf("%-9s %s%s\n%s", title, name, p.Paint(output.Red, reason), output.Wrap(message, 10))
	}
}

// replays writes those that have not ended.
func replays(p *output.Printer, v *View) {
	title := "Replay"
	for i := range v.Replays {
		r := &v.Replays[i]
		if how, _ := ended(&r.Status); how != "" {
			continue
		}
		p.Printf("%-9s %s %s\n", title, r.Name, strings.ToLower(cmp.Or(r.Status.Status, v1alpha1.StatusPending)))
		for _, c := range r.Status.Conditions {
			// Of one that is being built, its revision says the same.
			if c.Type == v1alpha1.ConditionReady && !r.shown() {
				p.Printf("%s", output.Wrap(c.Message, 10))
			}
		}
		title = ""
	}
}

// describe says in a line how a revision is.
func describe(v *View, r *v1alpha1.RevisionStatus) string {
	s := r.Name + " " + strings.ToLower(r.State)
	switch {
	case r.State == v1alpha1.RevisionActive && r.PromotedAt != nil:
		s += " since " + minute(r.PromotedAt.Time)
	case r.State == v1alpha1.RevisionKept && r.KeptUntil != nil:
		s += " for a rollback until " + minute(r.KeptUntil.Time)
	case r.State == v1alpha1.RevisionReady:
		s += " to be promoted"
	}
	if r.Lag != "" {
		s += ", lag " + r.Lag
	}
	if g := r.Progress; g != nil {
		s += ", " + built(g)
	}
	if r.From != "" {
		s += ", from " + r.From + " on"
	}
	switch by := v.attempt(r.Attempt); by {
	case "":
	case r.Attempt:
		s += fmt.Sprintf(", asked for by %q", by)
	default:
		s += ", asked for by " + by
	}
	return s
}

// built says how far a revision is by the projection's status.
func built(g *v1alpha1.BuildProgress) string {
	f := fromStatus(g)
	s := fmt.Sprintf("%d%%: %s of %s events", f.percent(), short(f.done), short(f.end))
	if f.perSecond > 0 {
		s += fmt.Sprintf(", %s/s", short(int64(f.perSecond)))
	}
	if f.leftIsKnown && f.lag > 0 {
		s += ", about " + output.Span(f.left) + " left"
	}
	return s
}

func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") + " UTC" }

// owned is a partition with who has it.
type owned struct {
	contract.PartitionStatus
	revision, pod string
}

func (o *owned) at() string { return fmt.Sprintf("%s/%d", o.Topic, o.Partition) }

func partitions(p *output.Printer, v *View) {
	var news []owned
	quiet := 0
	for i := range v.Projectors {
		s := &v.Projectors[i]
		for _, ps := range s.Partitions {
			if ps.Lag <= few && ps.Stopped == nil && ps.Waiting == "" {
				quiet++
				continue
			}
			news = append(news, owned{ps, s.Revision, s.Pod})
		}
	}
	slices.SortFunc(news, func(a, b owned) int {
		stopped := func(o owned) int {
			if o.Stopped != nil {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(stopped(a), stopped(b)), cmp.Compare(b.Lag, a.Lag), strings.Compare(a.revision, b.revision),
			strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	rows := [][]string{{"PARTITION", "POSITION", "END", "LAG", "BEHIND", "REVISION", "POD", ""}}
	for i := range news {
		if i == most {
			break
		}
		rows = append(rows, row(v, &news[i]))
	}
	if len(news) > 0 {
		p.Printf("\n%s", table(rows))
	}
	if hidden := len(news) - most; hidden > 0 {
		p.Printf("(%d more)\n", hidden)
	}
	switch {
	case quiet > 0 && len(news) == 0:
		p.Printf("\n%s, all within %d events\n", output.Count(quiet, "partition"), few)
	case quiet > 0:
		p.Printf("(%d more, all within %d events)\n", quiet, few)
	}
	problems(p, v, news)
}

func row(v *View, o *owned) []string {
	behind, word := "-", ""
	switch {
	case o.Lag == 0:
		behind = "0 s"
	case !o.EventTime.IsZero():
		behind = output.Span(v.now.Sub(o.EventTime))
	}
	switch {
	case o.Stopped != nil:
		word = "stopped"
	case o.Waiting != "":
		word = "waiting: " + o.Waiting
	}
	return []string{o.at(), digits(o.Position), digits(o.End), short(o.Lag), behind, o.revision, o.pod, word}
}

func digits(at contract.Position) string {
	n, err := at.Offset()
	if err != nil {
		return "-"
	}
	return output.Group(n)
}

func problems(p *output.Printer, v *View, all []owned) {
	n := 0
	for i := range all {
		o := &all[i]
		if o.Stopped == nil {
			continue
		}
		n++
		s := o.Stopped
		head := fmt.Sprintf("%s stopped at position %s for %s: %s", o.at(), s.Position, output.Span(v.now.Sub(s.Since)), s.Reason)
		p.Printf("\n%s  %s\n", p.Paint(output.Red, fmt.Sprintf("Problem %d", n)), head)
		if s.Path != "" {
			p.Printf("           %s\n", s.Path)
		}
		p.Printf("%s", output.Wrap(s.Message, 11))
		if way := s.WayOut(); way != "" {
			p.Printf("           what to do:     %s", strings.TrimLeft(output.Wrap(way, 27), " "))
		}
		p.Printf("           see its log:    kubectl logs -n %s %s\n", v.Namespace, o.pod)
		if at, err := s.Position.Offset(); err == nil {
			// On one line, to be copied.
			p.Printf("           see the event:  kafka-console-consumer.sh --bootstrap-server HOST:PORT --topic %s --partition %d --offset %d --max-messages 1\n",
				cmp.Or(v.topics[o.Topic], "TOPIC"), o.Partition, at)
		}
	}
}

// PrintRevisions writes the revisions as a table.
func PrintRevisions(p *output.Printer, v *View) {
	if len(v.Status.Revisions) == 0 {
		p.Printf("%s has no revision yet\n", v.Name)
		return
	}
	// No column stands empty in each row.
	progress := ""
	if slices.ContainsFunc(v.Status.Revisions, func(r v1alpha1.RevisionStatus) bool { return r.Progress != nil }) {
		progress = "PROGRESS"
	}
	from := ""
	if slices.ContainsFunc(v.Status.Revisions, func(r v1alpha1.RevisionStatus) bool { return r.From != "" }) {
		from = "FROM"
	}
	rows := [][]string{{"", "REVISION", "STATE", progress, "CREATED", "PROMOTED", "LAG", "KEPT UNTIL", from, "ATTEMPT"}}
	when := func(t *metav1.Time) string {
		if t == nil {
			return "-"
		}
		return t.UTC().Format("2006-01-02 15:04")
	}
	for _, r := range v.Status.Revisions {
		mark := ""
		if r.Name == v.Status.ActiveRevision {
			mark = "*"
		}
		began := r.From
		if from != "" {
			began = cmp.Or(r.From, "earliest")
		}
		rows = append(rows, []string{
			mark, r.Name, r.State, cell(r.Progress, progress), when(r.CreatedAt), when(r.PromotedAt), cmp.Or(r.Lag, "-"), when(r.KeptUntil), began, cmp.Or(v.attempt(r.Attempt), "-"),
		})
	}
	p.Printf("%s", table(rows))
	for _, r := range v.Status.Revisions {
		if r.Message != "" {
			p.Printf("\n%s\n%s", r.Name, output.Wrap(r.Message, 2))
		}
	}
	p.Printf("\n%s\n", p.Paint(output.Faint, "* what readers see; times are UTC"))
}

// cell is how far a revision is, in a column that may not be there.
func cell(g *v1alpha1.BuildProgress, column string) string {
	switch {
	case column == "":
		return ""
	case g == nil:
		return "-"
	}
	f := fromStatus(g)
	s := fmt.Sprintf("%d%%", f.percent())
	if f.perSecond > 0 {
		s += fmt.Sprintf(", %s/s", short(int64(f.perSecond)))
	}
	if f.leftIsKnown && f.lag > 0 {
		s += ", " + output.Span(f.left)
	}
	return s
}

// table lines up columns, and leaves no spaces at the ends of lines.
func table(rows [][]string) string {
	widths := make([]int, len(rows[0]))
	for _, r := range rows {
		for i, cell := range r {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	var out strings.Builder
	for _, r := range rows {
		var line strings.Builder
		for i, cell := range r {
			if widths[i] == 0 {
				continue
			}
			line.WriteString(cell + strings.Repeat(" ", widths[i]-len([]rune(cell))+2))
		}
		out.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return out.String()
}
