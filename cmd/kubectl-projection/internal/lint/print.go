// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"strings"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
)

// The screen's measures, in characters.
const (
	indent = 4
	// sourceWidth is how much of a long line of a file is shown around the place that is meant.
	sourceWidth = 90
)

// Print writes the report for people.
func Print(p *output.Printer, r *Report) {
	for _, f := range r.Findings {
		style := output.Red
		if f.Severity == Advice {
			style = output.Yellow
		}
		head := p.Paint(output.Bold, f.String()+":") + " " + p.Paint(style, string(f.Severity)+":") + " " + f.subject()
		p.Printf("%s\n", strings.TrimRight(head, " "))
		p.Printf("%s", output.Wrap(f.Message, indent))
		p.Printf("%s", f.excerpt(p))
		if f.Fix != "" {
			p.Printf("%s", output.Wrap(f.Fix, indent))
		}
	}
	p.Printf("%s, %s, %d advice\n", output.Count(r.Files, "file"), output.Count(r.Errors, "error"), r.Advice)
}

// subject names the field; the object only where it is not the Projection, whose fields speak for themselves.
func (f Finding) subject() string {
	object := f.Object
	if strings.HasPrefix(object, "Projection ") && f.Path != "" {
		object = ""
	}
	return strings.Join(strings.Fields(object+" "+f.Path), " ")
}

func (f Finding) excerpt(p *output.Printer) string {
	line := []rune(strings.ReplaceAll(f.source, "\t", " "))
	if strings.TrimSpace(f.source) == "" || f.Column < 1 || f.Column > len(line)+1 {
		return ""
	}
	start := len(line) - len([]rune(strings.TrimLeft(string(line), " ")))
	at, before, after := f.Column-1, "", ""
	if len(line)-start > sourceWidth && at-start > sourceWidth/2 {
		start, before = at-sourceWidth/2, "..."
	}
	end := len(line)
	if end-start > sourceWidth {
		end, after = start+sourceWidth, "..."
	}
	start = min(start, at)
	margin := strings.Repeat(" ", indent+2)
	length := max(1, min(f.Length, end-at))
	return margin + before + string(line[start:end]) + after + "\n" +
		margin + strings.Repeat(" ", len(before)+at-start) + p.Paint(output.Red, strings.Repeat("^", length)) + "\n"
}
