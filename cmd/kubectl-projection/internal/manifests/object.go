// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	k8syaml "sigs.k8s.io/yaml"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
)

// header is what says of what kind a document is.
type header struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"metadata"`
	Items []json.RawMessage `json:"items"`
}

// object takes one document of the group, or the items of a List.
func (s *Set) object(f *File, first int, node *yaml.Node, data []byte) {
	o := &Object{File: f, JSON: data, node: node, firstLine: first}
	var h header
	if node.Kind != yaml.MappingNode {
		return
	}
	if err := json.Unmarshal(data, &h); err != nil {
		// A header of the wrong type is for the schema to refuse; what can be known of it is taken here.
		h = looseHeader(data)
	}
	if h.Kind == "List" && h.APIVersion == "v1" {
		_, items := member(node, "items")
		for i, raw := range h.Items {
			if items != nil && i < len(items.Content) {
				s.object(f, first, resolve(items.Content[i]), raw)
			}
		}
		return
	}
	group, _, _ := strings.Cut(h.APIVersion, "/")
	if group != v1alpha1.GroupName {
		return
	}
	o.APIVersion, o.Kind, o.Name, o.Namespace = h.APIVersion, h.Kind, h.Metadata.Name, h.Metadata.Namespace
	s.Objects = append(s.Objects, o)
	s.keys(o, node, "")
}

func looseHeader(data []byte) (h header) {
	var m map[string]any
	_ = json.Unmarshal(data, &m)
	h.APIVersion, _ = m["apiVersion"].(string)
	h.Kind, _ = m["kind"].(string)
	meta, _ := m["metadata"].(map[string]any)
	h.Metadata.Name, _ = meta["name"].(string)
	h.Metadata.Namespace, _ = meta["namespace"].(string)
	return h
}

// keys finds members that are given twice (YAML keeps the last and says nothing) and keys that YAML does not take as text.
func (s *Set) keys(o *Object, n *yaml.Node, path string) {
	switch n.Kind {
	case yaml.SequenceNode:
		for i, it := range n.Content {
			s.keys(o, it, fmt.Sprintf("%s[%d]", path, i))
		}
	case yaml.MappingNode:
		seen := map[string]*yaml.Node{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Tag == "!!merge" {
				continue
			}
			name := jsonKey(key)
			child := strings.TrimPrefix(path+"."+name, ".")
			if first, ok := seen[name]; ok {
				s.problem(o, key, child, fmt.Sprintf("%s is given twice, first in line %d", name, first.Line+o.firstLine),
					"keep one of them; put the members of both together if they are maps")
			} else if name != key.Value && key.Kind == yaml.ScalarNode {
				s.problem(o, key, child, fmt.Sprintf("YAML takes the key %s as %s, not as text", key.Value, name), fmt.Sprintf("write %q", key.Value))
			}
			seen[name] = key
			s.keys(o, n.Content[i+1], child)
		}
	}
}

func (s *Set) problem(o *Object, at *yaml.Node, path, message, fix string) {
	s.Problems = append(s.Problems, Problem{Position: o.position(at), Object: o.String(), In: o, Path: o.Named(path), Message: message, Fix: fix})
}

// jsonKey gives the name that a key has in JSON: YAML 1.1 takes on, yes, no, y and n as booleans.
func jsonKey(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode || n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 || !mayBeOther(n.Value) {
		return n.Value
	}
	var m map[string]any
	if err := k8syaml.Unmarshal([]byte(n.Value+": 1"), &m); err != nil || len(m) != 1 {
		return n.Value
	}
	for k := range m {
		return k
	}
	return n.Value
}

// words are what YAML 1.1 reads as a boolean or as null, in lower case.
var words = []string{"y", "yes", "n", "no", "on", "off", "true", "false", "null", "~", ""}

// mayBeOther tells whether YAML may read a plain scalar as something other than text.
func mayBeOther(s string) bool {
	return slices.Contains(words, strings.ToLower(s)) || strings.ContainsRune("0123456789+-.", rune(s[0]))
}
