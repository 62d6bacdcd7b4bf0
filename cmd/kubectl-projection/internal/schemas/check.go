// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package schemas

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	metavalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
)

// Refusal is one thing for which an API server refuses a resource.
type Refusal struct {
	// Path is the field's path from the top, with the numbers of list items: spec.models[0].key.
	Path string
	// Message says what is wrong, Fix what to do.
	Message string
	Fix     string
	// Type is what kind of mistake it is; field.ErrorTypeForbidden is a field that does not exist.
	Type field.ErrorType
	// Meant is the path of the field that was probably meant by one that does not exist; empty where none is near.
	Meant string
}

// Check gives what an API server refuses in a resource. It fills in the defaults of the schema.
func (s *Schema) Check(obj map[string]any) []Refusal {
	c := &checker{Schema: s, obj: obj}
	c.unknown()
	defaulting.PruneNonNullableNullsWithoutDefaults(obj, s.structural)
	defaulting.Default(obj, s.structural)
	c.metadata()
	c.add(validation.ValidateCustomResource(nil, obj, s.openAPI))
	c.add(listtype.ValidateListSetsAndMaps(nil, s.structural, obj))
	// The server evaluates no rule where something more basic is wrong, and here the part that is right is checked.
	basic := len(c.found)
	errs, _ := s.rules.Validate(context.Background(), nil, s.structural, obj, nil, celconfig.RuntimeCELCostBudget)
	for _, e := range errs {
		if !strings.Contains(e.Detail, " evaluating rule: ") && !inside(c.found[:basic], e.Field) {
			c.rule(e)
		}
	}
	return c.found
}

// inside tells whether one of the refusals is of a field below the path, about which a rule may therefore be mistaken.
func inside(found []Refusal, path string) bool {
	return slices.ContainsFunc(found, func(r Refusal) bool {
		return path != "<nil>" && strings.HasPrefix(r.Path, path) || r.Path == path
	})
}

type checker struct {
	*Schema
	obj   map[string]any
	found []Refusal
}

func (c *checker) refuse(t field.ErrorType, path, fix, format string, args ...any) {
	r := Refusal{Path: path, Message: fmt.Sprintf(format, args...), Fix: fix, Type: t}
	if !slices.ContainsFunc(c.found, func(o Refusal) bool { return o.Path == r.Path && (o.Message == r.Message || o.Type == t) }) {
		c.found = append(c.found, r)
	}
}

// unknown finds fields that do not exist; kubectl apply refuses them since it asks for strict validation.
func (c *checker) unknown() {
	paths := pruning.PruneWithOptions(c.obj, c.structural, true, schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	_, _, meta, err := objectmeta.GetObjectMetaWithOptions(c.obj, objectmeta.ObjectMetaOptions{ReturnUnknownFieldPaths: true})
	if err == nil {
		paths = append(paths, meta...)
	}
	slices.Sort(paths)
	for _, path := range paths {
		fix, meant := c.suggest(path)
		c.refuse(field.ErrorTypeForbidden, path, fix, "there is no field %s here", last(path))
		c.found[len(c.found)-1].Meant = meant
	}
}

func (c *checker) metadata() {
	const path = "metadata"
	m, found, err := objectmeta.GetObjectMeta(c.obj, false)
	switch {
	case err != nil:
		c.refuse(field.ErrorTypeTypeInvalid, path, "", "%s", errors.Unwrap(err))
	case !found:
		c.refuse(field.ErrorTypeRequired, path, "give the resource a name: metadata: {name: ...}", "metadata is required")
	default:
		for _, e := range metavalidation.ValidateObjectMeta(m, false, metavalidation.NameIsDNSSubdomain, field.NewPath(path)) {
			// A namespace is not a field of the file alone: kubectl -n gives one.
			if e.Type == field.ErrorTypeForbidden && e.Field == path+".namespace" {
				continue
			}
			if e.Field == path+".name" && e.Type == field.ErrorTypeRequired {
				c.refuse(e.Type, e.Field, "write metadata: {name: ...}", "the resource has no name")
				continue
			}
			if e.Field == path+".name" && e.Type == field.ErrorTypeInvalid {
				c.refuse(e.Type, e.Field, nameFix(m.Name), "this is no name of a resource: lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit")
				continue
			}
			c.refuse(e.Type, e.Field, "", "%s", e.Detail)
		}
	}
}

// nameFix gives the name that is nearest to what was written.
func nameFix(name string) string {
	better := strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '.':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		default:
			return '-'
		}
	}, name), "-.")
	if better == "" {
		return ""
	}
	return "for example: " + better
}

func (c *checker) add(errs field.ErrorList) {
	for _, e := range errs {
		node := c.at(e.Field)
		if node.exampleText() == "" && strings.HasSuffix(e.Field, "]") {
			// An item of a list is described by its list.
			node.Description = c.at(e.Field[:strings.LastIndexByte(e.Field, '[')]).Description
		}
		fix := node.example()
		switch e.Type {
		case field.ErrorTypeRequired:
			if slices.ContainsFunc(c.found, func(r Refusal) bool { return r.Meant == e.Field }) {
				continue // it is there, under a wrong name
			}
			c.refuse(e.Type, e.Field, fix, "%s is required", last(e.Field))
		case field.ErrorTypeTypeInvalid, field.ErrorTypeInvalid:
			c.invalid(e, node)
		case field.ErrorTypeNotSupported:
			c.notSupported(e, node)
		case field.ErrorTypeDuplicate:
			c.duplicate(e, node)
		case field.ErrorTypeTooLong:
			c.refuse(e.Type, e.Field, "shorten it", "the text is too long: at most %d characters", deref(node.MaxLength))
		case field.ErrorTypeTooMany:
			c.refuse(e.Type, e.Field, "leave some out, or spread them over several", "there are too many of them: at most %d", deref(node.MaxItems)+deref(node.MaxProperties))
		default:
			c.refuse(e.Type, e.Field, fix, "%s", e.Detail)
		}
	}
}

// kinds are how people call the types of JSON.
var kinds = map[string]string{
	"string": "a text", "integer": "a whole number", "number": "a number", "boolean": "true or false", "array": "a list", "object": "a map",
	"null": "nothing",
}

func (c *checker) invalid(e *field.Error, n node) {
	given, _ := e.BadValue.(string)
	switch {
	case strings.Contains(e.Detail, "must be an object for an array of list-type map"):
		return // that an item is no map is said already
	case strings.Contains(e.Detail, "must be of type "):
		c.refuse(field.ErrorTypeTypeInvalid, e.Field, typeFix(n, given), "%s must be %s, and is %s", last(e.Field), kinds[n.Type], kindOf(given))
	case strings.Contains(e.Detail, "should match"):
		c.refuse(e.Type, e.Field, n.example(), "%s does not have the form of %s: %s", last(e.Field), noun(n), patternText(n.Pattern))
	case strings.Contains(e.Detail, "at least 1 chars long"):
		c.refuse(e.Type, e.Field, n.example(), "%s is empty", last(e.Field))
	case strings.Contains(e.Detail, "chars long"):
		c.refuse(e.Type, e.Field, n.example(), "%s is too short: at least %d characters", last(e.Field), deref(n.MinLength))
	case strings.Contains(e.Detail, "should have at least"):
		c.refuse(e.Type, e.Field, "give a member, or leave the field out", "%s is empty", last(e.Field))
	case strings.Contains(e.Detail, "greater than or equal"):
		c.refuse(e.Type, e.Field, fmt.Sprintf("write %v or more", deref(n.Minimum)), "%s is too small", last(e.Field))
	case strings.Contains(e.Detail, "less than or equal"):
		c.refuse(e.Type, e.Field, fmt.Sprintf("write %v or less", deref(n.Maximum)), "%s is too great", last(e.Field))
	default:
		c.refuse(e.Type, e.Field, n.example(), "%s", strings.TrimPrefix(e.Detail, e.Field+" in body "))
	}
}

func kindOf(given string) string {
	if k, ok := kinds[given]; ok {
		return k
	}
	return given
}

// FixQuote is the fix of a text that YAML takes as a number or as true or false.
const FixQuote = "put it in quotes"

func typeFix(n node, given string) string {
	switch {
	case n.Type == "string" && (given == "number" || given == "integer" || given == "boolean"):
		return FixQuote
	case n.Type == "array" && given == "string":
		return "write a list, with brackets around it" + orExample(n)
	case n.Type == "integer" && given == "string", n.Type == "boolean" && given == "string":
		return "take the quotes away"
	default:
		return n.example()
	}
}

func orExample(n node) string {
	if e := n.exampleText(); e != "" {
		return ": " + e
	}
	return ""
}

func (c *checker) notSupported(e *field.Error, n node) {
	var values []string
	for _, v := range n.enum() {
		values = append(values, v)
	}
	fix := "write one of " + strings.Join(values, ", ")
	if v, ok := e.BadValue.(string); ok {
		if near := Nearest(v, values); near != "" {
			fix = fmt.Sprintf("did you mean %s? Allowed are %s", near, strings.Join(values, ", "))
		}
	}
	c.refuse(e.Type, e.Field, fix, "%s has a value that is not allowed", last(e.Field))
}

func (c *checker) duplicate(e *field.Error, n node) {
	m, ok := e.BadValue.(map[string]any)
	if !ok {
		c.refuse(e.Type, e.Field, "remove one", "%v is in the list twice", e.BadValue)
		return
	}
	if len(m) == 0 {
		return // neither has what tells them apart, which is said already
	}
	var keys []string
	for k, v := range m {
		keys = append(keys, fmt.Sprintf("%s %v", k, v))
	}
	slices.Sort(keys)
	c.refuse(e.Type, e.Field, "give one of them another name, or remove it", "there are two with the %s", strings.Join(keys, ", "))
}

func (c *checker) rule(e *field.Error) {
	path := e.Field
	if path == "<nil>" {
		path = "metadata.name" // the only rules at the top are those of the name, the one field of metadata that a rule can see
	}
	message, fix, found := strings.Cut(e.Detail, ": ")
	if !found {
		message, fix = e.Detail, c.at(path).example()
	}
	if word, _, _ := strings.Cut(e.Detail, " "); slices.Contains([]string{"give", "set", "use"}, word) {
		message, fix = "the fields here do not go together", e.Detail
	}
	c.refuse(e.Type, path, fix, "%s", message)
}

// listItem finds a path that ends with the number of a list's item, and the list's name.
var listItem = regexp.MustCompile(`([A-Za-z]+)\[[0-9]+\]$`)

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// last gives the last name of a path; for an item of a list, what the item is.
func last(path string) string {
	if m := listItem.FindStringSubmatch(path); m != nil {
		return "an item of " + m[1]
	}
	if i := strings.LastIndexAny(path, ".["); i >= 0 {
		return strings.TrimSuffix(path[i+1:], "]")
	}
	return path
}
