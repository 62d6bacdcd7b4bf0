// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"

	goccy "github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/parser"
)

// yamlLine finds the line in an error of the YAML library, which has no type for it.
var yamlLine = regexp.MustCompile(`(?:yaml: )?(?:unmarshal errors:\s*)?line (\d+): `)

// syntaxProblem says where a document stops being YAML. The library that reads manifests does as kubectl does, but
// knows at best the line where the surrounding list or map began; so another one is asked for the place.
func syntaxProblem(f *File, first int, text []byte, err error) Problem {
	at, message := syntaxPlace(f, first, text, err)
	switch line := f.Line(at.Line); {
	case strings.Contains(line, "{{"):
		message = "this is a template"
	case tabbed(line):
		message = "a tab does not indent"
	}
	return Problem{Position: at, Message: "not YAML: " + message, Fix: syntaxFix(f.Line(at.Line), message)}
}

func syntaxPlace(f *File, first int, text []byte, err error) (Position, string) {
	var better goccy.Error
	if _, other := parser.ParseBytes(text, 0); errors.As(other, &better) && better.GetToken() != nil {
		p := better.GetToken().Position
		return Position{File: f.Name, Line: first + p.Line, Column: p.Column}, better.GetMessage()
	}
	message := strings.TrimPrefix(err.Error(), "error converting YAML to JSON: ")
	at := Position{File: f.Name, Line: first + 1}
	if m := yamlLine.FindStringSubmatchIndex(message); m != nil {
		n, _ := strconv.Atoi(message[m[2]:m[3]])
		message = message[:m[0]] + message[m[1]:]
		if strings.HasPrefix(message, "did not find expected ") {
			n++ // the parser counts from 0, and the scanner from 1
		}
		at.Line = first + n
	} else if i := slices.IndexFunc(f.lines[first:], func(l string) bool { return strings.Contains(l, "{{") }); i >= 0 {
		at.Line += i // a template is a map as the key of a map, of which the library says nothing but its value
	}
	line := f.Line(at.Line)
	at.Column = len([]rune(line)) - len([]rune(strings.TrimLeft(line, " \t"))) + 1
	return at, strings.TrimPrefix(message, "yaml: ")
}

func tabbed(line string) bool { return strings.HasPrefix(strings.TrimLeft(line, " "), "\t") }

func syntaxFix(line, message string) string {
	switch {
	case strings.Contains(line, "{{"):
		return "templates are no manifests: render them first, and give the result to lint, for example helm template . | kubectl projection lint -"
	case tabbed(line):
		return "indent with spaces"
	case strings.Contains(message, "mapping value") || strings.Contains(message, "map value"):
		return "put a value that holds a colon and a space into quotes, and check the indentation"
	case strings.Contains(message, "node content") || strings.Contains(message, "map content"):
		return "an expression that begins with -, or holds commas, colons, brackets or quotes, needs quotes around it as a whole"
	case strings.Contains(message, "'}'") || strings.Contains(message, "']'") || strings.Contains(message, "bracket"):
		return "close the bracket; an expression with quotes, commas, brackets or a colon needs quotes around it as a whole"
	case strings.Contains(message, "text"):
		return "close the quotes"
	case strings.Contains(message, "reserved"):
		return "put the value into quotes"
	default:
		return "check the indentation here and above"
	}
}
