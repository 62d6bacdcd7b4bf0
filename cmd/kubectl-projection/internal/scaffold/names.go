// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package scaffold

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// snake writes a name of any style with lower-case words and _ between them; it is fit for a column.
func snake(name string) string { return words(name, '_') }

// kebab is snake with - between the words; it is fit for a resource and a handler.
func kebab(name string) string { return words(name, '-') }

func words(name string, sep rune) string {
	var out []rune
	runes := []rune(name)
	for i, r := range runes {
		switch {
		case unicode.IsUpper(r) && r < unicode.MaxASCII:
			startsWord := i > 0 && (unicode.IsLower(runes[i-1]) || unicode.IsDigit(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1]))
			if startsWord && len(out) > 0 && out[len(out)-1] != sep {
				out = append(out, sep)
			}
			out = append(out, unicode.ToLower(r))
		case r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)):
			out = append(out, r)
		case len(out) > 0 && out[len(out)-1] != sep:
			out = append(out, sep)
		}
	}
	s := strings.Trim(string(out), string(sep))
	if len(s) > 51 {
		s = strings.Trim(s[:51], string(sep))
	}
	if s == "" || unicode.IsDigit(rune(s[0])) {
		s = "x" + s
	}
	return s
}

// lastWord is what a topic's name says of its events: orders for shop.orders.v1.
func lastWord(topic string) string {
	parts := strings.FieldsFunc(topic, func(r rune) bool { return r == '.' || r == '-' || r == '_' || r == '/' })
	for _, p := range slices.Backward(parts) {
		if !slices.Contains([]string{"events", "event", "topic", "stream", "json"}, strings.ToLower(p)) && !version.MatchString(p) {
			return p
		}
	}
	return topic
}

var version = regexp.MustCompile(`^[vV]?[0-9]+$`)

func singular(word string) string {
	switch {
	case strings.HasSuffix(word, "ies"):
		return strings.TrimSuffix(word, "ies") + "y"
	case strings.HasSuffix(word, "sses"), strings.HasSuffix(word, "xes"):
		return strings.TrimSuffix(word, "es")
	case strings.HasSuffix(word, "s") && !strings.HasSuffix(word, "ss"):
		return strings.TrimSuffix(word, "s")
	}
	return word
}

// identifier is what may follow a dot in CEL.
var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// reserved are the words that CEL keeps for itself.
var reserved = []string{"as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop", "namespace", "null", "package", "return", "true", "var", "void", "while"}

// expression is the CEL expression of a field of the event, null where an optional one is missing.
func (f *Field) expression() string {
	var b strings.Builder
	b.WriteString("event")
	for i, name := range f.Path {
		optional := f.Optional && i == len(f.Path)-1
		question := ""
		if optional {
			question = "?"
		}
		if identifier.MatchString(name) && !slices.Contains(reserved, name) {
			b.WriteString("." + question + name)
		} else {
			b.WriteString("[" + question + celText(name) + "]")
		}
		if optional {
			b.WriteString(".orValue(null)")
		}
	}
	return b.String()
}

func celText(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// plain is what YAML takes as text without quotes, also within brackets.
var plain = regexp.MustCompile(`^[A-Za-z][-A-Za-z0-9_./?()]*$`)

// traps are words that YAML takes for something else.
var traps = []string{"y", "n", "yes", "no", "on", "off", "true", "false", "null"}

// scalar writes text in YAML, quoted where it has to be.
func scalar(s string) string {
	if plain.MatchString(s) && !slices.Contains(traps, strings.ToLower(s)) {
		return s
	}
	return strconv.Quote(s)
}
