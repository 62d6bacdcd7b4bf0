// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package schemas

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// node is the schema of one field; its zero value is that of a field that the schema does not know.
type node struct {
	apiextensionsv1.JSONSchemaProps
}

// at gives the schema of the field at a path, which may have numbers and names of members in brackets.
func (s *Schema) at(path string) node {
	props := s.props
	for path != "" && path != "<nil>" {
		next, rest := child(props, path)
		if next == nil {
			return node{}
		}
		props, path = next, rest
	}
	return node{*props}
}

// child goes one step down. Members of maps may have dots in their names: what follows one is taken as part of it
// where the map's values have no fields.
func child(p *apiextensionsv1.JSONSchemaProps, path string) (next *apiextensionsv1.JSONSchemaProps, rest string) {
	if strings.HasPrefix(path, "[") {
		_, rest, _ = strings.Cut(path, "]")
		rest = strings.TrimPrefix(rest, ".")
		switch {
		case p.Items != nil && p.Items.Schema != nil:
			return p.Items.Schema, rest
		case p.AdditionalProperties != nil:
			return p.AdditionalProperties.Schema, rest
		}
		return nil, ""
	}
	name := path
	if i := strings.IndexAny(path, ".["); i >= 0 {
		name, rest = path[:i], strings.TrimPrefix(path[i:], ".")
	}
	if next, ok := p.Properties[name]; ok {
		return &next, rest
	}
	if p.AdditionalProperties != nil && p.AdditionalProperties.Schema != nil {
		if values := p.AdditionalProperties.Schema; values.Type == "object" || values.Type == "array" {
			return values, rest
		}
		return p.AdditionalProperties.Schema, ""
	}
	return nil, ""
}

// exampleAtEnd finds the example in a description: every field's ends with one where there is something to show.
var exampleAtEnd = regexp.MustCompile(`(?s)Example: (.*)\.\s*$`)

func (n node) exampleText() string {
	if m := exampleAtEnd.FindStringSubmatch(n.Description); m != nil {
		return strings.Join(strings.Fields(m[1]), " ")
	}
	return ""
}

func (n node) example() string {
	if e := n.exampleText(); e != "" {
		return "for example: " + e
	}
	return ""
}

// Example shows what a field may hold, "for example: ..."; empty where its description has no example.
func (s *Schema) Example(path string) string { return s.at(path).example() }

func (n node) enum() []string {
	var out []string
	for _, raw := range n.Enum {
		var s string
		if json.Unmarshal(raw.Raw, &s) == nil {
			out = append(out, s)
		}
	}
	return out
}

// forms says in words what the patterns of the API ask for.
var forms = map[string]string{
	`^[A-Za-z_][A-Za-z0-9_]*$`:                                          "letters, digits and _, not beginning with a digit",
	`^[A-Za-z0-9]([-_A-Za-z0-9]*[A-Za-z0-9])?$`:                         "letters, digits, - and _, beginning and ending with a letter or digit",
	`^[-._a-zA-Z0-9]+$`:                                                 "letters, digits, '-', '.' and '_'",
	`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`: "lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit",
	`^(\[[0-9a-fA-F:.]+\]|[-._a-zA-Z0-9]+):[0-9]{1,5}$`:                 "host:port",
	`^https?://[^ @?#]+$`:                                               "an address with http:// or https://, without user and query",
}

func patternText(pattern string) string {
	if text, ok := forms[pattern]; ok {
		return text
	}
	return "it must match " + pattern
}

// noun is what a pattern is the form of.
func noun(n node) string {
	if strings.Contains(n.Pattern, "host") || strings.HasSuffix(n.Pattern, ":[0-9]{1,5}$") || strings.HasPrefix(n.Pattern, "^https") {
		return "an address"
	}
	return "a name"
}

// elsewhere are words of other tools for fields of this API.
var elsewhere = map[string]string{
	"primaryKey": "key", "fields": "columns", "tables": "models", "store": "storeRef", "broker": "brokerRef", "on": "events",
	"true": "events", "event": "events", "eventTypes": "events", "types": "events", "increment": "add", "sum": "add", "update": "set",
	"upsert": "set", "values": "set", "filter": "when", "condition": "when", "if": "when", "nullable": "notNull", "required": "notNull",
	"primary": "key", "foreach": "forEach", "each": "forEach", "schema": "schemas", "servers": "bootstrapServers",
	"brokers": "bootstrapServers", "keyBy": "keyedBy", "messageKey": "keyedBy",
}

// suggest says what was probably meant by a field that does not exist: one of a like name beside it, or one of this
// name in another place, as after a wrong indentation.
func (s *Schema) suggest(path string) (fix, meant string) {
	name := path[strings.LastIndexByte(path, '.')+1:]
	parent := strings.TrimSuffix(strings.TrimSuffix(path, name), ".")
	fields := names(s.at(parent))
	if word := elsewhere[name]; slices.Contains(fields, word) {
		return "did you mean " + word + "?", join(parent, word)
	}
	if near := Nearest(name, fields); near != "" {
		return "did you mean " + near + "?", join(parent, near)
	}
	if found := s.search(s.props, name, ""); len(found) == 1 {
		return "it belongs to " + strings.TrimPrefix(found[0], "spec."), ""
	} else if len(found) > 1 {
		shown := make([]string, 0, len(found))
		for _, f := range found[:min(len(found), 3)] {
			shown = append(shown, strings.TrimPrefix(f, "spec."))
		}
		return "there is one at " + strings.Join(shown, ", ") + ": check the indentation", ""
	}
	if len(fields) == 0 || len(fields) > 24 {
		return "remove it, or correct its name", ""
	}
	return "the fields here are " + strings.Join(fields, ", "), ""
}

func join(parent, name string) string {
	if parent == "" {
		return name
	}
	return parent + "." + name
}

func names(n node) []string {
	out := make([]string, 0, len(n.Properties))
	for k := range n.Properties {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// search finds the fields of a name in the spec, as paths with [] for list items.
func (s *Schema) search(p *apiextensionsv1.JSONSchemaProps, name, path string) []string {
	var out []string
	for _, k := range names(node{*p}) {
		if path == "" && k != "spec" {
			continue
		}
		v := p.Properties[k]
		at := join(path, k)
		if k == name {
			out = append(out, at)
		}
		out = append(out, s.search(&v, name, at)...)
	}
	if p.Items != nil && p.Items.Schema != nil {
		out = append(out, s.search(p.Items.Schema, name, path+"[]")...)
	}
	return out
}
