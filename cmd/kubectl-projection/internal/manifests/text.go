// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Text gives the value of a scalar as it stands after YAML; empty for anything else.
func (p Place) Text() string {
	if p.node == nil || p.node.Kind != yaml.ScalarNode {
		return ""
	}
	return p.node.Value
}

// Quoted tells whether the value stands in quotes.
func (p Place) Quoted() bool {
	return p.node != nil && p.node.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0
}

// Flow tells whether the value stands in brackets behind its name.
func (p Place) Flow() bool { return p.node != nil && p.node.Style&yaml.FlowStyle != 0 }

// Name gives the place of what an item of a list is called by; nil where it is no such item.
func (p Place) Name() *Place {
	if p.node == nil || p.node.Kind != yaml.MappingNode {
		return nil
	}
	for _, k := range listKeys {
		if key, v := member(p.node, k); v != nil && v.Kind == yaml.ScalarNode {
			shift := p.firstLine
			return &Place{
				Key:   Position{File: p.file.Name, Line: key.Line + shift, Column: key.Column},
				Value: Position{File: p.file.Name, Line: v.Line + shift, Column: v.Column}, Found: true, node: v, file: p.file, firstLine: shift,
			}
		}
	}
	return nil
}

// KeyLength gives how many characters the field's name takes in its line, at least 1.
func (p Place) KeyLength() int {
	line := []rune(p.file.Line(p.Key.Line))
	n := 0
	for i := p.Key.Column - 1; i >= 0 && i < len(line) && !strings.ContainsRune(":, {[]}", line[i]); i++ {
		n++
	}
	return max(1, n)
}

// Inside gives the position of the character of a scalar's text at an offset in characters from 0, and how many
// characters from there the text goes on in the same line. Where YAML folds or escapes the text, so that no such place
// is known, it is the beginning of the value, and the length is that of the line's rest.
func (p Place) Inside(offset int) (Position, int) {
	whole := Position{File: p.Value.File, Line: p.Value.Line, Column: p.Value.Column}
	if p.node == nil || p.node.Kind != yaml.ScalarNode || !p.Found {
		return whole, 1
	}
	line := []rune(p.file.Line(whole.Line))
	rest := max(1, len(line)-whole.Column+1)
	switch {
	case p.node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return p.insideBlock(offset, whole)
	case p.node.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		quote := whole.Column // the index of the character after the quote
		text := []rune(p.node.Value)
		if quote+len(text) < len(line) && string(line[quote:quote+len(text)]) == p.node.Value && offset <= len(text) {
			return Position{File: whole.File, Line: whole.Line, Column: whole.Column + 1 + offset}, max(1, len(text)-offset)
		}
		return whole, quotedLength(line[whole.Column-1:])
	default:
		n := utf8.RuneCountInString(p.node.Value)
		if strings.HasPrefix(string(line[min(whole.Column-1, len(line)):]), p.node.Value) && offset <= n {
			return Position{File: whole.File, Line: whole.Line, Column: whole.Column + offset}, max(1, n-offset)
		}
		return whole, rest
	}
}

// insideBlock finds the character of a block scalar (| or >): its lines stand below, indented.
func (p Place) insideBlock(offset int, whole Position) (Position, int) {
	text := []rune(p.node.Value)
	if offset > len(text) {
		return whole, 1
	}
	before := string(text[:offset])
	row := strings.Count(before, "\n")
	if p.node.Style&yaml.FoldedStyle != 0 && row == 0 {
		// A folded scalar has its first line unfolded only when it has one line; then it reads like a literal one.
		if strings.Contains(strings.TrimSuffix(p.node.Value, "\n"), "\n") {
			return whole, 1
		}
	}
	column := len([]rune(before[strings.LastIndexByte(before, '\n')+1:]))
	content := strings.Split(p.node.Value, "\n")[row]
	line := p.file.Line(whole.Line + 1 + row)
	indent := strings.Index(line, content)
	if indent < 0 || content == "" {
		return whole, 1
	}
	return Position{File: whole.File, Line: whole.Line + 1 + row, Column: utf8.RuneCountInString(line[:indent]) + column + 1},
		max(1, utf8.RuneCountInString(content)-column)
}

// quotedLength is the length of a quoted scalar, its quotes included, as far as it is on this line.
func quotedLength(s []rune) int {
	for i := 1; i < len(s); i++ {
		switch {
		case s[0] == '"' && s[i] == '\\':
			i++
		case s[0] == '\'' && s[i] == '\'' && i+1 < len(s) && s[i+1] == '\'':
			i++
		case s[i] == s[0]:
			return i + 1
		}
	}
	return max(1, len(s))
}
