// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// shop uses what makes positions hard: two documents, flow and block style, an anchor, names in lists, dots in keys.
const shop = `# a comment
apiVersion: v1
kind: ConfigMap
metadata: {name: other}
---
apiVersion: cqrs.projectionist.dev/v1alpha1
kind: EventTopic
metadata: {name: orders}
spec:
  brokerRef: {name: main}
  create:
    partitions: 3
    config: {cleanup.policy: delete}
---
apiVersion: cqrs.projectionist.dev/v1alpha1
kind: Projection
metadata: {name: order-summary, namespace: shop}
spec:
  storeRef: {name: reads}
  topics: [{name: orders}]
  models:
  - name: order_summary
    key: [order_id]
    columns: &columns
    - {name: order_id, type: text}
    - {name: total, type: "decimal(12,2)"}
    versions:
    - column: v
      columns: [total]
    handlers:
    - name: line-added
      key: {order_id: event.orderId}
      add: {total: event.price * event.quantity}
      when: |
        event.quantity > 0 &&
          event.price > 0
  - name: copy
    columns: *columns
`

func load(t *testing.T, files map[string]string) *Set {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Load([]string{dir}, strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLocate(t *testing.T) {
	s := load(t, map[string]string{"shop.yaml": shop})
	if len(s.Objects) != 2 || len(s.Problems) != 0 {
		t.Fatalf("%d objects, problems %v", len(s.Objects), s.Problems)
	}
	for _, c := range []struct {
		object     int
		path       string
		key, value string
		found      bool
	}{
		{1, "", "15:1", "15:1", true},
		{1, "spec.models[order_summary].handlers[line-added].add.total", "33:13", "33:20", true},
		{1, "spec.models[0].handlers[0].add[total]", "33:13", "33:20", true},
		{1, "spec.models[order_summary].versions[v].columns[total]", "29:17", "29:17", true},
		{1, "spec.models[copy].columns[total].type", "26:21", "26:27", true},
		{1, "spec.models[order_summary].handlers[line-added].set.total", "31:7", "31:7", false},
		{1, "spec.models[none].key", "21:3", "21:3", false},
		{0, "spec.create.config.cleanup.policy", "13:14", "13:30", true},
	} {
		p := s.Objects[c.object].Locate(c.path)
		name := filepath.Base(p.Key.File)
		key, value := strings.SplitN(p.Key.String(), name+":", 2)[1], strings.SplitN(p.Value.String(), name+":", 2)[1]
		if key != c.key || value != c.value || p.Found != c.found {
			t.Errorf("%s: key %s, value %s, found %t; want %s, %s, %t", c.path, key, value, p.Found, c.key, c.value, c.found)
		}
	}
}

func TestNamed(t *testing.T) {
	s := load(t, map[string]string{"shop.yaml": shop})
	for path, want := range map[string]string{
		"spec.models[0].handlers[0].add[total]": "spec.models[order_summary].handlers[line-added].add.total",
		"spec.models[0].versions[0].columns[0]": "spec.models[order_summary].versions[v].columns[0]",
		"spec.models[0].nonsense[3].x":          "spec.models[order_summary].nonsense[3].x",
		"spec.topics[0]":                        "spec.topics[orders]",
	} {
		if got := s.Objects[1].Named(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func TestInside(t *testing.T) {
	s := load(t, map[string]string{"shop.yaml": shop})
	const handler = "spec.models[order_summary].handlers[line-added]."
	for _, c := range []struct {
		path         string
		offset       int
		line, column int
		length       int
	}{
		{handler + "add.total", 14, 33, 34, 14},
		{handler + "when", 0, 35, 9, 21},
		{handler + "when", 24, 36, 11, 15},
		{"spec.models[order_summary].columns[total].type", 0, 26, 28, 13},
	} {
		p, n := s.Objects[1].Locate(c.path).Inside(c.offset)
		if p.Line != c.line || p.Column != c.column || n != c.length {
			t.Errorf("%s at %d: %d:%d for %d, want %d:%d for %d", c.path, c.offset, p.Line, p.Column, n, c.line, c.column, c.length)
		}
	}
}

func TestProblems(t *testing.T) {
	const head = "apiVersion: cqrs.projectionist.dev/v1alpha1\nkind: EventTopic\nmetadata: {name: a}\n"
	for _, c := range []struct{ name, text, want string }{
		{"given twice", head + "spec:\n  topic: a\n  topic: b\n", `:6:3: EventTopic a: spec.topic: topic is given twice, first in line 5; keep one of them`},
		{"a boolean key", head + "spec:\n  on: a\n", `:5:3: EventTopic a: spec.true: YAML takes the key on as true, not as text; write "on"`},
		{"a tab", head + "spec:\n\ttopic: a\n", `:5:1: not YAML: a tab does not indent; indent with spaces`},
		{"a template", head + "spec:\n  topic: {{ .Values.topic }}\n", `helm template`},
		{"other files are passed over", "a: {{ b }}\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := load(t, map[string]string{"a.yaml": c.text})
			if c.want == "" {
				if len(s.Problems) != 0 || len(s.Files) != 0 {
					t.Fatalf("%v", s.Problems)
				}
				return
			}
			if len(s.Problems) != 1 || !strings.Contains(s.Problems[0].String(), c.want) {
				t.Fatalf("%v, want %s", s.Problems, c.want)
			}
		})
	}
}

func TestResources(t *testing.T) {
	s := load(t, map[string]string{
		"shop.yaml": shop,
		"bad/list.json": `{"apiVersion": "v1", "kind": "List", "items": [
  {"apiVersion": "cqrs.projectionist.dev/v1alpha1", "kind": "ReadStore", "metadata": {"name": "reads", "namespace": "elsewhere"},
   "spec": {"postgres": {"secretRef": {"nme": "x"}}}},
  {"apiVersion": "cqrs.projectionist.dev/v1alpha1", "kind": "ReadStore", "metadata": {"name": "other", "namespace": "elsewhere"},
   "spec": {"postgres": {"schema": 5}}}]}`,
		".git/x.yaml": shop,
	})
	r, problems := s.Resources()
	if len(r.Topics) != 1 || len(r.Projections) != 1 || len(r.Stores) != 2 {
		t.Fatalf("%d topics, %d projections, %d stores", len(r.Topics), len(r.Projections), len(r.Stores))
	}
	var all []string
	for _, p := range problems {
		all = append(all, p.String())
	}
	got := strings.Join(all, "\n")
	for _, want := range []string{
		`list.json:3:40: ReadStore reads: spec.postgres.secretRef.nme: there is no such field`,
		`spec.postgres.schema: a number does not go into a field of type string`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s\nis missing: %s", got, want)
		}
	}
}
