// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package crd

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

const root = "../.."

// readCRDs reads the generated CRDs by their kind.
func readCRDs(t *testing.T) map[string]*apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "config/crd/bases/*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no CRDs: %v", err)
	}
	out := map[string]*apiextensionsv1.CustomResourceDefinition{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(text, crd); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		out[crd.Spec.Names.Kind] = crd
	}
	return out
}

// document is one YAML document with a resource of ours, and where it stands.
type document struct {
	where string
	text  []byte
}

var (
	separator = regexp.MustCompile(`(?m)^---\s*$`)
	fence     = regexp.MustCompile("(?ms)^```ya?ml[^\n]*\n(.*?)^```")
)

// documents gives every resource of ours in samples, README.md and docs.
func documents(t *testing.T) []document {
	t.Helper()
	var out []document
	add := func(where string, text []byte) {
		for _, d := range separator.Split(string(text), -1) {
			// A ProjectionTest is a file of the command line, and no resource.
			if strings.Contains(d, "apiVersion: cqrs.projectionist.dev/") && !strings.Contains(d, "kind: ProjectionTest\n") {
				out = append(out, document{where, []byte(d)})
			}
		}
	}
	addMarkdown := func(path string) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range fence.FindAllSubmatchIndex(text, -1) {
			line := 1 + bytes.Count(text[:m[0]], []byte("\n"))
			add(strings.TrimPrefix(path, root+"/")+":"+strconv.Itoa(line), text[m[2]:m[3]])
		}
	}
	for _, dir := range []string{"config/samples", "docs"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			switch filepath.Ext(path) {
			case ".yaml", ".yml":
				text, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				add(strings.TrimPrefix(path, root+"/"), text)
			case ".md":
				addMarkdown(path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(root, "README.md")); err == nil {
		addMarkdown(filepath.Join(root, "README.md"))
	}
	if len(out) == 0 {
		t.Fatal("no YAML found")
	}
	return out
}
