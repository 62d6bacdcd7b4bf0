// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"strings"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
	"github.com/projectionist-dev/projectionist/contract/change"
)

// Markdown is the format of a comment on a pull request.
const Markdown output.Format = "markdown"

// indent is where the text of sections begins.
const indent = 11

var styles = map[change.Class]string{
	change.NothingToDo: output.Green, change.InPlace: output.Green, change.NewRevision: output.Yellow, change.BreaksReaders: output.Red, change.Refused: output.Red,
}

func (p *Plan) title() string {
	if p.Namespace == "" {
		return p.Name
	}
	return p.Namespace + "/" + p.Name
}

// Print writes the plans for people; with ddl the statements, too.
func Print(out *output.Printer, plans []*Plan, ddl bool) {
	for i, p := range plans {
		if i > 0 {
			out.Printf("\n")
		}
		left := p.title() + ": " + p.headline()
		out.Printf("%s: %s%s\n", out.Paint(output.Bold, p.title()), out.Paint(styles[p.Class], p.headline()),
			fmt.Sprintf("%*s", max(2+len("exit 2"), 80-len([]rune(left))), fmt.Sprintf("exit %d", Code(p.Class))))
		for _, s := range p.sections() {
			for j, line := range s.lines {
				title := s.title
				if j > 0 {
					title = ""
				}
				text := strings.TrimLeft(output.Wrap(line, indent), " ")
				if strings.HasPrefix(line, "WARNING") {
					text = out.Paint(output.Yellow, strings.TrimSuffix(text, "\n")) + "\n"
				}
				out.Printf("  %-*s%s", indent-2, title, text)
			}
		}
		if !ddl {
			continue
		}
		for _, t := range p.Tables {
			for _, sql := range t.DDL {
				out.Printf("  %s;\n", strings.ReplaceAll(sql, "\n", "\n  "))
			}
		}
	}
}

// PrintMarkdown writes the plans as a comment on a pull request.
func PrintMarkdown(out *output.Printer, plans []*Plan) {
	out.Printf("## Projections: %s\n", summary(plans))
	for _, p := range plans {
		out.Printf("\n### %s: %s\n\n", code(p.title()), p.headline())
		for _, s := range p.sections() {
			lines := s.lines
			if s.code {
				lines = nil
				for _, l := range s.lines {
					lines = append(lines, code(l))
				}
			} else {
				lines = prose(lines)
			}
			if len(lines) == 1 {
				out.Printf("- **%s**: %s\n", s.title, lines[0])
				continue
			}
			out.Printf("- **%s**\n", s.title)
			for _, l := range lines {
				out.Printf("  - %s\n", l)
			}
		}
		p.details(out)
	}
}

// details folds the DDL away.
func (p *Plan) details(out *output.Printer) {
	var statements []string
	for _, t := range p.Tables {
		for _, sql := range t.DDL {
			statements = append(statements, sql+";")
		}
	}
	if len(statements) == 0 {
		return
	}
	text := strings.Join(statements, "\n")
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	out.Printf("\n<details><summary>DDL</summary>\n\n%ssql\n%s\n%s\n\n</details>\n", fence, text, fence)
}

// summary counts the classes, the worst first.
func summary(plans []*Plan) string {
	var parts []string
	for i := len(severity) - 1; i >= 0; i-- {
		n := 0
		for _, p := range plans {
			if p.Class == severity[i] {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, words[severity[i]]))
		}
	}
	return strings.Join(parts, ", ")
}

// code writes text of a spec so that Markdown leaves it alone.
func code(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		s = " " + s + " "
	}
	return fence + s + fence
}

// prose escapes what Markdown takes for markup in names.
func prose(lines []string) []string {
	escape := strings.NewReplacer("_", `\_`, "*", `\*`, "<", "&lt;", "`", "\\`", "[", `\[`, "WARNING:", "⚠️")
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = escape.Replace(strings.Join(strings.Fields(l), " "))
	}
	return out
}
