// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"fmt"
	"regexp"
	"regexp/syntax"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// maxPatternSteps bounds one search: the bytes of the text times the steps of the pattern.
const maxPatternSteps = 100_000_000

// patternDeclarations are find and findAll of the Kubernetes libraries. own binds
// them, as their patterns, which must be literals, are compiled once.
func patternDeclarations() []cel.EnvOption {
	return []cel.EnvOption{
		cel.Function("find", cel.MemberOverload("string_find_string", []*cel.Type{cel.StringType, cel.StringType}, cel.StringType)),
		cel.Function("findAll",
			cel.MemberOverload("string_find_all_string", []*cel.Type{cel.StringType, cel.StringType}, cel.ListType(cel.StringType)),
			cel.MemberOverload("string_find_all_string_int", []*cel.Type{cel.StringType, cel.StringType, cel.IntType}, cel.ListType(cel.StringType))),
	}
}

func isPatternFunc(name string) bool { return name == "find" || name == "findAll" }

// patternRule refuses patterns of find and findAll that are no literals, or are too large.
func patternRule(a *ast.AST) *Error {
	var failed *Error
	walk(a.Expr(), func(e, _ ast.Expr, _ *binding) bool {
		if failed != nil || e.Kind() != ast.CallKind || !isPatternFunc(e.AsCall().FunctionName()) || len(e.AsCall().Args()) == 0 {
			return failed == nil
		}
		arg := e.AsCall().Args()[0]
		line, col := place(a, arg.ID())
		pattern, ok := types.String(""), arg.Kind() == ast.LiteralKind
		if ok {
			pattern, ok = arg.AsLiteral().(types.String)
		}
		if !ok {
			failed = &Error{line, col, "the pattern of " + e.AsCall().FunctionName() + " is not a literal: patterns are compiled with the expression"}
		} else if _, _, err := compilePattern(string(pattern)); err != nil {
			failed = &Error{line, col, err.Error()}
		}
		return failed == nil
	})
	return failed
}

// compilePattern gives a pattern and the number of its steps.
func compilePattern(pattern string) (*regexp.Regexp, int, error) {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, 0, fmt.Errorf("the pattern is not one of RE2: %w", err)
	}
	prog, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, 0, fmt.Errorf("the pattern is not one of RE2: %w", err)
	}
	if len(prog.Inst) > maxRegexProgram {
		return nil, 0, fmt.Errorf("the pattern has more than %d steps", maxRegexProgram)
	}
	re, err := regexp.Compile(pattern)
	return re, len(prog.Inst), err
}

// patternCall makes the node of find and findAll.
func patternCall(call interpreter.InterpretableCall) (interpreter.InterpretableV2, error) {
	pattern, ok := call.Args()[1].(interpreter.InterpretableConst)
	if !ok {
		return nil, fmt.Errorf("the pattern of %s is not a literal", call.Function())
	}
	text, ok := pattern.Value().(types.String)
	if !ok {
		return nil, fmt.Errorf("the pattern of %s is not a string", call.Function())
	}
	re, steps, err := compilePattern(string(text))
	if err != nil {
		return nil, err
	}
	all := call.Function() == "findAll"
	return &stringCall{InterpretableCall: call, op: func(args []ref.Val) ref.Val {
		s, ok := args[0].(types.String)
		if !ok {
			return nil
		}
		if len(s) > maxPatternSteps/steps {
			return celErr(failf("%s takes more than %d steps on a text of this event", call.Function(), maxPatternSteps))
		}
		if !all {
			return types.String(re.FindString(string(s)))
		}
		limit := types.Int(-1)
		if len(args) == 3 {
			if limit, ok = args[2].(types.Int); !ok {
				return nil
			}
		}
		return findAll(re, string(s), limit)
	}}, nil
}

// findAll gives at most limit matches, all where it is negative.
func findAll(re *regexp.Regexp, s string, limit types.Int) ref.Val {
	n := maxElements + 1
	if limit >= 0 && limit < maxElements {
		n = int(limit)
	}
	found := re.FindAllString(s, n)
	if len(found) > maxElements {
		return celErr(tooLong())
	}
	out := make([]ref.Val, len(found))
	for i, m := range found {
		out[i] = types.String(m)
	}
	return newList(out)
}
