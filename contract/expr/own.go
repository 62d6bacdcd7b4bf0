// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"math"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/functions"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

// own replaces the nodes that CEL plans by itself, past any binding (== != in, map
// literals), and those whose results need a bound before they are built (replace, join).
func own() cel.ProgramOption {
	return cel.CustomDecoratorV2(func(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
		if c, ok := i.(interpreter.InterpretableConstructor); ok && c.Type() == types.MapType {
			return &mapLiteral{c}, nil
		}
		call, ok := i.(interpreter.InterpretableCall)
		if !ok {
			return i, nil
		}
		switch call.Function() {
		case operators.Equals, operators.NotEquals, operators.In:
			return &ownCall{InterpretableCall: call, op: redeclared[call.Function()]}, nil
		case "replace":
			return &stringCall{InterpretableCall: call, op: replace}, nil
		case "find", "findAll":
			return patternCall(call)
		case "join":
			return &stringCall{InterpretableCall: call, op: join}, nil
		}
		return i, nil
	})
}

// ownCall evaluates its operands and then op.
type ownCall struct {
	interpreter.InterpretableCall
	op functions.BinaryOp
}

// Exec implements interpreter.InterpretableV2.
func (c *ownCall) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	args := c.Args()
	l := args[0].Exec(frame)
	if types.IsError(l) {
		return l
	}
	r := args[1].Exec(frame)
	if types.IsError(r) {
		return r
	}
	if c.Function() == operators.In {
		switch r.(type) {
		case traits.Mapper, traits.Lister:
		default:
			return celErr(failf("in needs a list or an object on its right, and got %s", describeCEL(r)))
		}
	}
	res := c.op(l, r)
	if costs := frame.CostTracker(); costs != nil {
		costs.EvalBinary(frame, c.ID(), c, l, r, res)
	}
	return res
}

// Eval implements interpreter.Interpretable.
func (c *ownCall) Eval(vars interpreter.Activation) ref.Val {
	return interpreter.EvalActivation(vars, c.Exec)
}

// stringCall evaluates its operands and then op, which gives nil where they are
// of the wrong types.
type stringCall struct {
	interpreter.InterpretableCall
	op func(args []ref.Val) ref.Val
}

// Exec implements interpreter.InterpretableV2.
func (c *stringCall) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	args := make([]ref.Val, len(c.Args()))
	for i, arg := range c.Args() {
		if args[i] = arg.Exec(frame); types.IsError(args[i]) {
			return args[i]
		}
	}
	res := c.op(args)
	if res == nil {
		return celErr(failf("%s does not work on %s", c.Function(), describeCEL(args[0])))
	}
	if costs := frame.CostTracker(); costs != nil {
		costs.EvalVarArgs(frame, c.ID(), c, args, res)
	}
	return res
}

// Eval implements interpreter.Interpretable.
func (c *stringCall) Eval(vars interpreter.Activation) ref.Val {
	return interpreter.EvalActivation(vars, c.Exec)
}

// replace is s.replace(old, new) and s.replace(old, new, n).
func replace(args []ref.Val) ref.Val {
	s, ok1 := args[0].(types.String)
	from, ok2 := args[1].(types.String)
	to, ok3 := args[2].(types.String)
	n := -1
	if len(args) == 4 {
		limit, ok := args[3].(types.Int)
		if !ok {
			return nil
		}
		n = int(max(-1, min(limit, math.MaxInt32)))
	}
	if !ok1 || !ok2 || !ok3 {
		return nil
	}
	found := strings.Count(string(s), string(from))
	if n >= 0 {
		found = min(found, n)
	}
	if grow := len(to) - len(from); grow > 0 && (found > maxBuilt || len(s)+found*grow > maxBuilt) {
		return celErr(tooLong())
	}
	return types.String(strings.Replace(string(s), string(from), string(to), n))
}

// join is list.join() and list.join(separator).
func join(args []ref.Val) ref.Val {
	list, ok := args[0].(traits.Lister)
	if !ok {
		return nil
	}
	var sep types.String
	if len(args) == 2 {
		if sep, ok = args[1].(types.String); !ok {
			return nil
		}
	}
	var b strings.Builder
	for it, first := list.Iterator(), true; it.HasNext() == types.True; first = false {
		s, ok := it.Next().(types.String)
		if !ok {
			return celErr(failf("join works on a list of strings only"))
		}
		if b.Len()+len(sep)+len(s) > maxBuilt {
			return celErr(tooLong())
		}
		if !first {
			b.WriteString(string(sep))
		}
		b.WriteString(string(s))
	}
	return types.String(b.String())
}
