// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"slices"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/decls"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/functions"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/stdlib"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/ext"

	"github.com/projectionist-dev/projectionist/contract/value"
)

// Limits of an expression (Law 10).
const (
	// MaxSource bounds the text of an expression, in bytes.
	MaxSource = 4096
	// costLimit bounds one evaluation in CEL's units, about one per operation.
	costLimit = 1_000_000
	// maxElements bounds lists that are put together, results, and what one
	// comparison of lists or objects looks at.
	maxElements = 100_000
	// maxBuilt bounds a string that an expression builds, in bytes.
	maxBuilt = value.MaxTextBytes
	// maxRegexProgram bounds a compiled pattern.
	maxRegexProgram = 10_000
)

// redeclared are the operators whose standard bindings know nothing of decimals.
var redeclared = map[string]functions.BinaryOp{
	operators.Add:           binary('+', func(l, r ref.Val) ref.Val { return l.(traits.Adder).Add(r) }),
	operators.Subtract:      binary('-', func(l, r ref.Val) ref.Val { return l.(traits.Subtractor).Subtract(r) }),
	operators.Multiply:      binary('*', func(l, r ref.Val) ref.Val { return l.(traits.Multiplier).Multiply(r) }),
	operators.Divide:        binary('/', func(l, r ref.Val) ref.Val { return l.(traits.Divider).Divide(r) }),
	operators.Less:          ordering(func(c int) bool { return c < 0 }),
	operators.LessEquals:    ordering(func(c int) bool { return c <= 0 }),
	operators.Greater:       ordering(func(c int) bool { return c > 0 }),
	operators.GreaterEquals: ordering(func(c int) bool { return c >= 0 }),
	operators.Equals:        bounded(equalWithin),
	operators.NotEquals:     bounded(func(l, r ref.Val, b *budget) bool { return !equalWithin(l, r, b) }),
	operators.In:            bounded(func(l, r ref.Val, b *budget) bool { return containsWithin(r, l, b) }),
}

var environment = sync.OnceValues(func() (*cel.Env, error) {
	exclude := make([]*env.Function, 0, len(redeclared)+8)
	opts := make([]cel.EnvOption, 0, 32)
	for _, fn := range stdlib.Functions() {
		if op, ok := redeclared[fn.Name()]; ok {
			exclude = append(exclude, env.NewFunction(fn.Name()))
			opts = append(opts, redeclare(fn, op))
			continue
		}
		if fn.Name() == operators.Negate {
			exclude = append(exclude, env.NewFunction(fn.Name()))
			continue
		}
		// Getters with a time zone depend on the machine's time zone database.
		if zoned := zonedOverloads(fn); len(zoned) > 0 {
			exclude = append(exclude, env.NewFunction(fn.Name(), zoned...))
		}
	}
	opts = append(opts,
		cel.StdLib(cel.StdLibSubset(env.NewLibrarySubset().AddExcludedFunctions(exclude...))),
		cel.EagerlyValidateDeclarations(true),
		cel.DefaultUTCTimeZone(true),
		cel.OptionalTypes(cel.OptionalTypesVersion(2)),
		// Version 0 has no format, whose result has no bound.
		ext.Strings(ext.StringsVersion(0)),
		ext.Encoders(ext.EncodersVersion(0)),
		ext.Bindings(ext.BindingsVersion(0)),
		cel.EnableMacroCallTracking(),
		cel.RegexProgramSizeLimit(maxRegexProgram),
		cel.ParserRecursionLimit(64),
		cel.ParserExpressionSizeLimit(MaxSource),
	)
	for _, more := range [][]cel.EnvOption{baseVariables(), declarations(), scalarDeclarations(), listDeclarations(), patternDeclarations(), schemaVariables()} {
		opts = append(opts, more...)
	}
	return cel.NewCustomEnv(opts...)
})

func zonedOverloads(fn *decls.FunctionDecl) []*env.Overload {
	var zoned []*env.Overload
	for _, o := range fn.OverloadDecls() {
		if strings.HasPrefix(o.ID(), "timestamp_to_") && strings.HasSuffix(o.ID(), "_tz") {
			zoned = append(zoned, env.NewMemberOverload(o.ID(), env.NewTypeDesc("timestamp"), nil, env.NewTypeDesc("int")))
		}
	}
	return zoned
}

// redeclare declares an operator as CEL does, with overloads for decimals added.
func redeclare(fn *decls.FunctionDecl, op functions.BinaryOp) cel.EnvOption {
	name := fn.Name()
	opts := make([]cel.FunctionOpt, 0, 32)
	for _, o := range fn.OverloadDecls() {
		args := o.ArgTypes()
		if isEquality(name) || name == operators.In {
			// Type parameters would collide with, and exclude, int == decimal; comparableRule checks instead.
			args = widen(args)
		}
		opts = append(opts, cel.Overload(o.ID(), args, o.ResultType()))
	}
	result := types.BoolType
	if slices.Contains([]string{operators.Add, operators.Subtract, operators.Multiply, operators.Divide}, name) {
		result = decimalType
	}
	id := map[string]string{
		operators.Add: "add", operators.Subtract: "subtract", operators.Multiply: "multiply", operators.Divide: "divide",
		operators.Less: "less", operators.LessEquals: "less_equals", operators.Greater: "greater", operators.GreaterEquals: "greater_equals",
	}[name]
	if id != "" {
		for _, t := range [][2]*cel.Type{{decimalType, decimalType}, {decimalType, types.IntType}, {types.IntType, decimalType}} {
			opts = append(opts, cel.Overload(id+"_"+t[0].TypeName()+"_"+t[1].TypeName(), []*cel.Type{t[0], t[1]}, result))
		}
	}
	return cel.Function(name, append(opts, cel.SingletonBinaryBinding(op))...)
}

func isEquality(name string) bool { return name == operators.Equals || name == operators.NotEquals }

// widen replaces type parameters by dyn.
func widen(args []*cel.Type) []*cel.Type {
	out := make([]*cel.Type, len(args))
	for i, t := range args {
		switch t.Kind() {
		case types.ListKind:
			out[i] = cel.ListType(cel.DynType)
		case types.MapKind:
			out[i] = cel.MapType(cel.DynType, cel.DynType)
		default:
			out[i] = cel.DynType
		}
	}
	return out
}

func declarations() []cel.EnvOption {
	one := func(t *cel.Type) []*cel.Type { return []*cel.Type{t} }
	return []cel.EnvOption{
		cel.Function(operators.Negate,
			cel.Overload("negate_int64", one(cel.IntType), cel.IntType),
			cel.Overload("negate_double", one(cel.DoubleType), cel.DoubleType),
			cel.Overload("negate_decimal", one(decimalType), decimalType),
			cel.SingletonUnaryBinding(negate)),
		cel.Function("decimal",
			cel.Overload("string_to_decimal", one(cel.StringType), decimalType, cel.UnaryBinding(toDecimal)),
			cel.Overload("int_to_decimal", one(cel.IntType), decimalType, cel.UnaryBinding(toDecimal)),
			cel.Overload("decimal_to_decimal", one(decimalType), decimalType, cel.UnaryBinding(toDecimal))),
		cel.Function("int", cel.Overload("decimal_to_int", one(decimalType), cel.IntType, cel.UnaryBinding(decimalToInt))),
		cel.Function("string", cel.Overload("decimal_to_string", one(decimalType), cel.StringType, cel.UnaryBinding(func(v ref.Val) ref.Val {
			return types.String(decimalText(v.(dec).d))
		}))),
		cel.Function("double", cel.Overload("decimal_to_double", one(decimalType), cel.DoubleType, cel.UnaryBinding(func(v ref.Val) ref.Val {
			f, err := v.(dec).d.Float64()
			if err != nil {
				return celErr(failf("the operand of double(...) is out of the range of a double"))
			}
			return types.Double(f)
		}))),
		cel.Function("date", cel.Overload("timestamp_to_date", one(cel.TimestampType), cel.TimestampType, cel.UnaryBinding(func(v ref.Val) ref.Val {
			return types.Timestamp{Time: v.(types.Timestamp).UTC().Truncate(24 * time.Hour)}
		}))),
	}
}
