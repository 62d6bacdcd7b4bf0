// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/interpreter"
	"github.com/valyala/fastjson"
)

// nullable is how CEL writes the type of a column that may be NULL.
var nullable = regexp.MustCompile(`wrapper\(([^()]*(?:\([^()]*\))?)\)`)

var noOverload = regexp.MustCompile(`found no matching overload for '([^']*)' applied to '([^']*)'`)

// firstIssue gives the first compile error in words.
func (v *vocabulary) firstIssue(iss *cel.Issues) *Error {
	e := iss.Errors()[0]
	msg := nullable.ReplaceAllString(strings.ReplaceAll(e.Message, " (in container '')", ""), "$1")
	switch {
	case strings.HasPrefix(msg, "undeclared reference to 'row'"):
		msg = "there is no variable row; " + v.help()
	case strings.HasPrefix(msg, "undeclared reference to"):
		msg += "; " + v.help()
	default:
		if m := noOverload.FindStringSubmatch(msg); m != nil {
			name := m[1]
			if op, ok := operators.FindReverse(name); ok && op != "" {
				name = op
			}
			msg = fmt.Sprintf("%s does not work on %s; convert an operand with int(...), decimal(...) or string(...)", name, m[2])
		}
	}
	line, col := e.Location.Line(), e.Location.Column()+1
	if line < 1 {
		line, col = 1, 1
	}
	return &Error{line, col, msg}
}

func planMessage(err error) string { return fmt.Sprintf("the expression cannot be planned: %v", err) }

// evalCEL evaluates in CEL.
func (p *Program) evalCEL(a *Activation) (any, *Failure) {
	a.program = p
	v, _, err := p.prg.Eval(a)
	if err != nil {
		return nil, p.explain(err, a)
	}
	out, f := fromCEL(v)
	if f != nil {
		return nil, f
	}
	return out, nil
}

// failureOf keeps our own failures and drops the text of any other error: it may
// quote a value.
func failureOf(err error) *Failure {
	var f *Failure
	if errors.As(err, &f) {
		return f
	}
	return nil
}

// failureOrUnusable is failureOf with a Failure for every error.
func failureOrUnusable(err error) *Failure {
	if f := failureOf(err); f != nil {
		return f
	}
	return failf("an operand cannot be converted or used")
}

// explain turns an error of CEL into a Failure. CEL's own text is looked at, and
// never passed on: it quotes values.
func (p *Program) explain(err error, a *Activation) *Failure {
	if f := failureOf(err); f != nil {
		return f
	}
	var cancelled interpreter.EvalCancelledError
	msg := err.Error()
	switch {
	case errors.As(err, &cancelled) || strings.Contains(msg, "cost limit exceeded"):
		return failf("the expression takes more than %d steps on this event", costLimit)
	case strings.HasPrefix(msg, "no such key") || strings.HasPrefix(msg, "no such attribute"):
		if f := p.missing(a); f != nil {
			return f
		}
		return failf("a field that the expression reads is missing")
	case strings.HasPrefix(msg, "index out of bounds"):
		return failf("an index is outside of its list")
	case strings.HasPrefix(msg, "no such overload"):
		if f := p.blame(err, a); f != nil {
			return f
		}
		return failf("an operation does not work on the types that this event has")
	case strings.Contains(msg, "by zero"):
		return failf("a division by zero")
	case strings.Contains(msg, "overflow") || strings.Contains(msg, "range"):
		return failf("a number or time is out of range")
	case strings.Contains(msg, "optional.none"):
		return failf("an optional without a value is read")
	default:
		if f := p.blame(err, a); f != nil {
			return f
		}
		return failf("an operand cannot be converted or used")
	}
}

// missing finds the first path of the expression that leads nowhere.
func (p *Program) missing(a *Activation) *Failure {
	for _, path := range p.vocabulary.staticPaths(p.ast.NativeRep().Expr()) {
		if _, f := a.follow(path, len(path.names)); f != nil {
			return f
		}
	}
	return nil
}

// blame says what the operands of the call that failed are, where they are paths.
func (p *Program) blame(err error, a *Activation) *Failure {
	var e *types.Err
	if !errors.As(err, &e) {
		return nil
	}
	var found *Failure
	ast.PreOrderVisit(p.ast.NativeRep().Expr(), ast.NewExprVisitor(func(n ast.Expr) {
		if found != nil || n.Kind() != ast.CallKind || n.ID() != e.NodeID() {
			return
		}
		args := children(n)
		var parts []string
		for _, arg := range args {
			path, ok := p.vocabulary.pathOf(arg)
			if !ok {
				continue
			}
			if v, f := a.follow(path, len(path.names)); f == nil {
				parts = append(parts, path.String()+" is "+describeJSON(v))
			}
		}
		name := n.AsCall().FunctionName()
		if op, ok := operators.FindReverse(name); ok && op != "" {
			name = op
		}
		if len(parts) > 0 {
			found = failf("%s does not work where %s", name, strings.Join(parts, " and "))
		} else {
			found = failf("%s does not work on the operands that this event has", name)
		}
	}))
	return found
}

func describeJSON(v *fastjson.Value) string {
	if v == nil {
		return "null"
	}
	switch v.Type() {
	case fastjson.TypeNull:
		return "null"
	case fastjson.TypeString:
		return "a string"
	case fastjson.TypeNumber:
		return "a number"
	case fastjson.TypeObject:
		return "an object"
	case fastjson.TypeArray:
		return "a list"
	default:
		return "a bool"
	}
}
