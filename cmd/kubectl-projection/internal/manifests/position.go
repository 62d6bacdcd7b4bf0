// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Position is a place in a file. Lines and columns count from 1, columns in characters; 0 is unknown.
type Position struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

// String gives file:line:column, as editors and CI systems understand it.
func (p Position) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	default:
		return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
	}
}

// Problem is what is wrong with a file before anything is known of the resources in it.
type Problem struct {
	Position Position
	// Object is the resource as "EventTopic orders"; empty where it is not known. In is where it stands, nil likewise.
	Object string
	In     *Object
	// Path is the field's path below the resource, empty where there is none.
	Path string
	// Message says what is wrong, Fix what to do.
	Message string
	Fix     string
}

// String gives the problem in one line.
func (p Problem) String() string {
	parts := []string{p.Position.String()}
	for _, s := range []string{p.Object, p.Path, p.Message} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, ": ") + suffix(p.Fix)
}

func suffix(fix string) string {
	if fix == "" {
		return ""
	}
	return "; " + fix
}

// Place is where a field stands in its file.
type Place struct {
	// Key is the position of the field's name, and of the list item itself for one.
	Key Position
	// Value is the position of its value; equal to Key where the field is not there and the nearest one is meant.
	Value Position
	// Found is false where the path names a field that is not there.
	Found bool

	node      *yaml.Node
	file      *File
	firstLine int
}
