// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package preview

import (
	"fmt"
	"strings"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
)

// maxCell bounds a value in a table of rows, in characters.
const maxCell = 40

// Print shows a report in the printer's format.
func Print(p *output.Printer, r *Report) error {
	if p.Format != output.Text {
		return p.Document(r)
	}
	number, place, typ := 0, 0, 0
	for i := range r.Events {
		e := &r.Events[i]
		number, place, typ = max(number, len(e.number())), max(place, len(e.place())), max(typ, len(e.Type))
	}
	for i := range r.Events {
		e := &r.Events[i]
		key := "null key"
		if e.Key != nil {
			key = "key " + shorten(*e.Key)
		}
		head := fmt.Sprintf("%-*s  %-*s  %-*s  %s", number, e.number(), place, e.place(), typ, e.Type, key)
		p.Printf("%s\n", p.Paint(output.Bold, head))
		printEvent(p, e, strings.Repeat(" ", number+2))
	}
	for _, t := range r.Tables {
		p.Printf("\n")
		printTable(p, &t)
	}
	s := r.Summary
	parts := []string{fmt.Sprintf("%d applied", s.Applied)}
	for _, part := range []struct {
		n    int
		text string
	}{{s.NotHandled, "not handled"}, {s.Skipped, "skipped"}, {s.Errors, "in error"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.text))
		}
	}
	p.Printf("\n%s: %s; nothing was written\n", plural(s.Events, "event"), strings.Join(parts, ", "))
	return nil
}

func (e *Event) number() string { return fmt.Sprintf("#%d", e.Number) }
func (e *Event) place() string  { return fmt.Sprintf("%s/%d@%s", e.Topic, e.Partition, e.Position) }

func printEvent(p *output.Printer, e *Event, indent string) {
	if e.Note != "" {
		p.Printf("%s%s\n", indent, p.Paint(output.Faint, e.Result+": "+e.Note))
	}
	handler, row := 0, 0
	for i := range e.Changes {
		c := &e.Changes[i]
		handler, row = max(handler, len(c.handlers())), max(row, len(c.row()))
	}
	for i := range e.Changes {
		c := &e.Changes[i]
		p.Printf("%s%-*s   %-*s   %s\n", indent, handler, c.handlers(), row, c.row(), c.Change)
	}
	if e.Error == nil {
		return
	}
	p.Printf("%s%s\n", indent, strings.TrimSpace(p.Paint(output.Red, e.Error.Reason)+"   "+e.Error.Path))
	p.Printf("%s%s\n%spayload: %s\n", indent, e.Error.Message, indent, e.Error.Payload)
	p.Printf("%sa projector would stop %s/%d here\n", indent, e.Topic, e.Partition)
}

func (c *Change) handlers() string {
	if len(c.Handlers) == 0 {
		return "(by a join)"
	}
	return strings.Join(c.Handlers, ", ")
}

func (c *Change) row() string { return fmt.Sprintf("%s[%s]", c.Model, c.Key) }

func printTable(p *output.Printer, t *Table) {
	p.Printf("%s (%s)\n", p.Paint(output.Bold, t.Model), plural(len(t.Rows), "row"))
	if len(t.Rows) == 0 {
		return
	}
	lines := [][]string{nil}
	for _, c := range t.Columns {
		lines[0] = append(lines[0], strings.ToUpper(c))
	}
	for _, r := range t.Rows {
		line := make([]string, len(r))
		for i, x := range r {
			line[i] = "null"
			if x != nil {
				line[i] = cell(*x)
			}
		}
		lines = append(lines, line)
	}
	widths := make([]int, len(t.Columns))
	for _, l := range lines {
		for i, c := range l {
			widths[i] = max(widths[i], len([]rune(c)))
		}
	}
	for _, l := range lines {
		var b strings.Builder
		for i, c := range l {
			fmt.Fprintf(&b, "%-*s   ", widths[i], c)
		}
		p.Printf("%s\n", strings.TrimRight(b.String(), " "))
	}
}

func cell(s string) string {
	s = strings.NewReplacer("\n", " ", "\t", " ").Replace(s)
	if r := []rune(s); len(r) > maxCell {
		return string(r[:maxCell-1]) + "…"
	}
	return s
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
