// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package schemas

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"
)

const (
	root       = "../../../../"
	schemasDir = root + "config/schemas"
)

// TestEditorFilesAreCurrent: config/schemas is what make generate writes.
func TestEditorFilesAreCurrent(t *testing.T) {
	files, err := EditorFiles()
	if err != nil {
		t.Fatal(err)
	}
	there, err := filepath.Glob(schemasDir + "/*.json")
	if err != nil || len(there) != len(files) {
		t.Errorf("%d files in config/schemas, %d kinds and one for all: %v", len(there), len(files), err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(schemasDir, name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not current; run make generate (%v)", name, err)
		}
	}
}

func compiled(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile(filepath.Join(schemasDir, name))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// documents gives the resources of YAML files.
func documents(t *testing.T, pattern string) map[string]any {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no files (%v)", pattern, err)
	}
	out := map[string]any{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, text := range strings.Split(string(data), "\n---\n") {
			asJSON, err := yaml.YAMLToJSON([]byte(text))
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			v, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
			if err != nil {
				t.Fatal(err)
			}
			if v != nil {
				out[fmt.Sprintf("%s, document %d", file, i+1)] = v
			}
		}
	}
	return out
}

// TestEditorsTakeWhatTheServerTakes: what is right in the project's own files is right to editors, too.
func TestEditorsTakeWhatTheServerTakes(t *testing.T) {
	s := compiled(t, AnyFile)
	for _, pattern := range []string{root + "config/samples/*/*.yaml", root + "docs/cookbook/*/*.yaml", "../lint/testdata/base/*.yaml", "../explain/testdata/*.yaml"} {
		docs := documents(t, pattern)
		for _, name := range slices.Sorted(maps.Keys(docs)) {
			if err := s.Validate(docs[name]); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestEditorsSeeMistakes: kinds of mistakes that a schema can see are seen, each within the right kind.
func TestEditorsSeeMistakes(t *testing.T) {
	s := compiled(t, AnyFile)
	for _, name := range []string{
		"api-unknown-field", "api-wrong-enum", "api-number-for-text", "api-list-for-map", "api-text-for-list", "api-required-field", "api-model-name",
		"api-too-small", "api-version", "api-kind", "api-bootstrap-server", "api-format",
	} {
		for doc, v := range documents(t, "../lint/testdata/wrong/"+name+".yaml") {
			if s.Validate(v) == nil {
				t.Errorf("%s is taken", doc)
			}
		}
	}
	test := map[string]any{
		"apiVersion": "cqrs.projectionist.dev/v1alpha1", "kind": "ProjectionTest", "metadata": map[string]any{"name": "x"},
		"spec": map[string]any{"projection": "x", "cases": []any{map[string]any{"name": "x", "given": []any{map[string]any{"valeu": nil}}, "then": map[string]any{}}}},
	}
	if s.Validate(test) == nil {
		t.Error("a ProjectionTest with a misspelt field is taken")
	}
}

// TestSamplesNameTheirSchema: editors find the schema of every resource of every sample.
func TestSamplesNameTheirSchema(t *testing.T) {
	files, err := filepath.Glob(root + "config/samples/*/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no samples", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, text := range strings.Split(string(data), "\n---\n") {
			const comment = "# yaml-language-server: $schema="
			first, _, _ := strings.Cut(text, "\n")
			path, ok := strings.CutPrefix(first, comment)
			if !ok {
				t.Errorf("%s: document %d does not begin with %s", file, i+1, comment)
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), path)); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}

func TestNearest(t *testing.T) {
	for _, c := range []struct{ word, want string }{
		{"colunms", "columns"}, {"Columns", "columns"}, {"hanlders", "handlers"}, {"ky", "key"}, {"nonsense", ""}, {"x", ""}, {"json", "JSON"},
	} {
		if got := Nearest(c.word, []string{"columns", "handlers", "key", "JSON"}); got != c.want {
			t.Errorf("%s: %q, want %q", c.word, got, c.want)
		}
	}
}
