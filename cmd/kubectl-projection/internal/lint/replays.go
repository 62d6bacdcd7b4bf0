// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/manifests"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/schemas"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/compile"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/keyreplay"
)

// reasonBadRequest is the reason of a Replay whose keys are none of its Projection's.
const reasonBadRequest = "BadRequest"

// replays asks of Replays what the operator and its Job would ask, by the Projection among the files.
func (l *linter) replays() {
	for _, o := range l.set.Objects {
		if o.Kind != manifests.KindReplay || l.doubtful(o, "spec.projectionRef") {
			continue
		}
		r := new(v1alpha1.Replay)
		// What does not decode was refused by the schema.
		_ = o.Decode(r)
		p, err := l.workspace.Projection(filepath.Dir(o.File.Name), o.Namespace, r.Spec.ProjectionRef.Name)
		switch {
		case err != nil && p.Object == nil && !l.named(o, r.Spec.ProjectionRef.Name):
			l.compiled(o, nil, l.orphan(r.Spec.ProjectionRef.Name))
			continue
		case err != nil:
			l.field(o, "spec.projectionRef.name", false, Finding{
				Severity: Error, Reason: ReasonNameTaken, Message: "a name that it refers to is not clear: " + err.Error(), Fix: "or name fewer files",
			})
			continue
		}
		around := l.workspace.Around(p)
		c, problems := compile.Compile(around.Input)
		if c == nil || len(compile.Errors(problems)) > 0 || len(l.refused[p.Object]) > 0 {
			continue // That is said where it stands.
		}
		l.keys(o, r, c)
		l.verify(o, r, around.Input)
		l.start(o, r, p, c)
	}
}

// orphan is what there is to say of a Replay whose Projection is not among the files. It is made once, long after its
// Projection's file, and often linted alone: where there is no Projection at all, nothing is wrong.
func (l *linter) orphan(projection string) compile.Problem {
	out := compile.Problem{
		Path: "projectionRef", Reason: compile.ReasonReferenceMissing, Severity: compile.Error,
		Message: fmt.Sprintf("there is no Projection %q in this namespace; create it, or correct the name", projection),
	}
	if len(l.workspace.Projections) == 0 {
		out.Severity = compile.Advice
		out.Message = fmt.Sprintf("what it asks of Projection %q is not checked, which is not among the files", projection)
	}
	return out
}

// doubtful tells whether something about a field, or below it, was said already.
func (l *linter) doubtful(o *manifests.Object, path string) bool {
	return l.settled(o, path) || l.open(o, path)
}

// named tells whether there is a Projection of a name that an object may refer to.
func (l *linter) named(o *manifests.Object, name string) bool {
	return slices.ContainsFunc(l.workspace.Projections, func(p manifests.Of[v1alpha1.Projection]) bool {
		return p.Name == name && manifests.SameNamespace(p.Namespace, o.Namespace)
	})
}

// keys checks whose rows are made anew.
func (l *linter) keys(o *manifests.Object, r *v1alpha1.Replay, c *contract.Contract) {
	if len(r.Spec.Keys.Values) == 0 || l.doubtful(o, "spec.keys") {
		return
	}
	models, err := fold.ModelsOf(c)
	if err != nil {
		return // The compiler has accepted it.
	}
	of := r.Spec.Keys.Model
	m := slices.IndexFunc(models, func(m fold.Model) bool { return m.Name == of })
	if m < 0 {
		names := make([]string, len(models))
		for i := range models {
			names[i] = models[i].Name
		}
		fix := "use one of " + strings.Join(names, ", ")
		if near := schemas.Nearest(of, names); near != "" {
			fix = "did you mean " + near + "?"
		}
		l.field(o, "spec.keys.model", false, Finding{
			Severity: Error, Reason: reasonBadRequest, Message: fmt.Sprintf("Projection %s has no model %q", c.Projection.Name, of), Fix: fix,
		})
		return
	}
	if c.Models[m].Order != "" {
		l.field(o, "spec.keys.model", false, Finding{
			Severity: Error, Reason: keyreplay.ReasonOrderArrival,
			Message: "the model has order: Arrival, so that its rows depend on which of two events is read first, and the log read once more may give others",
			Fix:     "rebuild everything, without keys",
		})
		return
	}
	for i, text := range r.Spec.Keys.Values {
		if _, err := keyreplay.ParseKey(&models[m], text); err != nil {
			message, fix := split(err.Error())
			if fix == "" {
				fix = "write the value as text, or the values of all key columns, in their order, as a JSON array"
			}
			l.field(o, fmt.Sprintf("spec.keys.values[%d]", i), false, Finding{Severity: Error, Reason: reasonBadRequest, Message: message, Fix: fix})
		}
	}
}

// verify checks how what it builds is verified.
func (l *linter) verify(o *manifests.Object, r *v1alpha1.Replay, in compile.Input) {
	if r.Spec.Verify == nil || l.doubtful(o, "spec.verify") {
		return
	}
	for _, problem := range compile.VerifyProblems(in, r.Spec.Verify) {
		l.compiled(o, nil, problem)
	}
}

// start checks whether it can begin elsewhere than with the earliest events, as far as that does not need broker and clock.
func (l *linter) start(o *manifests.Object, r *v1alpha1.Replay, p manifests.Of[v1alpha1.Projection], c *contract.Contract) {
	from := &r.Spec.From
	if from.Time == nil && len(from.Positions) == 0 || l.doubtful(o, "spec.from") {
		return
	}
	for i := range from.Positions {
		topic := from.Positions[i].Topic
		if slices.ContainsFunc(c.Topics, func(t contract.Topic) bool { return t.Name == topic }) {
			continue
		}
		var names []string
		for j := range c.Topics {
			names = append(names, c.Topics[j].Name)
		}
		l.field(o, fmt.Sprintf("spec.from.positions[%d].topic", i), false, Finding{
			Severity: Error, Reason: compile.ReasonStartNotPossible,
			Message: fmt.Sprintf("Projection %s reads no topic %s", c.Projection.Name, topic), Fix: "name one of " + strings.Join(names, ", "),
		})
	}
	refusals := compile.StartRefusals(c)
	if len(refusals) == 0 {
		return
	}
	path := "spec.from.time"
	if from.Time == nil {
		path = "spec.from.positions"
	}
	first := refusals[0]
	what, fix := split(first.Message)
	message := fmt.Sprintf("rows of Projection %s would be wrong: %s (%s): %s", c.Projection.Name, first.Path, p.Spec(first.Path).Key, what)
	if more := len(refusals) - 1; more > 0 {
		message += fmt.Sprintf("; and %s more", output.Count(more, "reason"))
	}
	l.field(o, path, false, Finding{Severity: Error, Reason: compile.ReasonStartNotPossible, Message: message, Fix: fix})
}
