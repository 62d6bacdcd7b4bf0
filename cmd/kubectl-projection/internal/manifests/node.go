// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import "go.yaml.in/yaml/v3"

// Node gives the YAML of the place's value, aliases followed. Its lines count from the beginning of its document:
// Value.Line tells where it stands in the file.
func (p Place) Node() *yaml.Node { return p.node }

// Member gives the value of a member of a mapping by its name in JSON, aliases followed, also one that a merge brings
// in; nil where there is none.
func Member(n *yaml.Node, name string) *yaml.Node {
	if n = resolve(n); n == nil {
		return nil
	}
	_, value := member(n, name)
	return resolve(value)
}
