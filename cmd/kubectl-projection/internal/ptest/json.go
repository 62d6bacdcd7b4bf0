// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package ptest

import (
	"bytes"
	"encoding/json"
	"fmt"

	"go.yaml.in/yaml/v3"
	k8syaml "sigs.k8s.io/yaml"
)

// exactJSON gives the JSON of YAML with every digit of its numbers, which a
// conversion by way of float64 would lose. All else is as kubectl reads it.
func exactJSON(n *yaml.Node) ([]byte, error) {
	var b bytes.Buffer
	err := appendJSON(&b, n)
	return b.Bytes(), err
}

func appendJSON(b *bytes.Buffer, n *yaml.Node) error {
	switch n.Kind {
	case yaml.AliasNode:
		return appendJSON(b, n.Alias)
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, item := range n.Content {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := appendJSON(b, item); err != nil {
				return err
			}
		}
		b.WriteByte(']')
		return nil
	case yaml.MappingNode:
		b.WriteByte('{')
		first := true
		if err := appendMembers(b, n, map[string]bool{}, &first); err != nil {
			return err
		}
		b.WriteByte('}')
		return nil
	default:
		return appendScalar(b, n)
	}
}

// appendMembers writes the members of a mapping, its own before those of merges.
func appendMembers(b *bytes.Buffer, n *yaml.Node, seen map[string]bool, first *bool) error {
	var merges []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Tag == "!!merge" {
			merges = append(merges, value)
			continue
		}
		name, err := keyText(key)
		if err != nil {
			return err
		}
		if seen[name] {
			continue
		}
		seen[name] = true
		if !*first {
			b.WriteByte(',')
		}
		*first = false
		quote(b, name)
		b.WriteByte(':')
		if err := appendJSON(b, value); err != nil {
			return err
		}
	}
	for _, m := range merges {
		for m.Kind == yaml.AliasNode {
			m = m.Alias
		}
		from := []*yaml.Node{m}
		if m.Kind == yaml.SequenceNode {
			from = m.Content
		}
		for _, f := range from {
			for f.Kind == yaml.AliasNode {
				f = f.Alias
			}
			if err := appendMembers(b, f, seen, first); err != nil {
				return err
			}
		}
	}
	return nil
}

func keyText(key *yaml.Node) (string, error) {
	var b bytes.Buffer
	if err := appendJSON(&b, key); err != nil {
		return "", err
	}
	var s string
	if json.Unmarshal(b.Bytes(), &s) == nil {
		return s, nil
	}
	return b.String(), nil
}

func quote(b *bytes.Buffer, s string) {
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s)       // a string is always encoded
	b.Truncate(b.Len() - 1) // the encoder ends the line
}

const quoted = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle

func appendScalar(b *bytes.Buffer, n *yaml.Node) error {
	switch {
	case n.Style&quoted != 0 || n.Style&yaml.TaggedStyle != 0 && n.Tag == "!!str":
		quote(b, n.Value)
		return nil
	case n.Tag == "!!timestamp":
		quote(b, n.Value)
		return nil
	case (n.Tag == "!!int" || n.Tag == "!!float") && json.Valid([]byte(n.Value)):
		b.WriteString(n.Value)
		return nil
	}
	// What is a boolean or null, and numbers in other forms than JSON's, are what YAML 1.1 makes of them.
	out, err := k8syaml.YAMLToJSON([]byte(n.Value))
	if err != nil || len(out) == 0 {
		return fmt.Errorf("line %d: %q is not a value", n.Line, n.Value)
	}
	b.Write(bytes.TrimSpace(out))
	return nil
}
