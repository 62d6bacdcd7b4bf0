// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// listKeys are the fields by which a path names an item of a list, in the order in which they are tried.
var listKeys = []string{"name", "column", "model"}

// Locate finds the field of a path, which begins at the top of the resource: spec.models[order_summary].key. Items of
// lists go by their name (for versions their column, for joins their model, for indexes their columns) or by their
// number from 0; members of maps
// go after a dot or in brackets. Where the field is not there, the place is that of the deepest field that is.
func (o *Object) Locate(path string) Place {
	at := Place{Key: o.position(o.node), Value: o.position(o.node), Found: true, node: o.node, file: o.File, firstLine: o.firstLine}
	for path != "" {
		key, value, rest := step(at.node, path)
		if value == nil {
			at.Found = false
			at.Value = at.Key
			return at
		}
		at.Key, at.Value, at.node = o.position(key), o.position(value), resolve(value)
		path = rest
	}
	return at
}

// Spec is Locate for a path that begins below spec, as contract/compile gives it.
func (o *Object) Spec(path string) Place {
	switch {
	case path == "":
		return o.Locate("spec")
	case strings.HasPrefix(path, "["):
		return o.Locate("spec" + path)
	default:
		return o.Locate("spec." + path)
	}
}

func (o *Object) position(n *yaml.Node) Position {
	return Position{File: o.File.Name, Line: n.Line + o.firstLine, Column: n.Column}
}

// step goes one field down. The longest name that fits is taken, since names of map members may have dots.
func step(n *yaml.Node, path string) (key, value *yaml.Node, rest string) {
	if n == nil {
		return nil, nil, ""
	}
	if strings.HasPrefix(path, "[") {
		end := strings.IndexByte(path, ']')
		if end < 0 {
			return nil, nil, ""
		}
		name, rest := path[1:end], strings.TrimPrefix(path[end+1:], ".")
		if n.Kind == yaml.SequenceNode {
			item := item(n, name)
			return item, item, rest
		}
		key, value := member(n, name)
		return key, value, rest
	}
	if n.Kind != yaml.MappingNode {
		return nil, nil, ""
	}
	for end := len(path); end > 0; end = strings.LastIndexAny(path[:end], ".[") {
		if key, value := member(n, path[:end]); value != nil {
			return key, value, strings.TrimPrefix(path[end:], ".")
		}
	}
	return nil, nil, ""
}

// member gives the member of a mapping that has the name in JSON, also one that a merge (<<) brings in.
func member(n *yaml.Node, name string) (key, value *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := len(n.Content) - 2; i >= 0; i -= 2 {
		if jsonKey(n.Content[i]) == name {
			return n.Content[i], n.Content[i+1]
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Tag != "!!merge" {
			continue
		}
		from := resolve(n.Content[i+1])
		sources := []*yaml.Node{from}
		if from.Kind == yaml.SequenceNode {
			sources = from.Content
		}
		for _, s := range sources {
			if key, value := member(resolve(s), name); value != nil {
				return key, value
			}
		}
	}
	return nil, nil
}

// item gives the item of a list that has the name, or the number.
func item(n *yaml.Node, name string) *yaml.Node {
	for _, k := range listKeys {
		for _, it := range n.Content {
			if _, v := member(resolve(it), k); v != nil && v.Kind == yaml.ScalarNode && v.Value == name {
				return it
			}
		}
	}
	for _, it := range n.Content {
		if _, v := member(resolve(it), "columns"); v != nil && listText(resolve(v)) == name {
			return it
		}
	}
	if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(n.Content) {
		return n.Content[i]
	}
	for _, it := range n.Content {
		if it.Kind == yaml.ScalarNode && it.Value == name {
			return it
		}
	}
	return nil
}

// listText gives the items of a list of scalars as contract/compile names an index: columns with commas between them.
func listText(n *yaml.Node) string {
	var out []string
	for _, it := range n.Content {
		out = append(out, it.Value)
	}
	return strings.Join(out, ",")
}

// resolve follows aliases.
func resolve(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// Named gives a path with the names of list items in place of their numbers, as people read it.
func (o *Object) Named(path string) string {
	var out strings.Builder
	n := o.node
	for path != "" {
		_, value, rest := step(n, path)
		if value == nil {
			out.WriteString(dot(out.Len(), path))
			break
		}
		segment := strings.TrimSuffix(path[:len(path)-len(rest)], ".")
		if n.Kind == yaml.SequenceNode {
			segment = "[" + itemName(resolve(value), segment[1:len(segment)-1]) + "]"
		} else if inner, ok := strings.CutPrefix(segment, "["); ok {
			segment = strings.TrimSuffix(inner, "]")
		}
		out.WriteString(dot(out.Len(), segment))
		n, path = resolve(value), rest
	}
	return out.String()
}

func dot(written int, segment string) string {
	if written == 0 || strings.HasPrefix(segment, "[") {
		return segment
	}
	return "." + segment
}

func itemName(n *yaml.Node, number string) string {
	for _, k := range listKeys {
		if _, v := member(n, k); v != nil && v.Kind == yaml.ScalarNode && v.Value != "" {
			return v.Value
		}
	}
	return number
}
