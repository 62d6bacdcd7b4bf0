// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package crd

import (
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract/compile"
)

// Every Projection that users can copy compiles. Those in files do so with what
// stands in their directory and the one above, and get no advice; those on pages show one thing, and
// may refer to what the example leaves out.
func TestCopiedProjectionsCompile(t *testing.T) {
	inputs := map[string]*compile.Input{}
	type projection struct {
		document
		dir string
		obj v1alpha1.Projection
	}
	var projections []projection
	for _, d := range documents(t) {
		dir := d.where // The example on a page.
		if strings.HasSuffix(dir, ".yaml") {
			dir = filepath.Dir(d.where)
		}
		in := inputs[dir]
		if in == nil {
			in = &compile.Input{}
			inputs[dir] = in
		}
		var kind struct{ Kind string }
		if err := yaml.Unmarshal(d.text, &kind); err != nil {
			t.Errorf("%s: %v", d.where, err)
			continue
		}
		var err error
		switch kind.Kind {
		case "EventBroker":
			in.Brokers, err = read(in.Brokers, d.text)
		case "EventTopic":
			in.Topics, err = read(in.Topics, d.text)
		case "ReadStore":
			in.Stores, err = read(in.Stores, d.text)
		case "Projection":
			p := projection{document: d, dir: dir}
			err = yaml.UnmarshalStrict(d.text, &p.obj)
			projections = append(projections, p)
		case "Replay":
			err = yaml.UnmarshalStrict(d.text, &v1alpha1.Replay{})
		default:
			t.Errorf("%s: unknown kind %q", d.where, kind.Kind)
		}
		if err != nil {
			t.Errorf("%s: %v", d.where, err)
		}
	}
	for i := range projections {
		p := &projections[i]
		in := *inputs[p.dir]
		if above := inputs[filepath.Dir(p.dir)]; above != nil {
			in.Brokers, in.Stores = append(in.Brokers, above.Brokers...), append(in.Stores, above.Stores...)
		}
		in.Projection = &p.obj
		_, problems := compile.Compile(in)
		for _, problem := range problems {
			onPage := !strings.HasSuffix(p.where, ".yaml")
			if onPage && (problem.Reason == compile.ReasonReferenceMissing || problem.Severity == compile.Advice) {
				continue
			}
			t.Errorf("%s: %s", p.where, problem)
		}
	}
}

func read[T any](list []T, text []byte) ([]T, error) {
	var one T
	err := yaml.UnmarshalStrict(text, &one)
	return append(list, one), err
}
