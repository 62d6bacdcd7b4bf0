// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"cmp"
	"slices"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/manifests"
)

// Severity says how bad a finding is.
type Severity string

// The severities, the worse first.
const (
	Error  Severity = "error"
	Advice Severity = "advice"
)

// Reasons of findings that no package below gives one.
const (
	// ReasonSyntax: the file is not YAML, or not as it seems.
	ReasonSyntax = "Syntax"
	// ReasonRefused: the API server refuses the resource.
	ReasonRefused = "Refused"
	// ReasonNameTaken: two resources have one name, or write one table.
	ReasonNameTaken = "NameTaken"
)

// Finding is one thing that is wrong, or could be better. Its JSON form is stable: fields are added, never changed.
type Finding struct {
	manifests.Position
	// Length is how many characters from Position on are concerned, at least 1.
	Length   int      `json:"length"`
	Severity Severity `json:"severity"`
	// Object is the resource as "EventTopic orders"; empty where the file does not say.
	Object string `json:"object,omitempty"`
	// Path is the field's path below spec, or from the top for other fields.
	Path string `json:"path,omitempty"`
	// Reason is in CamelCase: Syntax, Refused, NameTaken, or one of contract/compile (ReferenceMissing, InvalidSpec, ...).
	Reason string `json:"reason"`
	// Message says what is wrong, Fix what to do.
	Message string `json:"message"`
	Fix     string `json:"fix,omitempty"`

	// source is the line of the file, for the screen.
	source string
}

// Report is the answer of lint. Its JSON form is stable: fields are added, never changed.
type Report struct {
	// Files is how many files hold resources of the group, Resources how many there are.
	Files     int       `json:"files"`
	Resources int       `json:"resources"`
	Errors    int       `json:"errors"`
	Advice    int       `json:"advice"`
	Findings  []Finding `json:"findings"`
}

// finish sorts the findings, drops those that are there twice, and counts.
func (r *Report) finish() {
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column), cmp.Compare(a.Message, b.Message))
	})
	r.Findings = slices.CompactFunc(r.Findings, func(a, b Finding) bool {
		return a.Position == b.Position && a.Path == b.Path && a.Message == b.Message
	})
	r.Errors, r.Advice = 0, 0
	for _, f := range r.Findings {
		if f.Severity == Error {
			r.Errors++
		} else {
			r.Advice++
		}
	}
	if r.Findings == nil {
		r.Findings = []Finding{}
	}
}
