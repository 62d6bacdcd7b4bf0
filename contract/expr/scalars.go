// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"github.com/cockroachdb/apd/v3"
	"github.com/google/uuid"

	"github.com/projectionist-dev/projectionist/contract/value"
)

// param is what a function of scalars takes.
type param uint8

const (
	number param = iota // an int or a decimal
	integer
	text
	instant
	span
)

var paramText = [...]string{number: "a number", integer: "an int", text: "a string", instant: "a timestamp", span: "a duration"}

// takes tells whether a value is what the param says.
func (p param) takes(v fval) bool {
	switch p {
	case number:
		return v.isNumber()
	case integer:
		return v.k == kInt
	case text:
		return v.k == kString
	case instant:
		return v.k == kTime
	default:
		return v.k == kDuration
	}
}

func (p param) types() []*cel.Type {
	switch p {
	case number:
		return []*cel.Type{cel.IntType, decimalType}
	case integer:
		return []*cel.Type{cel.IntType}
	case text:
		return []*cel.Type{cel.StringType}
	case instant:
		return []*cel.Type{cel.TimestampType}
	default:
		return []*cel.Type{cel.DurationType}
	}
}

// scalarFunc is a function of scalars: one piece of code for closures and CEL.
type scalarFunc struct {
	name   string
	params []param
	// result is the type; nil: an int of ints, else a decimal.
	result *cel.Type
	// do gets what params say. Its failures name the function.
	do func(args []fval) (fval, *Failure)
}

var scalarFuncs = []scalarFunc{
	{"hash.sha256", []param{text}, cel.StringType, func(a []fval) (fval, *Failure) { return textVal(sha256Text([]byte(a[0].text()))), nil }},
	{"uuid.v5", []param{text, text}, cel.StringType, uuidV5},
	{"timestamp.fromSeconds", []param{number}, cel.TimestampType, fromSeconds},
	{"timestamp.fromMillis", []param{integer}, cel.TimestampType, func(a []fval) (fval, *Failure) {
		return epoch("timestamp.fromMillis", time.UnixMilli(a[0].i))
	}},
	{"timestamp.fromMicros", []param{integer}, cel.TimestampType, func(a []fval) (fval, *Failure) {
		return epoch("timestamp.fromMicros", time.UnixMicro(a[0].i))
	}},
	{"truncate", []param{instant, span}, cel.TimestampType, truncate},
	{"math.abs", []param{number}, nil, func(a []fval) (fval, *Failure) {
		if a[0].sign() < 0 {
			return negateNumber(a[0])
		}
		return a[0], nil
	}},
	{"math.floor", []param{number}, nil, func(a []fval) (fval, *Failure) { return roundNumber(a[0], 0, apd.RoundFloor) }},
	{"math.ceil", []param{number}, nil, func(a []fval) (fval, *Failure) { return roundNumber(a[0], 0, apd.RoundCeiling) }},
	{"math.round", []param{number}, nil, func(a []fval) (fval, *Failure) { return roundNumber(a[0], 0, apd.RoundHalfUp) }},
	{"math.round", []param{number, integer}, nil, func(a []fval) (fval, *Failure) {
		if a[1].i < 0 || a[1].i > value.MaxDigits {
			return fval{}, failf("the second operand of math.round is not a number of digits from 0 to %d", value.MaxDigits)
		}
		return roundNumber(a[0], int32(a[1].i), apd.RoundHalfUp)
	}},
	{"math.least", []param{number, number}, nil, func(a []fval) (fval, *Failure) { return pick(a, compareNumbers(a[0], a[1]) <= 0), nil }},
	{"math.greatest", []param{number, number}, nil, func(a []fval) (fval, *Failure) { return pick(a, compareNumbers(a[0], a[1]) >= 0), nil }},
}

// uuidNamespaces are constants: those of RFC 9562.
var uuidNamespaces = map[string]string{"uuid.dns": uuid.NameSpaceDNS.String(), "uuid.url": uuid.NameSpaceURL.String(), "uuid.oid": uuid.NameSpaceOID.String()}

// scalarFunc finds a function by name and number of operands.
func findScalar(name string, operands int) (scalarFunc, bool) {
	for _, fn := range scalarFuncs {
		if fn.name == name && len(fn.params) == operands {
			return fn, true
		}
	}
	return scalarFunc{}, false
}

func scalarDeclarations() []cel.EnvOption {
	var out []cel.EnvOption
	for name, ns := range uuidNamespaces {
		out = append(out, cel.Constant(name, cel.StringType, types.String(ns)))
	}
	for _, fn := range scalarFuncs {
		bind := cel.FunctionBinding(func(args ...ref.Val) ref.Val { return fn.inCEL(args) })
		var opts []cel.FunctionOpt
		for _, args := range product(fn.params) {
			id, result := []string{strings.ReplaceAll(fn.name, ".", "_")}, fn.result
			if result == nil {
				result = cel.IntType
			}
			for _, t := range args {
				id = append(id, t.TypeName())
				if fn.result == nil && t == decimalType {
					result = decimalType
				}
			}
			opts = append(opts, cel.Overload(strings.Join(id, "_"), args, result, bind))
		}
		out = append(out, cel.Function(fn.name, opts...))
	}
	return append(out, cel.Function("hash.sha256", cel.Overload("hash_sha256_bytes", []*cel.Type{cel.BytesType}, cel.StringType,
		cel.UnaryBinding(func(v ref.Val) ref.Val { return types.String(sha256Text(v.(types.Bytes))) }))))
}

// product gives all lists of one type of each param.
func product(params []param) [][]*cel.Type {
	out := [][]*cel.Type{nil}
	for _, p := range params {
		var longer [][]*cel.Type
		for _, head := range out {
			for _, t := range p.types() {
				longer = append(longer, append(head[:len(head):len(head)], t))
			}
		}
		out = longer
	}
	return out
}

// inCEL evaluates in CEL, which has checked the types.
func (fn scalarFunc) inCEL(args []ref.Val) ref.Val {
	vals := make([]fval, len(args))
	for i, v := range args {
		switch x := v.(type) {
		case types.Int:
			vals[i] = intVal(int64(x))
		case dec:
			vals[i] = decVal(x.d)
		case types.String:
			vals[i] = textVal(string(x))
		case types.Timestamp:
			vals[i] = timeVal(x.Time)
		case types.Duration:
			vals[i] = fval{k: kDuration, i: int64(x.Duration)}
		}
	}
	v, f := fn.do(vals)
	if f != nil {
		return celErr(f)
	}
	switch v.k {
	case kInt:
		return types.Int(v.i)
	case kString:
		return types.String(v.text())
	case kTime:
		return types.Timestamp{Time: v.time()}
	default:
		return dec{v.decimal()}
	}
}

// scalar is a call of one of scalarFuncs.
func (c fastCompiler) scalar(fn scalarFunc, parts []fastPart) node {
	return func(a *Activation) (fval, *Failure) {
		var room [2]fval
		args := room[:0]
		for i, p := range parts {
			v, f := p.eval(a)
			if f != nil {
				return fval{}, f
			}
			if !fn.params[i].takes(v) {
				of := "an operand of " + fn.name
				if p.label != "" {
					of = p.label
				}
				return fval{}, failf("%s is %s, and %s takes %s", of, v.describe(), fn.name, paramText[fn.params[i]])
			}
			args = append(args, v)
		}
		return fn.do(args)
	}
}

func sha256Text(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func uuidV5(a []fval) (fval, *Failure) {
	// The other forms that the package reads (urn:, braces) are other texts for one namespace.
	ns, err := uuid.Parse(a[0].text())
	if err != nil || len(a[0].text()) != 36 {
		return fval{}, failf("the first operand of uuid.v5 is not a uuid in its 8-4-4-4-12 form; uuid.dns, uuid.url and uuid.oid are there")
	}
	return textVal(uuid.NewSHA1(ns, []byte(a[1].text())).String()), nil
}

func epoch(name string, t time.Time) (fval, *Failure) {
	if v := timeVal(t); v.i >= minUnix && v.i <= maxUnix {
		return v, nil
	}
	return fval{}, failf("the operand of %s is outside of the years 1 to 9999", name)
}

// fromSeconds cuts a fraction to whole nanoseconds.
func fromSeconds(a []fval) (fval, *Failure) {
	whole, f := roundNumber(a[0], 0, apd.RoundFloor)
	if f != nil {
		return fval{}, f
	}
	rest, f := arithNumbers('-', a[0], whole)
	if f != nil {
		return fval{}, f
	}
	if rest, f = arithNumbers('*', rest, intVal(int64(time.Second))); f != nil {
		return fval{}, f
	}
	if rest, f = roundNumber(rest, 0, apd.RoundFloor); f != nil {
		return fval{}, f
	}
	sec, ok1 := whole.integral()
	nsec, ok2 := rest.integral()
	if !ok1 || !ok2 {
		sec = maxUnix + 1
	}
	return epoch("timestamp.fromSeconds", time.Unix(sec, nsec))
}

// truncate gives the start of the bucket, counted from 0001-01-01T00:00:00Z, a Monday.
func truncate(a []fval) (fval, *Failure) {
	if a[1].i <= 0 {
		return fval{}, failf("the second operand of truncate is not a duration above zero")
	}
	return epoch("truncate", a[0].time().Truncate(time.Duration(a[1].i)))
}

// pick gives the first operand or the second, as a decimal where one of them is.
func pick(a []fval, first bool) fval {
	out, other := a[0], a[1]
	if !first {
		out, other = a[1], a[0]
	}
	if out.k == kInt && other.k != kInt {
		out.k = kSmall
	}
	return out
}
