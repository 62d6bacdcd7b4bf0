// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/manifests"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/ptest"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/schemas"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/workspace"
	"github.com/projectionist-dev/projectionist/contract/compile"
)

// Run checks the resources of a set. The error is one of this program.
func Run(set *manifests.Set) (*Report, error) {
	l := &linter{set: set, report: &Report{Files: len(set.Files), Resources: len(set.Objects)}, refused: map[*manifests.Object][]string{}}
	for _, p := range set.Problems {
		l.problem(p, ReasonSyntax)
	}
	l.taken()
	for _, o := range set.Objects {
		if err := l.admit(o); err != nil {
			return nil, err
		}
	}
	// What does not decode was refused by the schema, with better words.
	l.workspace = workspace.New(set)
	l.tables()
	l.compile()
	l.replays()
	l.tests()
	l.report.finish()
	return l.report, nil
}

type linter struct {
	set       *manifests.Set
	workspace *workspace.Workspace
	report    *Report
	// refused are the paths (with names of list items) that nothing more is said about, by object.
	refused map[*manifests.Object][]string
}

func (l *linter) add(f Finding) { l.report.Findings = append(l.report.Findings, f) }

func (l *linter) problem(p manifests.Problem, reason string) {
	l.add(Finding{
		Position: p.Position, Length: 1, Severity: Error, Object: p.Object, Path: below(p.Path), Reason: reason,
		Message: p.Message, Fix: p.Fix, source: l.source(p.Position),
	})
	if p.In != nil {
		l.refused[p.In] = append(l.refused[p.In], scope(p.Path))
	}
}

func (l *linter) source(p manifests.Position) string {
	for _, f := range l.set.Files {
		if f.Name == p.File {
			return f.Line(p.Line)
		}
	}
	return ""
}

// field makes a finding about a field, pointing at its name or at its value.
func (l *linter) field(o *manifests.Object, path string, atKey bool, f Finding) {
	f.Position, f.Length = pointAt(o.Locate(path), atKey)
	f.Object, f.Path = o.String(), below(o.Named(path))
	f.source = o.File.Line(f.Line)
	l.add(f)
}

// pointAt gives the position that shows a field best: its value where that is text, the name of an item of a list, or
// its own name.
func pointAt(place manifests.Place, atKey bool) (manifests.Position, int) {
	switch {
	case place.Found && !atKey && place.Text() != "":
		return place.Inside(0)
	case place.Key == place.Value && place.Name() != nil:
		return place.Name().Inside(0)
	case place.Found && !atKey && place.Flow():
		return place.Value, 1
	default:
		return place.Key, place.KeyLength()
	}
}

// below gives a path as people and contract/compile write it: from spec on.
func below(path string) string { return strings.TrimPrefix(path, "spec.") }

// admit asks the API server's code about one resource.
func (l *linter) admit(o *manifests.Object) error {
	if !slices.Contains(schemas.Kinds, o.Kind) {
		l.unknownKind(o)
		return nil
	}
	if want := v1alpha1.GroupVersion.String(); o.APIVersion != want {
		l.field(o, "apiVersion", false, Finding{
			Severity: Error, Reason: ReasonRefused, Message: "this release has no such version", Fix: "write apiVersion: " + want,
		})
		l.refused[o] = append(l.refused[o], "")
		return nil
	}
	s, err := schemas.For(o.Kind)
	if err != nil {
		return err
	}
	var obj map[string]any
	if err := json.Unmarshal(o.JSON, &obj); err != nil {
		return fmt.Errorf("%s: %w", o.Locate("").Key, err)
	}
	for _, r := range s.Check(obj) {
		if r.Type == field.ErrorTypeForbidden && l.better(o, r) {
			continue
		}
		if r.Type == field.ErrorTypeRequired && o.Locate(r.Path).Found {
			r.Message = r.Path[strings.LastIndexByte(r.Path, '.')+1:] + " has no value"
		}
		atKey := r.Type == field.ErrorTypeForbidden || r.Type == field.ErrorTypeRequired
		l.field(o, r.Path, atKey, Finding{Severity: Error, Reason: ReasonRefused, Message: r.Message, Fix: l.quoted(o, r)})
		l.refused[o] = append(l.refused[o], reach(r, o.Named(r.Path)))
		if r.Meant != "" {
			l.refused[o] = append(l.refused[o], scope(o.Named(r.Meant)))
		}
	}
	if l.open(o, "spec.topics") {
		// Handlers are checked against the topics.
		l.refused[o] = append(l.refused[o], "spec.models")
	}
	return nil
}

// better takes an unknown field and a key that YAML misread together: one mistake, two complaints.
func (l *linter) better(o *manifests.Object, r schemas.Refusal) bool {
	at := o.Locate(r.Path).Key
	for i := range l.report.Findings {
		if f := &l.report.Findings[i]; f.Position == at && f.Reason == ReasonSyntax {
			f.Message, f.Fix = f.Message+", and the API has no such field", r.Fix
			return true
		}
	}
	return false
}

// quoted says what YAML made of a text that is not one to YAML.
func (l *linter) quoted(o *manifests.Object, r schemas.Refusal) string {
	text := o.Locate(r.Path).Text()
	if r.Type != field.ErrorTypeTypeInvalid || r.Fix != schemas.FixQuote || text == "" {
		return r.Fix
	}
	return fmt.Sprintf("%s: %q", r.Fix, text)
}

func (l *linter) unknownKind(o *manifests.Object) {
	fix := "the kinds are " + strings.Join(schemas.Kinds, ", ")
	if near := schemas.Nearest(o.Kind, schemas.Kinds); near != "" {
		fix = "did you mean " + near + "?"
	}
	l.field(o, "kind", false, Finding{Severity: Error, Reason: ReasonRefused, Message: "there is no such kind in " + v1alpha1.GroupName, Fix: fix})
}

// reach gives what a refusal makes doubtful: the field alone where its value is wrong and of the right type.
func reach(r schemas.Refusal, path string) string {
	switch r.Type {
	case field.ErrorTypeNotSupported, field.ErrorTypeInvalid, field.ErrorTypeTooLong:
		return path
	case field.ErrorTypeTypeInvalid:
		if r.Fix == schemas.FixQuote {
			return path
		}
	}
	return scope(path)
}

// scope widens the path of a refused field to all that depends on it: the handler for a field of one, the model for
// other fields of one.
func scope(path string) string {
	for _, end := range []string{".handlers[", "models["} {
		if i := strings.Index(path, end); i >= 0 {
			if j := strings.IndexByte(path[i+len(end):], ']'); j >= 0 {
				return path[:i+len(end)+j+1]
			}
		}
	}
	return path
}

// settled tells whether something was said already about a field, or about what it depends on.
func (l *linter) settled(o *manifests.Object, path string) bool {
	return slices.ContainsFunc(l.refused[o], func(refused string) bool {
		rest, ok := strings.CutPrefix(path, refused)
		return ok && (rest == "" || refused == "" || rest[0] == '.' || rest[0] == '[')
	})
}

// open tells whether something below a field was refused already.
func (l *linter) open(o *manifests.Object, path string) bool {
	return slices.ContainsFunc(l.refused[o], func(refused string) bool { return strings.HasPrefix(refused, path) })
}

// tests checks ProjectionTests as far as nothing runs.
func (l *linter) tests() {
	for _, o := range l.set.Objects {
		if o.Kind != manifests.KindProjectionTest || len(l.refused[o]) > 0 {
			continue
		}
		t, problems := ptest.Load(o)
		for _, p := range problems {
			l.problem(p, compile.ReasonInvalidSpec)
		}
		if _, err := l.workspace.Projection(t.Dir(), t.Metadata.Namespace, t.Spec.Projection); err != nil {
			message, fix := split(err.Error())
			if near := schemas.Nearest(t.Spec.Projection, l.names(manifests.KindProjection)); near != "" {
				fix = "did you mean " + near + "? Otherwise " + fix
			}
			l.field(o, "spec.projection", false, Finding{Severity: Error, Reason: compile.ReasonReferenceMissing, Message: message, Fix: fix})
		}
	}
}

// compile asks the compiler about every projection, and about every topic.
func (l *linter) compile() {
	used := map[*manifests.Object]bool{}
	for _, p := range l.workspace.Projections {
		around := l.workspace.Around(p)
		_, problems := compile.Compile(around.Input)
		for _, err := range around.Ambiguous {
			l.field(p.Object, "metadata.name", false, Finding{
				Severity: Error, Reason: ReasonNameTaken, Message: "a name that it refers to is not clear: " + err.Error(), Fix: "or name fewer files",
			})
		}
		for _, problem := range problems {
			l.compiled(p.Object, around.Objects, problem)
		}
		for _, o := range around.Objects {
			used[o] = true
		}
	}
	for _, t := range l.workspace.Topics {
		var broker *v1alpha1.EventBroker
		if b, n, _ := l.workspace.Broker(t); n == 1 {
			broker = b.Value
		}
		for _, problem := range compile.CheckTopic(t.Value, broker) {
			l.compiled(t.Object, nil, problem)
		}
		if name := t.Value.Spec.BrokerRef.Name; broker == nil && name != "" && !used[t.Object] {
			l.compiled(t.Object, nil, compile.Problem{
				Path: "brokerRef", Reason: compile.ReasonReferenceMissing, Severity: compile.Error,
				Message: fmt.Sprintf("there is no EventBroker %q in this namespace; create it, or correct the name", name),
			})
		}
	}
}

// compiled takes a problem of the compiler, about the object itself or one of those that it refers to.
func (l *linter) compiled(o *manifests.Object, around map[string]*manifests.Object, p compile.Problem) {
	if other := around[p.Object]; other != nil {
		o = other
	}
	path := specPath(p.Path)
	if p.Reason == compile.ReasonReferenceMissing && strings.Contains(p.Message, `""`) {
		return // a reference without a name, of which the schema has told
	}
	if l.settled(o, o.Named(path)) || p.Reason == compile.ReasonReferenceMissing && l.open(o, o.Named(path)) ||
		p.Severity == compile.Advice && l.open(o, modelOf(path)) {
		return
	}
	message, fix := split(p.Message)
	text := o.Locate(path).Text()
	if p.Column > 0 && p.Column <= len(text)+1 {
		p.Column = wordStart(text, p.Column)
		message, fix = expressionHint(message, fix, text, p.Column, o.Locate(path).Quoted())
	}
	if fix == "" && strings.HasPrefix(message, "type mismatch") {
		fix = "correct the expression, or the column's type"
	}
	if s, err := schemas.For(o.Kind); err == nil && fix == "" && p.Severity == compile.Error {
		fix = s.Example(path)
	}
	if near := nearType(message); near != "" {
		fix = "did you mean " + near + "? " + capital(fix)
	}
	if near := l.nearColumn(o, path, message); near != "" {
		fix = "did you mean " + near + "? Otherwise " + fix
	}
	f := Finding{Severity: Severity(p.Severity), Reason: p.Reason, Message: message, Fix: fix}
	if p.Reason == compile.ReasonReferenceMissing {
		path, f.Fix = l.missing(o, path, fix)
	}
	if at, _ := pointAt(o.Locate(path), false); l.refusedAt(at) {
		return
	}
	l.field(o, path, false, f)
	if p.Column > 0 {
		l.pointInto(o, path, p.Column)
	}
}

// refusedAt tells whether the API server, too, says something about the place.
func (l *linter) refusedAt(at manifests.Position) bool {
	return slices.ContainsFunc(l.report.Findings, func(f Finding) bool { return f.Position == at && f.Reason == ReasonRefused })
}

// modelOf gives the path of the model that a field is in, or its own.
func modelOf(path string) string {
	if i := strings.IndexByte(path, ']'); i >= 0 && strings.HasPrefix(path, "spec.models[") {
		return path[:i+1]
	}
	return path
}

func specPath(path string) string {
	if path == "" {
		return "spec"
	}
	return "spec." + path
}
