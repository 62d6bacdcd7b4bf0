// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"cmp"
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/expr"
)

// The CRD's defaults of rollout.verify, for specs that never saw an API server.
const (
	defaultSample                = "100%"
	defaultVerifyDeadlineSeconds = 3600
)

// Verification gives how a projection's revisions are to be verified, nil where they are not. Whether its assertions
// are right is among the problems that Compile finds.
func Verification(p *v1alpha1.Projection) *contract.Verification {
	return VerificationBy(p.Spec.Rollout.Verify)
}

// VerificationBy gives how a revision is to be verified, nil where it is not.
func VerificationBy(spec *v1alpha1.Verify) *contract.Verification {
	if spec == nil {
		return nil
	}
	out := &contract.Verification{
		Sample:          cmp.Or(spec.Sample, defaultSample),
		DeadlineSeconds: cmp.Or(spec.DeadlineSeconds, defaultVerifyDeadlineSeconds),
	}
	for _, a := range spec.Assertions {
		out.Assertions = append(out.Assertions, contract.Assertion{Name: a.Name, Model: a.Model, Row: string(a.Row), All: string(a.All)})
	}
	return out
}

// VerifyPath is where a Projection says how its revisions are verified, below its spec.
const VerifyPath = "rollout.verify"

// VerifyProblems says what is wrong with a verification of a projection's revisions that stands somewhere else, in place of
// the projection's own: paths begin with verify. Of a projection that is refused itself it says nothing, since the models are not known.
func VerifyProblems(in Input, spec *v1alpha1.Verify) []Problem {
	in.Projection = in.Projection.DeepCopy()
	in.Projection.Spec.Rollout.Verify = spec
	_, all := Compile(in)
	out := Errors(all)
	for i := range out {
		below, ok := strings.CutPrefix(out[i].Path, VerifyPath)
		if !ok || out[i].Object != "" {
			return nil
		}
		out[i].Path = "verify" + below
	}
	return out
}

// verification checks how revisions are to be verified.
func (c *compiler) verification(models []*model) {
	v := Verification(c.in.Projection)
	if v == nil {
		return
	}
	const path = VerifyPath
	switch buckets, ok := contract.SampleBuckets(v.Sample); {
	case !ok:
		c.invalid(path+".sample", "%q is not a share of the keys; write it as 1%% or 0.5%%", v.Sample)
	case buckets == 0 && len(v.Assertions) == 0:
		c.invalid(path, "with sample: 0%% and no assertion nothing is verified; raise sample, add an assertion, or remove verify")
	}
	for i := range v.Assertions {
		a := &v.Assertions[i]
		if slices.ContainsFunc(v.Assertions[:i], func(o contract.Assertion) bool { return o.Name == a.Name }) {
			c.invalid(a.Path(), "there are two assertions of this name; rename one")
			continue
		}
		m := slices.IndexFunc(models, func(m *model) bool { return m.out.Name == a.Model })
		switch {
		case m < 0:
			var names []string
			for _, o := range models {
				names = append(names, o.out.Name)
			}
			c.invalid(a.Path()+".model", "there is no model %s; use one of %s", a.Model, strings.Join(names, ", "))
		case (a.Row == "") == (a.All == ""):
			c.invalid(a.Path(), "an assertion has either row, which every row meets, or all, which the table as a whole meets; write one of them")
		case a.Row != "":
			models[m].checkCheck(a.Path()+".row", a.Row)
		default:
			models[m].checkAll(a.Path()+".all", a.All)
		}
	}
}

// checkAll checks a condition over all rows of the model.
func (m *model) checkAll(path, source string) {
	variables, of := expr.TableColumns(m.row(true))
	p, err := expr.Compile(source, expr.Options{Scope: expr.ScopeTable, Row: variables})
	switch {
	case m.untyped():
	case err != nil:
		m.refuse(path, source, err, "")
	case p.Type() != expr.TypeBool && p.Type() != expr.TypeDyn:
		m.invalid(path, "the expression is of type %s, and a condition must be a bool; write a comparison", p.Type())
	case p.IsConstant():
		m.invalid(path, "the condition reads nothing of the table, so that it holds always or never; use count, or a sum, min or max")
	default:
		for i, a := range of {
			if a.Column < 0 || !p.Uses(variables[i].Name) {
				continue
			}
			if col := &m.out.Columns[a.Column]; col.Native != "" {
				m.invalid(path, "%s cannot be read: the database keeps the column as %s, whose text may be another one than what was written; keep a second column without native",
					variables[i].Name, col.Native)
			}
		}
	}
}
