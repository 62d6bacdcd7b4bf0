// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/contract/expr"
)

// Severity says how bad a problem is.
type Severity string

// The severities. Only an Error refuses a spec.
const (
	Error  Severity = "error"
	Advice Severity = "advice"
)

// Reasons of problems, in CamelCase, fit for a condition.
const (
	// ReasonReferenceMissing: a resource that is referred to does not exist (yet).
	ReasonReferenceMissing = "ReferenceMissing"
	// ReasonInvalidSpec: the spec contradicts itself, or names what is not there.
	ReasonInvalidSpec = "InvalidSpec"
	// ReasonOrderNotGuaranteed: rows would depend on how partitions interleave.
	ReasonOrderNotGuaranteed = "OrderNotGuaranteed"
	// ReasonCompactedTopic: rows would depend on events that compaction removes.
	ReasonCompactedTopic = "CompactedTopic"
	// ReasonUnsupported: it means something, but not in this release.
	ReasonUnsupported = "Unsupported"
)

// Problem is one thing that is wrong with a spec.
type Problem struct {
	// Object is the resource whose spec it is about, as "EventTopic orders"; empty for the Projection itself.
	Object string
	// Path is the field's path below spec, for example models[order_summary].handlers[line-added].add.total.
	Path string
	// Reason is one of the Reason constants.
	Reason string
	// Message says what is wrong and how to fix it.
	Message  string
	Severity Severity
	// Column is the byte of the expression at Path that the problem is at, counted
	// from 1 over all its lines; 0 where it is about the whole, or about no expression.
	Column int
}

// String gives the problem in one line: object, path and message.
func (p Problem) String() string {
	var b strings.Builder
	if p.Object != "" {
		b.WriteString(p.Object)
		b.WriteString(": ")
	}
	if p.Path != "" {
		b.WriteString(p.Path)
		b.WriteString(": ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// Errors gives the problems that refuse the spec.
func Errors(ps []Problem) []Problem {
	return slices.DeleteFunc(slices.Clone(ps), func(p Problem) bool { return p.Severity != Error })
}

// summaryLimit bounds how many problems a condition's message spells out.
const summaryLimit = 5

// Summary gives reason and message for the condition SpecAccepted=False. Both
// are empty when no problem is an Error. A reference that is missing is the
// reason only when nothing else is wrong, since waiting may mend it.
func Summary(ps []Problem) (reason, message string) {
	errs := Errors(ps)
	if len(errs) == 0 {
		return "", ""
	}
	reason = errs[0].Reason
	for _, p := range errs {
		if p.Reason != ReasonReferenceMissing {
			reason = p.Reason
			break
		}
	}
	var lines []string
	for i, p := range errs {
		if i == summaryLimit {
			lines = append(lines, fmt.Sprintf("(%d more)", len(errs)-i))
			break
		}
		lines = append(lines, p.String())
	}
	return reason, strings.Join(lines, "\n")
}

func sortProblems(ps []Problem) []Problem {
	slices.SortFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.Object, b.Object),
			cmp.Compare(a.Path, b.Path), cmp.Compare(a.Message, b.Message))
	})
	return slices.Compact(ps)
}

// reporter collects problems about one object.
type reporter struct {
	object   string
	problems *[]Problem
}

func (r reporter) add(severity Severity, reason, path, format string, args ...any) {
	*r.problems = append(*r.problems, Problem{
		Object: r.object, Path: path, Reason: reason, Message: fmt.Sprintf(format, args...), Severity: severity,
	})
}

func (r reporter) invalid(path, format string, args ...any) {
	r.add(Error, ReasonInvalidSpec, path, format, args...)
}

func (r reporter) advise(path, format string, args ...any) {
	r.add(Advice, ReasonInvalidSpec, path, format, args...)
}

// refuse reports an expression that does not compile; hint follows what CEL says.
func (r reporter) refuse(path, source string, err *expr.Error, hint string) {
	*r.problems = append(*r.problems, Problem{
		Object: r.object, Path: path, Reason: ReasonInvalidSpec, Message: err.Error() + hint, Severity: Error,
		Column: byteColumn(source, err.Line, err.Column),
	})
}

// byteColumn turns a line and a column in characters, both from 1, into a byte of the source, from 1.
func byteColumn(source string, line, column int) int {
	rest := source
	for ; line > 1; line-- {
		end := strings.IndexByte(rest, '\n')
		if end < 0 {
			break
		}
		rest = rest[end+1:]
	}
	before := len(source) - len(rest)
	for i := range rest {
		if column--; column <= 0 {
			return before + i + 1
		}
	}
	return len(source) + 1
}
