// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"fmt"
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/change"
)

// rebuilt says what of a change needs a revision of its own, "" if nothing does.
func rebuilt(from, to *contract.Contract) string {
	var out []string
	for _, c := range change.Between(from, to).Reasons {
		if c.Rebuild {
			out = append(out, c.String())
		}
	}
	return limited(out, "; ")
}

// taken says what a switch from one contract to another takes from readers, "" if it takes nothing.
func taken(from, to *contract.Contract) string {
	var out []string
	for _, v := range change.Between(from, to).Views {
		if v.Dropped {
			out = append(out, "view "+v.Name)
		}
		for _, c := range v.Lost {
			out = append(out, "column "+v.Name+"."+c.Name)
		}
		for _, c := range v.Retyped {
			out = append(out, fmt.Sprintf("%s.%s as %s", v.Name, c.Name, c.From))
		}
	}
	return limited(out, ", ")
}

// limited says the first few of many.
func limited(all []string, between string) string {
	const limit = 3
	if more := len(all) - limit; more > 0 {
		all = append(slices.Clone(all[:limit]), fmt.Sprintf("and %d more", more))
	}
	return strings.Join(all, between)
}
