// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// MaxSchemaBytes bounds the text of a schema.
const MaxSchemaBytes = 1 << 20

// Schema is what is known about payloads, for checks. It is immutable.
type Schema struct {
	typ Type // TypeDyn where nothing is known; numbers that need not be integers are TypeDecimal
	// enum are the strings that there are; nil: any.
	enum []string
	// properties are the members of an object that are listed.
	properties map[string]*Schema
	// closed objects have no other members; others are what additional says, which may be nil.
	closed     bool
	additional *Schema
	// vague is set where more is said about members than is read here.
	vague bool
	items *Schema
}

// ParseSchema reads a JSON Schema (drafts 4 to 2020-12). It takes from it type,
// properties, additionalProperties, items, enum, allOf, and of oneOf and anyOf what
// their alternatives have in common; what is said otherwise is not known to be so.
// $ref may refer to the schema itself only: nothing is loaded.
func ParseSchema(text string) (*Schema, error) {
	if len(text) > MaxSchemaBytes {
		return nil, fmt.Errorf("the schema is longer than %d bytes", MaxSchemaBytes)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return nil, errors.New("the schema is not JSON")
	}
	const name = "schema:///event"
	c := jsonschema.NewCompiler()
	c.UseLoader(noLoader{})
	c.UseRegexpEngine(func(s string) (jsonschema.Regexp, error) { return &anyPattern{s}, nil })
	if err := c.AddResource(name, doc); err != nil {
		return nil, fmt.Errorf("the schema is not a JSON Schema: %w", err)
	}
	compiled, err := c.Compile(name)
	if err != nil {
		var load *jsonschema.LoadURLError
		if errors.As(err, &load) {
			return nil, fmt.Errorf("the schema refers to %s: only references within the schema ($ref: '#/...') are followed; put what it refers to into $defs", load.URL)
		}
		return nil, fmt.Errorf("the schema is not a JSON Schema: %w", err)
	}
	return schemaReader{}.read(compiled), nil
}

// noLoader keeps schemas from reading files and the network.
type noLoader struct{}

// Load implements jsonschema.URLLoader.
func (noLoader) Load(string) (any, error) { return nil, errors.New("not loaded") }

// anyPattern stands for a pattern, which nothing here matches: patterns of JSON
// Schema are ECMAScript's.
type anyPattern struct{ s string }

// MatchString implements jsonschema.Regexp.
func (*anyPattern) MatchString(string) bool { return true }

// String implements jsonschema.Regexp.
func (p *anyPattern) String() string { return p.s }

// schemaReader remembers what it has read: schemas may be recursive.
type schemaReader map[*jsonschema.Schema]*Schema

func (r schemaReader) read(s *jsonschema.Schema) *Schema {
	if s == nil {
		return &Schema{typ: TypeDyn}
	}
	if known, ok := r[s]; ok {
		return known
	}
	out := &Schema{typ: TypeDyn}
	r[s] = out
	var all []*jsonschema.Schema
	conjuncts(s, &all)
	var types []string
	for _, c := range all {
		types = narrowed(types, typesOf(c))
		out.vague = out.vague || c.Not != nil || c.If != nil || len(c.PatternProperties) > 0 || c.UnevaluatedProperties != nil ||
			len(c.DependentSchemas) > 0 || len(c.Dependencies) > 0 || c.DynamicRef != nil || c.RecursiveRef != nil
		if len(c.Properties) > 0 {
			types = narrowed(types, []string{"object", "null"})
		}
		r.members(out, c)
		if out.items == nil {
			out.items = r.itemsOf(c)
		}
		if out.enum == nil && c.Enum != nil {
			out.enum = stringsOf(c.Enum.Values)
		}
	}
	out.typ = typeOfJSON(types)
	// What one part forbids is forbidden; what another part lists is let pass all the same.
	out.closed = out.closed && !out.vague
	for _, c := range all {
		r.alternatives(out, append(slices.Clone(c.OneOf), c.AnyOf...))
	}
	return out
}

// conjuncts lists what holds together: a schema, what it refers to, and its allOf.
func conjuncts(s *jsonschema.Schema, out *[]*jsonschema.Schema) {
	if s == nil || slices.Contains(*out, s) {
		return
	}
	if s.Ref != nil && s.Types == nil && len(s.Properties) == 0 && len(s.AllOf) == 0 {
		conjuncts(s.Ref, out)
		return
	}
	*out = append(*out, s)
	conjuncts(s.Ref, out)
	for _, c := range s.AllOf {
		conjuncts(c, out)
	}
}

func typesOf(s *jsonschema.Schema) []string {
	switch {
	case s.Types != nil:
		return s.Types.ToStrings()
	case s.Enum != nil && stringsOf(s.Enum.Values) != nil:
		return []string{"string", "null"}
	}
	return nil
}

// narrowed is what two lists of types allow; nil is any.
func narrowed(a, b []string) []string {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	out := []string{}
	for _, t := range a {
		if slices.Contains(b, t) || t == "integer" && slices.Contains(b, "number") {
			out = append(out, t)
		} else if t == "number" && slices.Contains(b, "integer") {
			out = append(out, "integer")
		}
	}
	return out
}

func typeOfJSON(types []string) Type {
	types = slices.DeleteFunc(slices.Clone(types), func(t string) bool { return t == "null" })
	if slices.Contains(types, "number") {
		types = slices.DeleteFunc(types, func(t string) bool { return t == "integer" })
	}
	if len(types) != 1 {
		return TypeDyn
	}
	return map[string]Type{
		"string": TypeString, "boolean": TypeBool, "integer": TypeInt, "number": TypeDecimal, "array": TypeList, "object": TypeMap,
	}[types[0]]
}

// stringsOf gives the strings of an enum, nil where there is anything else but null.
func stringsOf(values []any) []string {
	var out []string
	for _, v := range values {
		s, ok := v.(string)
		if !ok && v != nil {
			return nil
		}
		if ok {
			out = append(out, s)
		}
	}
	return out
}

func (r schemaReader) members(out *Schema, c *jsonschema.Schema) {
	for name, p := range c.Properties {
		if out.properties == nil {
			out.properties = map[string]*Schema{}
		}
		if out.properties[name] == nil {
			out.properties[name] = r.read(p)
		}
	}
	switch x := c.AdditionalProperties.(type) {
	case bool:
		out.closed = out.closed || !x
	case *jsonschema.Schema:
		if out.additional == nil {
			out.additional = r.read(x)
		}
	}
}

func (r schemaReader) itemsOf(c *jsonschema.Schema) *Schema {
	if len(c.PrefixItems) > 0 {
		return nil
	}
	if c.Items2020 != nil {
		return r.read(c.Items2020)
	}
	if s, ok := c.Items.(*jsonschema.Schema); ok {
		return r.read(s)
	}
	return nil
}

// alternatives takes what oneOf and anyOf have in common: nearly always it is one
// schema or null.
func (r schemaReader) alternatives(out *Schema, of []*jsonschema.Schema) {
	var alts []*Schema
	for _, s := range of {
		if s.Types != nil && slices.Equal(s.Types.ToStrings(), []string{"null"}) {
			continue
		}
		alts = append(alts, r.read(s))
	}
	switch {
	case len(of) == 0:
	case len(alts) == 1 && out.typ == TypeDyn && out.properties == nil:
		*out = *alts[0]
	default:
		out.vague, out.closed = true, false
		if out.typ == TypeDyn && len(alts) > 0 && !slices.ContainsFunc(alts, func(a *Schema) bool { return a.typ != alts[0].typ }) {
			out.typ = alts[0].typ
		}
	}
}

// membership is what a schema says about a member's being there.
type membership uint8

const (
	// possible members are listed, or the schema allows any.
	possible membership = iota
	// unlisted members are allowed, but others are listed.
	unlisted
	// forbidden members cannot be there.
	forbidden
)

// member gives the schema of a member.
func (s *Schema) member(name string) (*Schema, membership) {
	if m, ok := s.properties[name]; ok {
		return m, possible
	}
	switch {
	case s.closed:
		return nil, forbidden
	case s.additional != nil:
		return s.additional, possible
	case s.vague || len(s.properties) == 0:
		return &Schema{typ: TypeDyn}, possible
	}
	return &Schema{typ: TypeDyn}, unlisted
}

func (s *Schema) names() []string { return slices.Sorted(maps.Keys(s.properties)) }

// Elements is what is known of the elements of a forEach over such a value: of a
// list its elements, of an object one object with key and value. nil if nothing is known.
func (s *Schema) Elements() *Schema {
	switch {
	case s.typ == TypeList && s.items != nil:
		return s.items
	case s.typ == TypeMap:
		of := s.additional
		if of == nil || len(s.properties) > 0 {
			of = &Schema{typ: TypeDyn}
		}
		return &Schema{typ: TypeMap, closed: true, properties: map[string]*Schema{"key": {typ: TypeString}, "value": of}}
	}
	return nil
}
