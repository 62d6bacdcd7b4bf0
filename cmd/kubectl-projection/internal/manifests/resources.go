// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	k8sjson "sigs.k8s.io/json"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
)

// Of is a resource with the object that it was read from.
type Of[T any] struct {
	*Object
	Value *T
}

// Resources are the resources of a set by kind, in the order of the files.
type Resources struct {
	Brokers     []Of[v1alpha1.EventBroker]
	Topics      []Of[v1alpha1.EventTopic]
	Stores      []Of[v1alpha1.ReadStore]
	Projections []Of[v1alpha1.Projection]
}

// Resources decodes the objects of the API's kinds. An object with problems is decoded as far as it goes.
func (s *Set) Resources() (Resources, []Problem) {
	var r Resources
	var problems []Problem
	for _, o := range s.Objects {
		switch o.Kind {
		case KindEventBroker:
			r.Brokers = decoded(r.Brokers, o, &problems)
		case KindEventTopic:
			r.Topics = decoded(r.Topics, o, &problems)
		case KindReadStore:
			r.Stores = decoded(r.Stores, o, &problems)
		case KindProjection:
			r.Projections = decoded(r.Projections, o, &problems)
		}
	}
	return r, problems
}

func decoded[T any](to []Of[T], o *Object, problems *[]Problem) []Of[T] {
	v := Of[T]{Object: o, Value: new(T)}
	*problems = append(*problems, o.Decode(v.Value)...)
	return append(to, v)
}

// SameNamespace tells whether two namespaces of manifests may be one: an empty one is given when they are applied.
func SameNamespace(a, b string) bool { return a == b || a == "" || b == "" }

// Decode fills a Go value with the object. Fields that the value does not have, and values of another type, are problems.
func (o *Object) Decode(into any) []Problem {
	strict, err := k8sjson.UnmarshalStrict(o.JSON, into)
	var problems []Problem
	if err != nil {
		problems = append(problems, o.typeProblem(err))
	}
	for _, e := range strict {
		problems = append(problems, o.unknownProblem(e))
	}
	return problems
}

// Problem gives a problem of the field at a path.
func (o *Object) Problem(path, fix, format string, args ...any) Problem {
	return Problem{
		Position: o.Locate(path).Key, Object: o.String(), In: o, Path: o.Named(path), Message: fmt.Sprintf(format, args...), Fix: fix,
	}
}

// unknownField is how sigs.k8s.io/json says it; it has no type for it.
var unknownField = regexp.MustCompile(`^unknown field "(.*)"$`)

func (o *Object) unknownProblem(err error) Problem {
	if m := unknownField.FindStringSubmatch(err.Error()); m != nil {
		return o.Problem(m[1], "correct the name, or remove the field", "there is no such field")
	}
	return o.Problem("", "", "%s", err)
}

func (o *Object) typeProblem(err error) Problem {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		want := wrong.Type.Kind().String()
		if strings.HasPrefix(wrong.Value, "number ") {
			wrong.Value = "number"
		}
		return o.Problem(wrong.Field, "", "a %s does not go into a field of type %s", wrong.Value, want)
	}
	return o.Problem("", "", "%s", err)
}
