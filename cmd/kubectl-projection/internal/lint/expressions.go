// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/manifests"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/schemas"
)

var (
	// columnPrefix is how contract/expr says where in an expression it stopped; here the place is shown.
	columnPrefix = regexp.MustCompile(`^(?:line \d+, )?column \d+: `)
	// boundary is where a message of the compiler goes over from what is wrong to what to do.
	boundary = regexp.MustCompile(`; |: (?:write|use|name) |\. [A-Z]`)
	// expecting is the list of tokens that a parser would have taken.
	expecting = regexp.MustCompile(` expecting (?:\{.*\}|<EOF>)$`)
	// assignment is a single = where CEL wants ==.
	assignment = regexp.MustCompile(`[^=!<>]=[^=]`)
	// undeclared is how CEL names what it does not know.
	undeclared = regexp.MustCompile(`^undeclared reference to '([^']*)'`)
	// noColumn is how the compiler names a column that is not there.
	noColumn = regexp.MustCompile(`^there is no column (\S+)`)
	// word is a name in an expression.
	word = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)
)

// clock are names of functions that give another value each time; CEL has none of them here (Law 1).
var clock = []string{"now", "today", "time", "currentTime", "currentTimestamp", "uuid", "uuidv4", "random", "rand"}

// operators are those of other languages, and what CEL has in their place.
var operators = map[string]string{
	"and": "&&", "or": "||", "not": "!", "AND": "&&", "OR": "||", "NOT": "!", "if": "condition ? value : other", "IF": "condition ? value : other",
	"case": "condition ? value : other", "CASE": "condition ? value : other", "is": "== null", "IS": "== null",
}

// split takes a message of the compiler apart into what is wrong and what to do.
func split(message string) (wrong, fix string) {
	message = columnPrefix.ReplaceAllString(message, "")
	at := boundary.FindStringIndex(message)
	if at == nil {
		return message, ""
	}
	return message[:at[0]], message[at[0]+strings.IndexByte(message[at[0]:], ' ')+1:]
}

// expressionHint says more about an expression than the compiler of expressions, which does not know what stands around it.
func expressionHint(message, fix, text string, column int, quoted bool) (better, hint string) {
	message = expecting.ReplaceAllString(message, "")
	rest := text[column-1:]
	if m := undeclared.FindStringSubmatch(message); m != nil {
		switch name := m[1]; {
		case strings.HasPrefix(rest, name+"(") && slices.Contains(clock, name):
			return "there is no function " + name, "an expression gives the same for the same event, today and in a rebuild: use meta.time or meta.id"
		case strings.HasPrefix(rest, name+"("):
			return "there is no function " + name, "docs/expressions.md lists the functions"
		case word.MatchString(text) && strings.HasPrefix(text, name) && quoted:
			return message, fmt.Sprintf(`for the text %[1]s write "'%[1]s'", since YAML takes the outer quotes away; for a member of the payload, event.%[1]s`, text)
		case word.MatchString(text) && strings.HasPrefix(text, name):
			return message, fmt.Sprintf(`for a member of the payload write event.%[1]s; for the text %[1]s, "'%[1]s'"`, text)
		}
	}
	if fix != "" {
		return message, fix
	}
	if operator, ok := operators[rest[:min(wordLength(rest), len(rest))]]; ok {
		return message, "write " + operator
	}
	if from := max(0, column-2); assignment.MatchString(text[min(from, len(text)):]) {
		return message, "write == to compare"
	}
	return message, "expressions are CEL: check operators, quotes and brackets near here; docs/expressions.md has examples"
}

// nearColumn gives the column that a misspelt one probably stands for; empty where none is near.
func (l *linter) nearColumn(o *manifests.Object, path, message string) string {
	m := noColumn.FindStringSubmatch(message)
	if m == nil || strings.Contains(message, "did you mean") {
		return ""
	}
	for _, p := range l.workspace.Projections {
		for _, model := range p.Value.Spec.Models {
			if p.Object != o || modelOf(o.Named(path)) != "spec.models["+model.Name+"]" {
				continue
			}
			var names []string
			for i := range model.Columns {
				names = append(names, model.Columns[i].Name)
			}
			return schemas.Nearest(m[1], names)
		}
	}
	return ""
}

// unknownType is how the compiler names a column type that it does not know.
var unknownType = regexp.MustCompile(`^unknown type "([A-Za-z0-9_ ]*)`)

// databaseTypes are the types of databases and languages, for those of columns.
var databaseTypes = map[string]string{
	"varchar": "text", "char": "text", "string": "text", "citext": "text", "int": "int32 or int64", "integer": "int32", "long": "int64",
	"bigint": "int64", "smallint": "int32", "serial": "int64", "number": "decimal(p,s)", "numeric": "decimal(p,s)", "money": "decimal(p,s)",
	"decimal": "decimal(p,s), such as decimal(12,2)", "double": "float64", "float": "float64", "real": "float64", "boolean": "bool",
	"timestamptz": "timestamp", "datetime": "timestamp", "instant": "timestamp", "jsonb": "json", "object": "json", "map": "json", "bytea": "bytes",
	"blob": "bytes", "binary": "bytes", "array": "text[]", "list": "text[]", "guid": "uuid",
}

// nearType gives the column type that an unknown one probably stands for; empty where none is near.
func nearType(message string) string {
	m := unknownType.FindStringSubmatch(message)
	if m == nil {
		return ""
	}
	name, _, _ := strings.Cut(strings.ToLower(m[1]), " ")
	if t, ok := databaseTypes[name]; ok {
		return t
	}
	return schemas.Nearest(name, []string{"text", "bool", "int32", "int64", "float64", "timestamp", "date", "time", "uuid", "json", "bytes"})
}

// wordStart moves a byte of an expression, from 1, from the bracket of a call to the function's name.
func wordStart(text string, column int) int {
	if column > len(text) || text[column-1] != '(' {
		return column
	}
	for column > 1 && (text[column-2] == '_' || text[column-2] >= '0' && text[column-2] <= '9' ||
		text[column-2]|0x20 >= 'a' && text[column-2]|0x20 <= 'z') {
		column--
	}
	return column
}

// pointInto moves the last finding to a byte of the expression at the path, counted from 1.
func (l *linter) pointInto(o *manifests.Object, path string, column int) {
	place := o.Locate(path)
	text := place.Text()
	if !place.Found || column > len(text)+1 {
		return
	}
	f := &l.report.Findings[len(l.report.Findings)-1]
	f.Position, f.Length = place.Inside(utf8.RuneCountInString(text[:column-1]))
	f.Length = min(f.Length, wordLength(text[column-1:]))
	f.source = o.File.Line(f.Line)
}

// wordLength is the length of the name, number or operator at the beginning of an expression's rest.
func wordLength(s string) int {
	n := 0
	for _, r := range s {
		if n > 0 && !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.", r) {
			break
		}
		n++
	}
	return max(1, n)
}
