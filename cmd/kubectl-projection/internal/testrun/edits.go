// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package testrun

import (
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// edits are changes of files, made together at the end so that places in them stay right.
type edits struct {
	splices map[string][]splice
	files   map[string][]byte
}

// splice puts text in place of what stands from one place of a file up to another.
type splice struct {
	from, to mark
	text     string
}

// mark is a place in a file: a line and a column in characters, both from 1. The end of a line is behind its last character.
type mark struct{ line, column int }

func (e *edits) splice(file string, s splice) {
	if e.splices == nil {
		e.splices = map[string][]splice{}
	}
	e.splices[file] = append(e.splices[file], s)
}

func (e *edits) file(name string, data []byte) {
	if e.files == nil {
		e.files = map[string][]byte{}
	}
	e.files[name] = data
}

func (e *edits) write() error {
	for name, splices := range e.splices {
		data, err := os.ReadFile(name) //nolint:gosec // the user's own file
		if err != nil {
			return err
		}
		text := string(data)
		// From the end, so that the places before stay right.
		slices.SortStableFunc(splices, func(a, b splice) int {
			if a.from.line != b.from.line {
				return b.from.line - a.from.line
			}
			return b.from.column - a.from.column
		})
		for _, s := range splices {
			from, to := offset(text, s.from), offset(text, s.to)
			text = text[:from] + s.text + text[to:]
		}
		if err := replaceFile(name, []byte(text)); err != nil {
			return err
		}
	}
	for name, data := range e.files {
		if err := replaceFile(name, data); err != nil {
			return err
		}
	}
	return nil
}

func replaceFile(name string, data []byte) error {
	mode := os.FileMode(0o644)
	if info, err := os.Stat(name); err == nil {
		mode = info.Mode().Perm()
	}
	return os.WriteFile(name, data, mode) //nolint:gosec // the user's own file, which --update is asked to write
}

// offset is the byte offset of a mark; that of the file's end for one behind it.
func offset(text string, m mark) int {
	at := 0
	for range m.line - 1 {
		n := strings.IndexByte(text[at:], '\n')
		if n < 0 {
			return len(text)
		}
		at += n + 1
	}
	column := 1
	for i, r := range text[at:] {
		if column == m.column || r == '\n' {
			return at + i
		}
		column++
	}
	return len(text)
}

// source is a file's text, for finding where YAML that begins somewhere ends.
type source struct {
	lines [][]rune
	// first is the number of lines before the document.
	first int
}

func newSource(text string, first int) source {
	s := source{first: first}
	for line := range strings.SplitSeq(text, "\n") {
		s.lines = append(s.lines, []rune(line))
	}
	return s
}

func (s source) begin(n *yaml.Node) mark { return mark{n.Line + s.first, n.Column} }

func (s source) line(n int) []rune {
	if n < 1 || n > len(s.lines) {
		return nil
	}
	return s.lines[n-1]
}

// endOfLine is the place behind the last character of a line.
func (s source) endOfLine(line int) mark { return mark{line, len(s.line(line)) + 1} }

// end gives the place behind a node: of a flow collection behind its bracket, of
// anything else behind the last line that it stands on.
func (s source) end(n *yaml.Node) mark {
	if n.Kind != yaml.ScalarNode && n.Style&yaml.FlowStyle != 0 {
		return s.closing(s.begin(n))
	}
	return s.endOfLine(s.lastLine(n))
}

// lastLine is the last line that a node stands on.
func (s source) lastLine(n *yaml.Node) int {
	switch {
	case n.Kind == yaml.AliasNode:
		return n.Line + s.first
	case n.Kind == yaml.ScalarNode && n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return n.Line + s.first + max(1, strings.Count(strings.TrimRight(n.Value, "\n"), "\n")+1)
	case n.Kind != yaml.ScalarNode && n.Style&yaml.FlowStyle != 0:
		return s.closing(s.begin(n)).line
	}
	last := n.Line + s.first
	for _, c := range n.Content {
		last = max(last, s.lastLine(c))
	}
	return last
}

// closing is the place behind the bracket that closes the one at a mark.
func (s source) closing(m mark) mark {
	depth := 0
	var quote rune
	for line := m.line; line <= len(s.lines); line++ {
		text := s.line(line)
		from := 0
		if line == m.line {
			from = m.column - 1
		}
		for i := from; i < len(text); i++ {
			c := text[i]
			switch {
			case quote == '"' && c == '\\':
				i++
			case quote != 0:
				if c == quote {
					quote = 0
				}
			case c == '"' || c == '\'':
				// Within a plain scalar (it's) a quote is a character.
				if i == 0 || strings.ContainsRune(" [{,:", text[i-1]) {
					quote = c
				}
			case c == '#' && i > 0 && text[i-1] == ' ':
				i = len(text) // a comment
			case c == '[' || c == '{':
				depth++
			case c == ']' || c == '}':
				if depth--; depth == 0 {
					return mark{line, i + 2}
				}
			}
		}
	}
	return s.endOfLine(len(s.lines))
}
