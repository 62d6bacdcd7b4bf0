// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Command typeschema writes the OpenAPI schema of one Go type as YAML, from the
// same comments and markers from which controller-gen makes CRDs: for kinds that
// are never applied to a cluster.
//
//	typeschema -any Key,Value ./some/package Type
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"golang.org/x/tools/go/packages"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/controller-tools/pkg/crd"
	crdmarkers "sigs.k8s.io/controller-tools/pkg/crd/markers"
	"sigs.k8s.io/controller-tools/pkg/loader"
	"sigs.k8s.io/controller-tools/pkg/markers"
	"sigs.k8s.io/yaml"
)

func main() {
	any := flag.String("any", "", "names of types of the package that decode themselves, from any value")
	flag.Parse()
	if flag.NArg() != 2 {
		fmt.Fprintln(os.Stderr, "usage: typeschema [-any TYPE,...] PACKAGE TYPE")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), flag.Arg(1), strings.Split(*any, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "typeschema:", err)
		os.Exit(1)
	}
}

func run(path, name string, opaque []string) error {
	roots, err := loader.LoadRoots(path)
	if err != nil {
		return err
	}
	registry := &markers.Registry{}
	if err := crdmarkers.Register(registry); err != nil {
		return err
	}
	yes := true
	anything := apiextensionsv1.JSONSchemaProps{XPreserveUnknownFields: &yes}
	p := &crd.Parser{
		Collector: &markers.Collector{Registry: registry}, Checker: &loader.TypeChecker{},
		PackageOverrides: map[string]crd.PackageOverride{"encoding/json": func(p *crd.Parser, pkg *loader.Package) {
			p.Schemata[crd.TypeIdent{Name: "RawMessage", Package: pkg}] = anything
		}},
	}
	crd.AddKnownTypes(p)
	pkg := roots[0]
	p.NeedPackage(pkg)
	for _, o := range opaque {
		p.Schemata[crd.TypeIdent{Package: pkg, Name: o}] = anything
	}
	t := crd.TypeIdent{Package: pkg, Name: name}
	p.NeedFlattenedSchemaFor(t)
	if loader.PrintErrors(roots, packages.TypeError) {
		return fmt.Errorf("%s.%s has no schema", path, name)
	}
	schema := p.FlattenedSchemata[t]
	crd.EditSchema(&schema, untyped{})
	data, err := yaml.Marshal(schema)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(data)
	return err
}

// untyped takes the type of the Go type behind it away from a field that takes any value.
type untyped struct{}

func (v untyped) Visit(s *apiextensionsv1.JSONSchemaProps) crd.SchemaVisitor {
	if s != nil && s.XPreserveUnknownFields != nil && len(s.Properties) == 0 {
		s.Type = ""
	}
	return v
}
