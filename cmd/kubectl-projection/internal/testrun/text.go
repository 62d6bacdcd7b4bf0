// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package testrun

import (
	"fmt"
	"strings"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
)

// indent is that of what is said below the line of a case.
const indent = "      "

// maxListed bounds the events that are listed for one row: the newest say most.
const maxListed = 10

// JUnit is the form that CI systems read.
const JUnit output.Format = "junit"

// Print shows a report in the printer's format. Verbose names the cases that passed, too.
func Print(p *output.Printer, r *Report, verbose bool) error {
	switch p.Format {
	case output.Text:
		printText(p, r, verbose)
		return nil
	case JUnit:
		return printJUnit(p.Out, r)
	default:
		return p.Document(r)
	}
}

func printText(p *output.Printer, r *Report, verbose bool) {
	width := 0
	for _, t := range r.Tests {
		width = max(width, len(t.Name))
	}
	for _, t := range r.Tests {
		printTest(p, &t, width, verbose)
	}
	for _, problem := range r.Problems {
		p.Printf("%s %s\n", p.Paint(output.Red, "ERROR"), problem)
	}
	p.Printf("%s\n", summaryLine(r.Summary, len(r.Problems)))
}

func printTest(p *output.Printer, t *TestReport, width int, verbose bool) {
	good := true
	for _, c := range t.Cases {
		good = good && c.Passed
	}
	if good && t.Error == "" {
		p.Printf("%s    %-*s   %s   %.2fs\n", p.Paint(output.Green, "ok"), width, t.Name, output.Count(len(t.Cases), "case"), t.Seconds)
	}
	for _, c := range t.Cases {
		at := fmt.Sprintf("%s:%d", t.File, c.Line)
		switch {
		case c.Updated:
			p.Printf("%s  %-*s   case %q   %s   rows rewritten\n", p.Paint(output.Yellow, "upd."), width, t.Name, c.Name, at)
		case !c.Passed:
			p.Printf("%s  %-*s   case %q   %s\n", p.Paint(output.Red, "FAIL"), width, t.Name, c.Name, at)
			for i := range c.Failures {
				printFailure(p, &c.Failures[i])
			}
		case verbose:
			p.Printf("%s%s   case %q\n", indent, p.Paint(output.Green, "ok"), c.Name)
		}
	}
	if t.Error != "" {
		p.Printf("%s %-*s   %s\n", p.Paint(output.Red, "ERROR"), width, t.Name, t.File)
		for line := range strings.SplitSeq(t.Error, "\n") {
			p.Printf("%s%s\n", indent, line)
		}
	}
}

func printFailure(p *output.Printer, f *Failure) {
	subject := ""
	switch {
	case f.Model != "":
		subject = fmt.Sprintf("%s[%s]", f.Model, f.Key)
	case f.Event > 0:
		subject = fmt.Sprintf("event #%d", f.Event)
	}
	p.Printf("%s\n", indent+joined(p.Paint(output.Bold, subject), f.Message))
	for _, d := range f.Details {
		p.Printf("%s  %s\n", indent, d)
	}
	width := 0
	for _, c := range f.Columns {
		width = max(width, len(c.Column)+1)
	}
	for _, c := range f.Columns {
		p.Printf("%s  %-*s   want %s   got %s\n", indent, width, c.Column+":", c.Want, p.Paint(output.Red, c.Got))
	}
	printTouched(p, f.Touched)
	printNames(p, "never handled", f.Unhandled)
	printNames(p, "not applied, no condition true", f.Skipped)
}

func joined(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "   " + b
}

func printTouched(p *output.Printer, touched []Touch) {
	if len(touched) == 0 {
		return
	}
	p.Printf("%s  events that touched this row:\n", indent)
	if earlier := len(touched) - maxListed; earlier > 0 {
		p.Printf("%s    (%d earlier)\n", indent, earlier)
		touched = touched[earlier:]
	}
	event, handler := 0, 0
	for _, t := range touched {
		event, handler = max(event, len(t.Event)), max(handler, len(t.Handler))
	}
	for _, t := range touched {
		p.Printf("%s    %-*s   %-*s   %s\n", indent, event, t.Event, handler, t.Handler, t.Effect)
	}
}

func printNames(p *output.Printer, what string, names []string) {
	if len(names) == 0 {
		return
	}
	more := ""
	if n := len(names) - maxListed; n > 0 {
		names, more = names[:maxListed], fmt.Sprintf("   (%d more)", n)
	}
	p.Printf("%s  %s: %s%s\n", indent, what, strings.Join(names, "   "), more)
}

func summaryLine(s Summary, problems int) string {
	line := fmt.Sprintf("%s, %s: ", output.Count(s.Projections, "projection"), output.Count(s.Cases, "case"))
	var parts []string
	if s.Passed == s.Cases && s.Errors+problems == 0 {
		parts = append(parts, "all passed")
	} else {
		parts = append(parts, fmt.Sprintf("%d passed", s.Passed))
	}
	for _, part := range []struct {
		n    int
		text string
	}{{s.Failed, "failed"}, {s.Updated, "rewritten"}, {s.Errors + problems, "could not run"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.text))
		}
	}
	return line + strings.Join(parts, ", ")
}
