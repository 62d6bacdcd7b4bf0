// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
	"github.com/projectionist-dev/projectionist/projectors/stores/postgres"
)

// Print writes the explanation for people.
func Print(p *output.Printer, e *Projection) {
	p.Printf("%s   revision %s   consumer group %s\n", p.Paint(output.Bold, e.Name), e.Revision, e.Group)
	for i := range e.Models {
		printModel(p, &e.Models[i])
	}
}

func printModel(p *output.Printer, m *Model) {
	source := "single-source"
	if !m.SingleSource {
		source = "not single-source"
	}
	p.Printf("\n%s   %s\n", p.Paint(output.Bold, "model "+m.Name), source)
	p.Printf("%s", output.Wrap(m.Why, 2))
	if len(m.Arrival) > 0 {
		p.Printf("  order: Arrival   by consent, these depend on what arrives first: %s\n", strings.Join(m.Arrival, ", "))
	}
	p.Printf("\n")
	width := 0
	for i := range m.Handlers {
		width = max(width, len(m.Handlers[i].Name))
	}
	for i := range m.Handlers {
		h := &m.Handlers[i]
		p.Printf("  %-*s  %-7s  %s\n", width, h.Name, h.Kind, strings.Join(h.Effects, ", "))
		p.Printf("%s", output.Wrap(h.Why, 2+width+2+7+2))
	}
	p.Printf("\n  %s\n", p.Paint(output.Bold, "created by prepare"))
	for _, sql := range m.DDL {
		printSQL(p, sql)
	}
	p.Printf("\n  %s\n", p.Paint(output.Bold, "sent per batch, where it holds rows of that kind"))
	for _, s := range statements(m) {
		p.Printf("  -- %s (%s)\n", s.statement.Purpose, strings.Join(s.handlers, ", "))
		printSQL(p, s.statement.SQL)
	}
}

// shared is a statement and the handlers that it carries the effects of.
type shared struct {
	statement postgres.Statement
	handlers  []string
}

// statements lists each statement once.
func statements(m *Model) []shared {
	var out []shared
	for i := range m.Handlers {
		for _, s := range m.Handlers[i].Statements {
			at := slices.IndexFunc(out, func(o shared) bool { return o.statement.SQL == s.SQL })
			if at < 0 {
				at = len(out)
				out = append(out, shared{statement: s})
			}
			out[at].handlers = append(out[at].handlers, m.Handlers[i].Name)
		}
	}
	return out
}

func printSQL(p *output.Printer, sql string) {
	p.Printf("  %s;\n", strings.ReplaceAll(sql, "\n", "\n  "))
}
