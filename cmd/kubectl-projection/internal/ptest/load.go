// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package ptest

import (
	"encoding/base64"
	"fmt"
	"path/filepath"
	"reflect"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/manifests"
)

var stringType = reflect.TypeFor[string]()

// DefaultTime is the time of events that have none.
const DefaultTime = "2026-01-01T00:00:00Z"

// Test is a ProjectionTest in its file.
type Test struct {
	ProjectionTest
	Object *manifests.Object
}

// Dir is the directory at which the paths of the test's files begin.
func (t *Test) Dir() string { return filepath.Dir(t.Object.File.Name) }

// Load reads the ProjectionTest of an object, and says what is wrong with it.
func Load(o *manifests.Object) (*Test, []manifests.Problem) {
	t := &Test{Object: o}
	problems := o.Decode(&t.ProjectionTest)
	if len(problems) > 0 {
		return t, problems
	}
	l := &loader{o: o, firstLine: o.Locate("spec").Value.Line - line(o.Locate("spec").Node())}
	l.test(t)
	return t, l.problems
}

func line(n *yaml.Node) int {
	if n == nil {
		return 0
	}
	return n.Line
}

// loader takes over from the nodes what decoding by way of JSON loses, and checks what no schema can.
type loader struct {
	o         *manifests.Object
	firstLine int
	problems  []manifests.Problem
}

func (l *loader) problem(path, fix, format string, args ...any) {
	l.problems = append(l.problems, l.o.Problem(path, fix, format, args...))
}

func (l *loader) test(t *Test) {
	if t.Spec.Projection == "" {
		l.problem("spec.projection", "name the Projection that is tested", "there is no projection")
	}
	if len(t.Spec.Cases) == 0 {
		l.problem("spec.cases", "write at least one, with given and then", "there is no case")
	}
	l.time("spec.defaults.time", t.Spec.Defaults.Time)
	nodes := manifests.Member(l.o.Locate("spec").Node(), "cases")
	seen := map[string]bool{}
	for i := range t.Spec.Cases {
		c, path, node := &t.Spec.Cases[i], fmt.Sprintf("spec.cases[%d]", i), nodes.Content[i]
		c.Line = node.Line + l.firstLine
		switch {
		case c.Name == "":
			l.problem(path, "say in a sentence what is true", "the case has no name")
		case seen[c.Name]:
			l.problem(path+".name", "rename one", "there are two cases of this name")
		}
		seen[c.Name] = true
		given := manifests.Member(node, "given")
		for j := range c.Given {
			l.event(&c.Given[j], fmt.Sprintf("%s.given[%d]", path, j), given.Content[j])
		}
		l.then(&c.Then, path+".then", manifests.Member(node, "then"))
	}
}

func (l *loader) time(path, text string) {
	if _, err := time.Parse(time.RFC3339Nano, text); text != "" && err != nil {
		l.problem(path, "write it as in "+DefaultTime, "it is not a time")
	}
}

func (l *loader) event(e *Event, path string, node *yaml.Node) {
	for node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	e.Line = node.Line + l.firstLine
	value := manifests.Member(node, "value")
	forms := 0
	for _, given := range []bool{value != nil, e.Text != nil, e.Base64 != nil, e.Tombstone, e.File != ""} {
		if given {
			forms++
		}
	}
	if forms != 1 {
		l.problem(path, "give one of value, text, base64, tombstone: true and file", "the event has %d payloads", forms)
	}
	if value != nil {
		data, err := exactJSON(value)
		if err != nil {
			l.problem(path+".value", "quote it if it is text", "%s", err)
		}
		e.Value = data
	}
	if e.Base64 != nil {
		if _, err := base64.StdEncoding.DecodeString(*e.Base64); err != nil {
			l.problem(path+".base64", "encode the bytes in the standard alphabet, with padding", "it is not base64")
		}
	}
	if e.File != "" && (e.Key.Given || e.Headers != nil || e.Time != "" || e.Partition != nil) {
		l.problem(path, "give topic alone beside file; the lines of the file say the rest", "key, headers, time and partition do not go with a file")
	}
	l.time(path+".time", e.Time)
}

func (l *loader) then(t *Then, path string, node *yaml.Node) {
	for _, part := range []struct {
		name string
		rows map[string][]Row
	}{{"rows", t.Rows}, {"contains", t.Contains}, {"absent", t.Absent}} {
		tables := manifests.Member(node, part.name)
		for model, rows := range part.rows {
			table := manifests.Member(tables, model)
			for i := range rows {
				l.row(rows[i], fmt.Sprintf("%s.%s.%s[%d]", path, part.name, model, i), table.Content[i])
			}
		}
	}
}

func (l *loader) row(r Row, path string, node *yaml.Node) {
	for column := range r {
		n := manifests.Member(node, column)
		if n == nil {
			continue
		}
		v := Value{Null: n.Kind == yaml.ScalarNode && n.Tag == "!!null"}
		data, err := exactJSON(n)
		if err != nil {
			l.problem(path+"."+column, "quote it if it is text", "%s", err)
		}
		v.JSON, v.Text = string(data), string(data)
		if n.Kind == yaml.ScalarNode {
			v.Text = n.Value
		}
		r[column] = v
	}
}
