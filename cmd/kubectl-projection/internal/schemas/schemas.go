// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package schemas

import (
	_ "embed" // the schema of ProjectionTest
	"fmt"
	"strings"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/config/crd"
)

// Kinds are the kinds that have a schema, in the order in which people meet them. The last is known to the command line
// alone: there is no CRD of it.
var Kinds = []string{"EventBroker", "EventTopic", "ReadStore", "Projection", "Replay", kindProjectionTest}

const kindProjectionTest = "ProjectionTest"

//go:embed projectiontest.yaml
var projectionTest []byte

// Schema is the schema of one kind.
type Schema struct {
	props      *apiextensionsv1.JSONSchemaProps
	structural *schema.Structural
	openAPI    validation.SchemaValidator
	rules      *cel.Validator
}

var (
	mu    sync.Mutex
	known = map[string]*Schema{}
)

// For gives the schema of a kind. An error is one of this program: the CRDs in it are broken, or the kind has none.
func For(kind string) (*Schema, error) {
	mu.Lock()
	defer mu.Unlock()
	if s, ok := known[kind]; ok {
		return s, nil
	}
	s, err := read(kind)
	if err != nil {
		return nil, fmt.Errorf("the schema of %s: %w", kind, err)
	}
	known[kind] = s
	return s, nil
}

// load reads the schema as it was generated.
func load(kind string) (*apiextensionsv1.JSONSchemaProps, error) {
	if kind == kindProjectionTest {
		props := &apiextensionsv1.JSONSchemaProps{}
		return props, yaml.UnmarshalStrict(projectionTest, props)
	}
	data, err := crd.Bases.ReadFile(fmt.Sprintf("bases/%s_%ss.yaml", v1alpha1.GroupName, strings.ToLower(kind)))
	if err != nil {
		return nil, err
	}
	var d apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(data, &d); err != nil {
		return nil, err
	}
	return d.Spec.Versions[0].Schema.OpenAPIV3Schema, nil
}

func read(kind string) (*Schema, error) {
	props, err := load(kind)
	if err != nil {
		return nil, err
	}
	s := &Schema{props: props}
	var in apiextensions.JSONSchemaProps
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(s.props, &in, nil); err != nil {
		return nil, err
	}
	if s.structural, err = schema.NewStructural(&in); err != nil {
		return nil, err
	}
	if s.openAPI, _, err = validation.NewSchemaValidator(&in); err != nil {
		return nil, err
	}
	s.rules = cel.NewValidator(s.structural, true, celconfig.PerCallLimit)
	return s, nil
}
