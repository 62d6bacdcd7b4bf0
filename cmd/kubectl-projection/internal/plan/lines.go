// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/change"
)

// section is a titled part of a plan; both printers have the same ones.
type section struct {
	title string
	lines []string
	// code is true where the lines are of the spec and not prose.
	code bool
}

// words name the classes.
var words = map[change.Class]string{
	change.NothingToDo: "nothing to do", change.InPlace: "in place", change.NewRevision: "new revision", change.BreaksReaders: "breaks readers", change.Refused: "refused",
}

// headline says in one line what it amounts to.
func (p *Plan) headline() string {
	s := words[p.Class]
	switch p.Class {
	case change.NothingToDo:
		if p.Active != "" {
			s += " (active: " + p.Active + ")"
		}
	case change.InPlace:
		s += " (active: " + p.Active + ")"
	case change.NewRevision, change.BreaksReaders:
		if p.Class == change.BreaksReaders {
			s += ": new revision"
		}
		s += " " + p.Target
		if p.Active == "" {
			s += " (nothing runs yet)"
		} else {
			s += " (active: " + p.Active + ")"
		}
	}
	return s
}

func (p *Plan) sections() []section {
	var out []section
	add := func(title string, code bool, lines ...string) {
		if len(lines) > 0 {
			out = append(out, section{title, lines, code})
		}
	}
	why, others := p.rebuilds()
	add("why", true, append(slices.Clone(p.Refused), texts(why)...)...)
	add("also", true, texts(others)...)
	add("tables", false, p.tableLines()...)
	if p.Class == change.NewRevision || p.Class == change.BreaksReaders {
		add("readers", false, p.readerLines()...)
		add("replay", false, p.replayLines()...)
		add("space", false, p.spaceLines()...)
		add("rollout", false, p.rolloutLines()...)
	}
	if p.Class == change.InPlace {
		if p.Moves == "" {
			add("readers", false, "not affected: no view changes, and no rows")
		} else {
			add("readers", false, fmt.Sprintf("moved from %s to %s, where that is there; what it was made of is not compared here", p.Active, p.Moves))
		}
	}
	add("note", false, p.Notes...)
	return out
}

func texts(reasons []Reason) []string {
	var out []string
	for _, r := range reasons {
		out = append(out, r.String())
	}
	return out
}

func (p *Plan) tableLines() []string {
	var out []string
	for _, t := range p.Tables {
		if p.Class != change.InPlace {
			out = append(out, fmt.Sprintf("create %s (%s, %s)", t.Name, output.Count(t.Columns, "column"), plural(t.Indexes, "index", "indexes")))
			continue
		}
		if n := len(t.DDL); n > 0 {
			out = append(out, fmt.Sprintf("create %s on %s: reading and writing go on, and transactions of the database that are older are waited for",
				plural(n, "index", "indexes"), t.Name))
		}
		for _, name := range t.Undeclared {
			out = append(out, fmt.Sprintf("index %s of %s is no longer declared, and stays until you drop it", name, t.Name))
		}
	}
	if p.Kept {
		out = append(out, fmt.Sprintf("none to build: revision %s is kept and up to date", p.Target))
	}
	return out
}

func plural(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

func (p *Plan) readerLines() []string {
	if p.Active == "" {
		var names []string
		for _, v := range p.Views {
			names = append(names, v.Name)
		}
		return []string{"none yet: views are made (" + strings.Join(names, ", ") + ")"}
	}
	lock := fmt.Sprintf("the switch replaces the views in one transaction (lock ≤ %d ms on each, given way and tried again)", p.Rollout.LockMilliseconds)
	if !slices.ContainsFunc(p.Views, func(v change.View) bool { return !v.Same() }) {
		return []string{"not affected: same columns, same types; " + lock}
	}
	var out []string
	for _, v := range p.Views {
		out = append(out, viewLines(&v)...)
	}
	if p.Class == change.BreaksReaders {
		lock = fmt.Sprintf("the switch drops views that lose something, and makes anew those that stay, in one transaction (lock ≤ %d ms on each); "+
			"prepared statements on them fail, and objects that depend on them stop the switch", p.Rollout.LockMilliseconds)
	}
	return append(out, lock)
}

func viewLines(v *change.View) []string {
	switch {
	case v.Created:
		return []string{"view " + v.Name + " is new"}
	case v.Dropped:
		return []string{"view " + v.Name + " goes"}
	}
	var out []string
	for _, c := range v.Lost {
		out = append(out, fmt.Sprintf("view %s loses %s (%s)", v.Name, c.Name, c.Type))
	}
	for _, c := range v.Retyped {
		out = append(out, fmt.Sprintf("view %s: %s becomes %s, was %s", v.Name, c.Name, c.To, c.From))
	}
	for _, c := range v.Added {
		out = append(out, fmt.Sprintf("view %s gets %s (%s); its other columns keep their places", v.Name, c.Name, c.Type))
	}
	return out
}

func (p *Plan) replayLines() []string {
	if p.Replay == nil {
		return nil
	}
	r := p.Replay
	var partitions int32
	known, whole := true, true
	var lines []string
	for _, t := range r.Topics {
		partitions += t.Partitions
		known = known && t.Partitions > 0
		whole = whole && t.Possible == "True"
		if t.Possible == "False" {
			lines = append(lines, fmt.Sprintf("WARNING: topic %s no longer has every event (%s): %s", t.Name, t.Reason, t.Message))
		}
	}
	topics := plural(len(r.Topics), "topic", "topics")
	if r.EventsUnknown == notAsked {
		return append([]string{fmt.Sprintf("all events of %s from the first; how many there are, how long that takes and how much space the tables need is not known offline", topics)}, lines...)
	}
	if known {
		topics += fmt.Sprintf(" (%s)", plural(int(partitions), "partition", "partitions"))
	}
	s := fmt.Sprintf("all events of %s from the first", topics)
	if r.EventsUnknown == "" {
		s = fmt.Sprintf("about %s events of %s", output.Group(r.Events), topics)
	}
	if whole {
		s += ", every one still there"
	}
	switch {
	case r.EventsUnknown == "":
		s += "; " + r.timeWords()
	case r.MeasuredOn != "":
		s += fmt.Sprintf("; how many there are is not known: %s; %s was built at %s events/s", r.EventsUnknown, r.MeasuredOn, output.Group(r.EventsPerSecond))
	default:
		s += "; how many there are, and how long that takes, is not known: " + r.EventsUnknown
		if r.TimeUnknown != r.EventsUnknown {
			s += ", and " + r.TimeUnknown
		}
	}
	return append([]string{s}, lines...)
}

func (p *Plan) rolloutLines() []string {
	r := p.Rollout
	when := "automatic, once it has caught up"
	if p.Kept {
		when = "automatic, at once"
	}
	if r.Promotion == v1alpha1.PromotionManual {
		when = "manual: kubectl projection promote " + p.Name + ", once it has caught up"
	}
	if p.Active == "" {
		return []string{"readers see it from the start, while it catches up"}
	}
	out := p.verifyLines()
	if r.Pinned != "" {
		return append(out, fmt.Sprintf("held: rollout.activeRevision keeps readers on %s; the new revision is built and waits", r.Pinned))
	}
	if p.Class == change.BreaksReaders && !r.BreakReadersAllowed {
		return append(out, "without consent it is built and not promoted; change readers first, then set rollout.allow: [BreakReaders]")
	}
	kept := fmt.Sprintf("%s is kept %s for a rollback", p.Active, output.Span(time.Duration(r.KeepSeconds)*time.Second))
	if r.KeepSeconds == 0 || r.KeepRevisions == 0 {
		kept = p.Active + " is dropped at once: there is no way back but another build"
	}
	out = append(out, "promotion "+when+"; then "+kept)
	if p.Class == change.BreaksReaders {
		out = append(out, "rollout.allow has BreakReaders: it will be done")
	}
	return out
}

// verifyLines say what comes before readers see it.
func (p *Plan) verifyLines() []string {
	v := p.Rollout.Verify
	if v == nil {
		return nil
	}
	var what []string
	if buckets, ok := contract.SampleBuckets(v.Sample); !ok || buckets > 0 {
		what = append(what, v.Sample+" of the keys")
	}
	if v.Assertions > 0 {
		what = append(what, output.Count(v.Assertions, "assertion"))
	}
	return []string{fmt.Sprintf("verified first (%s); readers stay where that fails", strings.Join(what, ", "))}
}
