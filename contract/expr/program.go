// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/interpreter"

	"github.com/projectionist-dev/projectionist/contract/jsondoc"
	"github.com/projectionist-dev/projectionist/contract/value"
)

// Scope says which variables an expression may name.
type Scope uint8

const (
	// ScopeHandler has all variables: expressions of a Projection's handlers.
	ScopeHandler Scope = iota
	// ScopeTopic has event, key and headers: expressions of an EventTopic, which
	// meta is made from.
	ScopeTopic
	// ScopeTombstone has key, headers and meta: handlers of records without a value.
	ScopeTombstone
	// ScopeRow has row alone: checks and generated columns.
	ScopeRow
	// ScopeTable has the variables of TableColumns alone: conditions over all rows of a table.
	ScopeTable
)

// Column is a column that row has.
type Column struct {
	Name string
	Type value.Type
	// NotNull is true where the column is never NULL.
	NotNull bool
}

// Options changes how an expression compiles.
type Options struct {
	Scope Scope
	// Row are the columns that row has, in the order of Activation.Row; nil: there is no row.
	Row []Column
	// Item adds item and index, of a forEach.
	Item bool
	// Schema gives types to fields of event, for checks; nil: the type of every field is
	// dyn. It changes nothing about how the expression is evaluated, nor Canonical.
	Schema *Schema
	// ItemSchema is Schema for item: see Schema.Elements.
	ItemSchema *Schema
	// Members, where it is not nil, gets the paths of the event that the program can read
	// without a tree of the payload: see Activation.Members. It changes no result.
	Members *jsondoc.Paths
	// NoFast evaluates everything in CEL; for tests that hold the two equal.
	NoFast bool
}

// Program is a compiled expression. It is safe for concurrent use.
type Program struct {
	source, canonical string
	typ               Type
	vocabulary        *vocabulary
	paths             []string
	vars              map[string]bool
	prg               cel.Program
	ast               *cel.Ast
	advice            []string
	elements          *Schema
	fast              node // nil: CEL evaluates
	constant          any
	constantFailure   *Failure
}

// Type is what is known about an expression's result when it is compiled.
type Type string

// The types. An expression over event alone is dyn: its type is the event's affair.
const (
	TypeDyn       Type = "dyn"
	TypeNull      Type = "null"
	TypeBool      Type = "bool"
	TypeInt       Type = "int"
	TypeUint      Type = "uint"
	TypeDecimal   Type = "decimal"
	TypeDouble    Type = "double"
	TypeString    Type = "string"
	TypeBytes     Type = "bytes"
	TypeTimestamp Type = "timestamp"
	TypeDuration  Type = "duration"
	TypeList      Type = "list"
	TypeMap       Type = "map"
	TypeOptional  Type = "optional"
	TypeOther     Type = "other"
)

// Compile checks and plans an expression.
func Compile(src string, o Options) (*Program, *Error) {
	v := newVocabulary(o)
	env, err := v.environment()
	if err != nil {
		return nil, &Error{Line: 1, Column: 1, Message: fmt.Sprintf("the CEL environment is broken: %v", err)}
	}
	checked, vars, cerr := v.check(env, src)
	if cerr != nil {
		return nil, cerr
	}
	p := &Program{
		source: src, ast: checked, vocabulary: v, vars: vars, typ: typeOf(checked.OutputType()), paths: v.eventPaths(checked.NativeRep().Expr()),
	}
	if p.canonical, err = canonicalText(checked); err != nil {
		return nil, &Error{Line: 1, Column: 1, Message: fmt.Sprintf("the expression has no canonical text: %v", err)}
	}
	p.prg, err = env.Program(checked, own(), cel.CostLimit(costLimit), cel.CostTracking(costs{}), cel.OptimizeRegex(interpreter.MatchesRegexOptimization))
	if err != nil {
		return nil, &Error{Line: 1, Column: 1, Message: planMessage(err)}
	}
	if !o.NoFast {
		p.fast = v.compileFast(checked)
	}
	if o.Schema != nil || o.ItemSchema != nil {
		known, cerr := v.checkSchema(env, src, o)
		if cerr != nil {
			return nil, cerr
		}
		p.advice, p.elements = known.advice, known.elements
		if known.typ != TypeDyn {
			p.typ = known.typ
		}
	}
	if p.IsConstant() {
		// An error of a constant is an error of the expression: 1 / 0.
		p.constant, p.constantFailure = p.eval(&Activation{})
		if p.constantFailure != nil {
			return nil, &Error{Line: 1, Column: 1, Message: p.constantFailure.Message}
		}
	}
	return p, nil
}

// Source is the text that was compiled.
func (p *Program) Source() string { return p.source }

// Canonical is the text of the checked expression: expressions that differ in
// spaces, parentheses or quotes have the same. Compile reads it back.
func (p *Program) Canonical() string { return p.canonical }

// Type is the type of the result, as far as it is known.
func (p *Program) Type() Type { return p.typ }

// Advice is what the schema says about the expression that need not be wrong: fields
// that it does not list where it allows others, values that its enums do not have.
func (p *Program) Advice() []string { return p.advice }

// ElementSchema is what the schema knows of the elements of the result, nil if nothing:
// the ItemSchema of a handler whose forEach this is.
func (p *Program) ElementSchema() *Schema { return p.elements }

// Paths lists the fields of the event that the expression reads, sorted, each as
// it would be written: "event.customer.id". "event" alone means that it reads
// more than fixed paths.
func (p *Program) Paths() []string { return slices.Clone(p.paths) }

// Uses tells whether the expression reads a variable: "event", "key", "headers",
// "meta.time", "item", "index", "row" (any column of it), "row.status".
func (p *Program) Uses(variable string) bool { return p.vars[variable] }

// Columns lists the columns of the row that the expression reads, sorted.
func (p *Program) Columns() []string {
	var out []string
	for v := range p.vars {
		if name, ok := strings.CutPrefix(v, "row."); ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// IsConstant tells whether the expression reads nothing of the event.
func (p *Program) IsConstant() bool { return len(p.vars) == 0 }

// Constant is the value of an expression that IsConstant. It must not be modified.
func (p *Program) Constant() any { return p.constant }

// Eval evaluates the expression: nil, bool, string, int64, uint64,
// *apd.Decimal, float64, time.Time, time.Duration, []byte, []any or
// map[string]any, sharing no memory with a. An error is a *Failure.
func (p *Program) Eval(a *Activation) (any, error) {
	if p.IsConstant() {
		return p.constant, nil
	}
	v, f := p.eval(a)
	if f != nil {
		return nil, f
	}
	return v, nil
}

func (p *Program) eval(a *Activation) (any, *Failure) {
	if p.fast != nil {
		v, f := p.fast(a)
		if f == nil {
			return v.result(a)
		}
		if f != errFallback {
			return nil, f
		}
	}
	return p.evalCEL(a)
}

// evalFast runs the closures; ok is false where CEL has to.
func (p *Program) evalFast(a *Activation) (v fval, ok bool, f *Failure) {
	if p.fast == nil {
		return fval{}, false, nil
	}
	v, f = p.fast(a)
	if f == errFallback {
		return fval{}, false, nil
	}
	return v, true, f
}

// EvalBool evaluates a condition. Anything but a bool is a Failure.
func (p *Program) EvalBool(a *Activation) (bool, error) {
	if v, ok, f := p.evalFast(a); f != nil {
		return false, f
	} else if ok && v.k == kBool {
		return v.bool(), nil
	}
	v, err := p.Eval(a)
	if err != nil {
		return false, err
	}
	b, ok := v.(bool)
	if !ok {
		return false, failf("%s is %s, expected a bool", p.subject(), value.Describe(v))
	}
	return b, nil
}

// EvalText evaluates an expression whose result is a string. The result may
// alias the event: it is valid as long as the event is.
func (p *Program) EvalText(a *Activation) (string, error) {
	if v, ok, f := p.evalFast(a); f != nil {
		return "", f
	} else if ok && v.k == kString {
		return v.text(), nil
	}
	v, err := p.Eval(a)
	if err != nil {
		return "", err
	}
	s, ok := v.(string)
	if !ok {
		return "", failf("%s is %s, expected a string", p.subject(), value.Describe(v))
	}
	return s, nil
}

// EvalTime is Convert to a timestamp column's type, without an allocation in the usual cases; ok is false where the result is null.
func (p *Program) EvalTime(a *Activation) (at time.Time, ok bool, err error) {
	if v, done, f := p.evalFast(a); f != nil {
		return time.Time{}, false, f
	} else if done {
		if at, ok = v.timestamp(); ok {
			return at, true, nil
		}
	}
	v, err := p.Convert(a, value.Type{Kind: value.Timestamp})
	if err != nil {
		return time.Time{}, false, err
	}
	at, ok = v.(time.Time)
	return at, ok, nil
}

// EqualsKey tells whether the record's key is the text of the result: of a
// string its bytes, of an int decimal digits, of a bool true or false, of a
// timestamp RFC 3339 in UTC without trailing zeros. Results of other types are a
// Failure: they have several spellings.
func (p *Program) EqualsKey(a *Activation) (bool, error) {
	if v, ok, f := p.evalFast(a); f != nil {
		return false, f
	} else if ok && v.k == kString {
		return v.text() == string(a.Key), nil
	}
	text, err := p.KeyText(a)
	return err == nil && string(text) == string(a.Key), err
}

// KeyText gives the text of the result that a message key has to be: see EqualsKey.
func (p *Program) KeyText(a *Activation) ([]byte, error) {
	v, err := p.Eval(a)
	if err != nil {
		return nil, err
	}
	switch x := v.(type) {
	case string:
		return []byte(x), nil
	case int64:
		return strconv.AppendInt(nil, x, 10), nil
	case bool:
		return strconv.AppendBool(nil, x), nil
	case time.Time:
		return x.UTC().AppendFormat(nil, time.RFC3339Nano), nil
	default:
		return nil, failf("%s is %s, expected a string, an int, a bool or a timestamp", p.subject(), value.Describe(v))
	}
}

// subject names the expression in a message: itself where it is short.
func (p *Program) subject() string {
	if len(p.canonical) <= 60 {
		return p.canonical
	}
	return "the result"
}
