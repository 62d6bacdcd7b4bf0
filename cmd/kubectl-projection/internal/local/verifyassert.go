// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/rows"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/verify"
)

// AssertionReport is what became of an assertion of rollout.verify, in the form of -o json.
type AssertionReport struct {
	Name  string `json:"name"`
	Model string `json:"model"`
	Holds bool   `json:"holds"`
	// Tested counts the rows of the model, Broken those that do not meet it; one on the whole table has Values instead.
	Tested int64             `json:"tested"`
	Broken int64             `json:"broken"`
	Values map[string]string `json:"values,omitempty"`
	// Why says why it could not be evaluated.
	Why string `json:"why,omitempty"`
	// Rows are the first rows that do not meet it, with the canonical texts of their values by column; NULL is null.
	Rows []map[string]*string `json:"rows,omitempty"`

	view rows.View
	rows [][]value.Value
	over bool
}

func assertionsOf(models []VerifyModelReport, all []verify.Assertion) []AssertionReport {
	var out []AssertionReport
	for _, a := range all {
		r := AssertionReport{
			Name: a.Name, Model: a.Model, Holds: a.Holds(), Tested: a.Tested, Broken: a.Broken, Values: a.Values, Why: a.Why, rows: a.Rows, over: a.Over,
		}
		if a.Over {
			r.Broken = 0
		}
		if i := slices.IndexFunc(models, func(m VerifyModelReport) bool { return m.Name == a.Model }); i >= 0 {
			r.view = models[i].view
		}
		for _, row := range a.Rows {
			r.Rows = append(r.Rows, texts(&r.view, row))
		}
		out = append(out, r)
	}
	return out
}

func (r *AssertionReport) print(p *output.Printer) {
	text := p.Paint(output.Green, "holds")
	switch {
	case r.Holds && !r.over:
		text += " for " + count(r.Tested, "row")
	case r.Holds:
	case r.over:
		text = p.Paint(output.Red, "does not hold")
	default:
		text = p.Paint(output.Red, fmt.Sprintf("%s of %s of %s do not meet it", output.Group(r.Broken), count(r.Tested, "row"), r.Model))
	}
	p.Printf("  %s   %s", r.Name, text)
	if len(r.Values) > 0 {
		var values []string
		for _, name := range slices.Sorted(maps.Keys(r.Values)) {
			values = append(values, name+" "+r.Values[name])
		}
		p.Printf(": %s", strings.Join(values, ", "))
	}
	if r.Why != "" {
		p.Printf(" (%s)", r.Why)
	}
	p.Printf("\n")
	for _, row := range r.rows {
		p.Printf("    %s   %s\n", p.Paint(output.Bold, r.view.Key(row)), r.view.Rest(row))
	}
	if more := r.Broken - int64(len(r.rows)); !r.Holds && !r.over && more > 0 {
		p.Printf("    %s more; --limit shows them\n", output.Group(more))
	}
}
