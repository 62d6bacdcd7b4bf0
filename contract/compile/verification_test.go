// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"reflect"
	"testing"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
)

// TestVerifyProblems: a verification that stands elsewhere is held against the models of the spec, and nothing else is said.
func TestVerifyProblems(t *testing.T) {
	assertions := func(all ...v1alpha1.Assertion) *v1alpha1.Verify { return &v1alpha1.Verify{Assertions: all} }
	for name, c := range map[string]struct {
		edit []string
		spec *v1alpha1.Verify
		want []string
	}{
		"none":           {nil, nil, nil},
		"every row":      {nil, &v1alpha1.Verify{}, nil},
		"right":          {nil, assertions(v1alpha1.Assertion{Name: "a", Model: "product", Row: "row.sku != ''"}, v1alpha1.Assertion{Name: "b", Model: "mixed", All: "count > 1"}), nil},
		"nothing at all": {nil, &v1alpha1.Verify{Sample: "0%"}, []string{"verify: with sample: 0% and no assertion nothing is verified; raise sample, add an assertion, or remove verify"}},
		"no such column": {nil, assertions(v1alpha1.Assertion{Name: "a", Model: "product", Row: "row.prize > 0"}),
			[]string{"verify.assertions[a].row: column 1: there is no column prize in the row (did you mean row.price?); there are sku, price, title, version"}},
		"no such model": {nil, assertions(v1alpha1.Assertion{Name: "a", Model: "products", All: "count > 1"}),
			[]string{"verify.assertions[a].model: there is no model products; use one of level, product, mixed"}},
		"the projection's own does not matter": {[]string{"row.price == null", "row.prize == null"}, &v1alpha1.Verify{}, nil},
		"a spec that is refused":               {[]string{"    add: {seen: \"1\"}", "    add: {sean: \"1\"}"}, assertions(v1alpha1.Assertion{Name: "a", Model: "products", All: "count > 1"}), nil},
	} {
		t.Run(name, func(t *testing.T) {
			in := wholeInput(t, c.edit...)
			own := in.Projection.Spec.Rollout.Verify
			var got []string
			for _, p := range VerifyProblems(in, c.spec) {
				got = append(got, p.String())
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
			if in.Projection.Spec.Rollout.Verify != own {
				t.Error("the projection was changed")
			}
		})
	}
}
