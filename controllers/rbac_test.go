// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	sigsyaml "sigs.k8s.io/yaml"
)

// role is a Role or ClusterRole of the generated YAML.
type role struct {
	Kind               string `json:"kind"`
	rbacv1.ClusterRole `json:",inline"`
}

// documents are all YAML documents of a file.
func documents(t *testing.T, path string) [][]byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	reader := yaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(data)))
	var out [][]byte
	buffer := make([]byte, 4<<20)
	for {
		n, err := reader.Read(buffer)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		out = append(out, bytes.Clone(buffer[:n]))
	}
}

func roles(t *testing.T, paths ...string) map[string]role {
	t.Helper()
	out := map[string]role{}
	for _, path := range paths {
		for _, doc := range documents(t, path) {
			var r role
			if err := sigsyaml.Unmarshal(doc, &r); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			if r.Kind == "Role" || r.Kind == "ClusterRole" {
				out[path+"/"+r.Name] = r
			}
		}
	}
	return out
}

// No rule of any role in any install reads Secrets, holds a wildcard, or lets
// rights grow (Law 7).
func TestRolesAreSmall(t *testing.T) {
	paths := []string{filepath.Join("..", "dist", "install.yaml")}
	err := filepath.WalkDir(filepath.Join("..", "config", "rbac"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".yaml") {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	found := roles(t, paths...)
	if len(found) < 10 {
		t.Fatalf("only %d roles were found", len(found))
	}
	forbiddenResources := []string{"secrets", "pods/exec", "pods/attach", "pods/portforward", "pods/proxy", "serviceaccounts/token", "nodes/proxy"}
	forbiddenVerbs := []string{"bind", "escalate", "impersonate"}
	for name, r := range found {
		for _, rule := range r.Rules {
			for _, list := range [][]string{rule.APIGroups, rule.Resources, rule.Verbs, rule.NonResourceURLs} {
				for _, s := range list {
					if strings.Contains(s, "*") {
						t.Errorf("%s has the wildcard %q", name, s)
					}
				}
			}
			for _, s := range rule.Resources {
				if slices.Contains(forbiddenResources, s) || slices.Contains(rule.APIGroups, "rbac.authorization.k8s.io") {
					t.Errorf("%s has a rule on %s of %v", name, s, rule.APIGroups)
				}
			}
			for _, v := range rule.Verbs {
				if slices.Contains(forbiddenVerbs, v) {
					t.Errorf("%s may %s", name, v)
				}
			}
		}
	}
}

// Whoever may only view sees no resource that names Secrets.
func TestViewSeesNoBrokersAndStores(t *testing.T) {
	for name, r := range roles(t, filepath.Join("..", "dist", "install.yaml")) {
		if r.Labels["rbac.authorization.k8s.io/aggregate-to-view"] != "true" {
			continue
		}
		for _, rule := range r.Rules {
			for _, s := range rule.Resources {
				if strings.HasPrefix(s, "eventbrokers") || strings.HasPrefix(s, "readstores") {
					t.Errorf("%s shows %s", name, s)
				}
			}
			for _, v := range rule.Verbs {
				if v != "get" && v != "list" && v != "watch" {
					t.Errorf("%s may %s", name, v)
				}
			}
		}
	}
}

// The operator's namespace enforces the restricted Pod Security Standard.
func TestNamespaceIsRestricted(t *testing.T) {
	for _, doc := range documents(t, filepath.Join("..", "dist", "install.yaml")) {
		var ns corev1.Namespace
		if err := sigsyaml.Unmarshal(doc, &ns); err != nil || ns.Kind != "Namespace" {
			continue
		}
		if got := ns.Labels["pod-security.kubernetes.io/enforce"]; got != "restricted" {
			t.Errorf("namespace %s enforces %q", ns.Name, got)
		}
		return
	}
	t.Error("there is no Namespace")
}
