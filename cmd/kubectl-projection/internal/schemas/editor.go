// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package schemas

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
)

// draft is the JSON Schema that editors know best.
const draft = "http://json-schema.org/draft-07/schema#"

// AnyFile is the file of the schema that knows all kinds, for files that hold several.
const AnyFile = "any.json"

// EditorFiles gives the JSON Schemas for editors by file name: one per kind, and one for all.
func EditorFiles() (map[string][]byte, error) {
	out := map[string][]byte{}
	var branches []any
	for _, kind := range Kinds {
		props, err := load(kind)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kind, err)
		}
		file := strings.ToLower(kind) + ".json"
		if out[file], err = render(editorRoot(kind, props)); err != nil {
			return nil, err
		}
		branches = append(branches, map[string]any{
			"if":   map[string]any{"properties": map[string]any{"kind": map[string]any{"const": kind}}, "required": []string{"kind"}},
			"then": map[string]any{"$ref": file},
		})
	}
	all := map[string]any{
		"$schema": draft, "title": "A resource of " + v1alpha1.GroupName, "type": "object", "allOf": branches,
		"required": []string{"apiVersion", "kind", "metadata"},
		"properties": map[string]any{
			"apiVersion": map[string]any{"const": v1alpha1.GroupVersion.String()},
			"kind":       map[string]any{"enum": Kinds},
		},
	}
	var err error
	out[AnyFile], err = render(all)
	return out, err
}

func render(v any) ([]byte, error) {
	data, err := json.MarshalIndent(v, "", "  ")
	return append(data, '\n'), err
}

// editorRoot makes the schema of a whole resource. Metadata is left open: its fields are Kubernetes' own.
func editorRoot(kind string, props *apiextensionsv1.JSONSchemaProps) map[string]any {
	s := editor(props)
	s["$schema"], s["title"] = draft, kind
	properties := s["properties"].(map[string]any)
	properties["apiVersion"] = map[string]any{"const": v1alpha1.GroupVersion.String(), "description": "The version of the API."}
	properties["kind"] = map[string]any{"const": kind, "description": "The kind of the resource."}
	if kind != kindProjectionTest {
		properties["metadata"] = map[string]any{
			"type": "object", "required": []string{"name"}, "description": "Standard object metadata: name, namespace, labels, annotations.",
			"properties": map[string]any{"name": map[string]any{"type": "string", "description": "The name of the resource, unique in its namespace."}},
		}
	}
	required := []string{"apiVersion", "kind", "metadata"}
	for _, name := range props.Required {
		if !slices.Contains(required, name) {
			required = append(required, name)
		}
	}
	s["required"] = required
	return s
}

// editor turns a schema of a CRD into JSON Schema. Objects with fields take no others, as kubectl apply refuses them.
func editor(p *apiextensionsv1.JSONSchemaProps) map[string]any {
	s := map[string]any{}
	set := func(key string, value any, given bool) {
		if given {
			s[key] = value
		}
	}
	set("description", strings.Join(strings.Fields(p.Description), " "), p.Description != "")
	set("type", p.Type, p.Type != "")
	set("pattern", p.Pattern, p.Pattern != "")
	set("minimum", p.Minimum, p.Minimum != nil)
	set("maximum", p.Maximum, p.Maximum != nil)
	set("minLength", p.MinLength, p.MinLength != nil)
	set("maxLength", p.MaxLength, p.MaxLength != nil)
	set("minItems", p.MinItems, p.MinItems != nil)
	set("maxItems", p.MaxItems, p.MaxItems != nil)
	set("minProperties", p.MinProperties, p.MinProperties != nil)
	set("maxProperties", p.MaxProperties, p.MaxProperties != nil)
	set("enum", p.Enum, len(p.Enum) > 0)
	set("required", p.Required, len(p.Required) > 0)
	set("uniqueItems", true, p.XListType != nil && *p.XListType == "set")
	if p.Default != nil {
		s["default"] = p.Default
	}
	if p.XIntOrString {
		delete(s, "type")
		s["anyOf"] = []any{map[string]any{"type": "integer"}, map[string]any{"type": "string"}}
	}
	if len(p.Properties) > 0 {
		properties := map[string]any{}
		for name := range p.Properties {
			v := p.Properties[name]
			properties[name] = editor(&v)
		}
		s["properties"] = properties
		set("additionalProperties", false, p.XPreserveUnknownFields == nil)
	}
	if p.AdditionalProperties != nil && p.AdditionalProperties.Schema != nil {
		s["additionalProperties"] = editor(p.AdditionalProperties.Schema)
	}
	if p.Items != nil && p.Items.Schema != nil {
		s["items"] = editor(p.Items.Schema)
	}
	return s
}
