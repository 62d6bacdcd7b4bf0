// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package crd

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// maxCRDBytes keeps client-side apply working, which puts the whole object into
// an annotation of at most 256 KiB.
const maxCRDBytes = 200 << 10

func TestSize(t *testing.T) {
	for kind, crd := range readCRDs(t) {
		text, err := json.Marshal(crd)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > maxCRDBytes {
			t.Errorf("%s has %d bytes, more than %d: kubectl apply would be refused", kind, len(text), maxCRDBytes)
		}
	}
}

func TestNames(t *testing.T) {
	want := map[string]string{"EventBroker": "evb", "EventTopic": "evt", "ReadStore": "rstore", "Projection": "proj", "Replay": "rpl"}
	crds := readCRDs(t)
	if len(crds) != len(want) {
		t.Errorf("%d CRDs, want %d", len(crds), len(want))
	}
	for kind, short := range want {
		crd, ok := crds[kind]
		if !ok {
			t.Errorf("no CRD of %s", kind)
			continue
		}
		n := crd.Spec.Names
		if len(n.ShortNames) != 1 || n.ShortNames[0] != short || len(n.Categories) != 1 || n.Categories[0] != "cqrs" {
			t.Errorf("%s: short names %v, categories %v", kind, n.ShortNames, n.Categories)
		}
		if crd.Spec.Scope != apiextensionsv1.NamespaceScoped {
			t.Errorf("%s is not namespaced", kind)
		}
	}
}

// walk calls f for the schema and everything below it.
func walk(path string, s *apiextensionsv1.JSONSchemaProps, f func(path string, s *apiextensionsv1.JSONSchemaProps)) {
	f(path, s)
	for name := range s.Properties {
		p := s.Properties[name]
		walk(path+"."+name, &p, f)
	}
	if s.Items != nil && s.Items.Schema != nil {
		walk(path+"[]", s.Items.Schema, f)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
		walk(path+"{}", s.AdditionalProperties.Schema, f)
	}
}

// Every field explains itself in kubectl explain.
func TestDescriptions(t *testing.T) {
	const shortest = 20
	for kind, crd := range readCRDs(t) {
		walk(kind, crd.Spec.Versions[0].Schema.OpenAPIV3Schema, func(path string, s *apiextensionsv1.JSONSchemaProps) {
			// Elements of lists and maps are explained by their field, metadata by the API server.
			if strings.HasSuffix(path, "[]") || strings.HasSuffix(path, "{}") || path == kind+".metadata" {
				return
			}
			if len(s.Description) < shortest {
				t.Errorf("%s: description %q is shorter than %d characters", path, s.Description, shortest)
			}
		})
	}
}

// embedded are the types that belong to Kubernetes; their bounds are its own.
var embedded = []string{".affinity", ".resources", ".tolerations", ".conditions"}

func isEmbedded(path string) bool {
	for _, e := range embedded {
		if strings.Contains(path, e) {
			return true
		}
	}
	return false
}

// Every list, map and string of ours is bounded (Law 10), which is also what keeps CEL rules within their budget.
func TestBounds(t *testing.T) {
	for kind, crd := range readCRDs(t) {
		walk(kind, crd.Spec.Versions[0].Schema.OpenAPIV3Schema, func(path string, s *apiextensionsv1.JSONSchemaProps) {
			top := strings.Count(path, ".") == 1
			if isEmbedded(path) || (top && path != kind+".spec" && path != kind+".status") {
				return
			}
			switch {
			case s.Type == "string" && len(s.Enum) == 0 && s.Format != "date-time" && s.MaxLength == nil:
				t.Errorf("%s: no maxLength", path)
			case s.Type == "array" && s.MaxItems == nil:
				t.Errorf("%s: no maxItems", path)
			case s.Type == "object" && s.AdditionalProperties != nil && s.MaxProperties == nil:
				t.Errorf("%s: no maxProperties", path)
			case s.Type == "" && !s.XIntOrString:
				t.Errorf("%s: no type", path)
			}
			if s.Type == "array" && s.XListType == nil {
				t.Errorf("%s: no listType", path)
			}
			if s.XPreserveUnknownFields != nil {
				t.Errorf("%s: preserves unknown fields", path)
			}
		})
	}
}

// The oldest Kubernetes that we support is 1.30. It drops parts of a CRD that it
// does not know in silence, so they are looked for here: what came later in the
// schema, in versions and in the CEL library must not be used.
func TestOldestKubernetes(t *testing.T) {
	later := []string{
		"format.named", "isSorted2", // CEL's format library is of 1.32
		"semver(", "isSemver(", // 1.33 and later
		"cidr(", "ip(", "isIP(", "isCIDR(", // 1.31 as default
		"quantity.", "listutils", "twoVarComprehensions", "transformList(", "transformMap(",
	}
	for kind, crd := range readCRDs(t) {
		for _, v := range crd.Spec.Versions {
			if len(v.SelectableFields) > 0 {
				t.Errorf("%s: selectableFields came after 1.30", kind)
			}
			walk(kind, v.Schema.OpenAPIV3Schema, func(path string, s *apiextensionsv1.JSONSchemaProps) {
				for _, rule := range s.XValidations {
					if rule.OptionalOldSelf != nil {
						t.Errorf("%s: optionalOldSelf is not enabled everywhere in 1.30", path)
					}
					for _, l := range later {
						if strings.Contains(rule.Rule, l) {
							t.Errorf("%s: rule %q uses %s, which came after 1.30", path, rule.Rule, l)
						}
					}
				}
			})
		}
		// A schema of 1.30 knows these fields of a property; the type of today may know more.
		if n := reflect.TypeFor[apiextensionsv1.JSONSchemaProps]().NumField(); n != knownSchemaFields {
			t.Errorf("JSONSchemaProps has %d fields and not %d: see that no new one is used in CRDs, and count it in", n, knownSchemaFields)
		}
	}
}

// knownSchemaFields is the number of fields that a schema has had since 1.25 (x-kubernetes-validations).
const knownSchemaFields = 44

func TestScale(t *testing.T) {
	s := readCRDs(t)["Projection"].Spec.Versions[0].Subresources
	if s == nil || s.Scale == nil || s.Scale.SpecReplicasPath != ".spec.projector.replicas" ||
		s.Scale.StatusReplicasPath != ".status.replicas" || s.Scale.LabelSelectorPath == nil || *s.Scale.LabelSelectorPath != ".status.selector" {
		t.Errorf("scale: %+v", s)
	}
	for kind, crd := range readCRDs(t) {
		status := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["status"]
		if status.Default == nil || string(status.Default.Raw) != `{"observedGeneration":-1}` {
			t.Errorf("%s: a fresh object could be taken for a finished one: %v", kind, status.Default)
		}
	}
}

// Every field of a spec is on its kind's page.
func TestPagesNameEveryField(t *testing.T) {
	for kind, crd := range readCRDs(t) {
		text, err := os.ReadFile(filepath.Join(root, "docs/kinds", strings.ToLower(kind)+".md"))
		if err != nil {
			t.Fatal(err)
		}
		spec := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
		walk("", &spec, func(path string, _ *apiextensionsv1.JSONSchemaProps) {
			inside := false
			for _, e := range embedded {
				inside = inside || (strings.Contains(path, e) && !strings.HasSuffix(path, e))
			}
			if inside || path == "" || strings.HasSuffix(path, "[]") || strings.HasSuffix(path, "{}") {
				return
			}
			name := path[strings.LastIndexByte(path, '.')+1:]
			if !strings.Contains(string(text), "`"+name+"`") && !strings.Contains(string(text), "."+name+"`") {
				t.Errorf("the page of %s does not say what %s is", kind, path)
			}
		})
	}
}
