// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"cmp"
	"strings"

	"github.com/valyala/fastjson"
)

// errFallback makes Program evaluate an event in CEL: something occurred that
// the closures leave to it.
var errFallback = &Failure{"left to CEL"}

func isArray(v *fastjson.Value) bool { return v != nil && v.Type() == fastjson.TypeArray }

func isNumber(v *fastjson.Value) bool { return v != nil && v.Type() == fastjson.TypeNumber }

// memberOrNil is member for values of any type.
func (a *Activation) memberOrNil(v *fastjson.Value, name string) *fastjson.Value {
	if v == nil || v.Type() != fastjson.TypeObject {
		return nil
	}
	return a.member(v, name)
}

func (c fastCompiler) pathNode(p path) node {
	label, s := p.String(), c.vocabulary.spot(p)
	return func(a *Activation) (fval, *Failure) {
		if d := s.in(a); d != nil {
			if v, ok, f := scalar(d, s.end, label); ok {
				return v, f
			}
		}
		v, f := a.json(p.from)
		if f != nil {
			return fval{}, f
		}
		for _, name := range p.names {
			if v = a.memberOrNil(v, name); v == nil {
				_, f := a.follow(p, len(p.names))
				return fval{}, f
			}
		}
		return a.fromJSON(v, label)
	}
}

// hasNode is has(event.a.b): what the last name is asked of must be there.
func (c fastCompiler) hasNode(p path) node {
	label, s := p.String(), c.vocabulary.spot(p)
	last := len(p.names) - 1
	return func(a *Activation) (fval, *Failure) {
		if d := s.in(a); d != nil {
			if v, ok, f := s.has(d, label); ok {
				return v, f
			}
		}
		v, f := a.follow(p, last)
		if f != nil {
			return fval{}, f
		}
		if isArray(v) || isNumber(v) {
			return fval{}, errFallback // CEL takes an index, and refuses a number beyond the limits
		}
		m := a.memberOrNil(v, p.names[last])
		if m != nil && m.Type() == fastjson.TypeNumber {
			// CEL looks at the value, too, and fails on a number beyond the limits.
			if _, f := a.fromJSON(m, label); f != nil {
				return fval{}, f
			}
		}
		return boolVal(m != nil), nil
	}
}

// equalFast is == as operators.go has it.
func (a *Activation) equalFast(x, y fval) bool {
	switch {
	case x.k == kJSON && y.k == kJSON:
		return equal(a.toCEL(x.tree()), a.toCEL(y.tree()))
	case x.isNumber() && y.isNumber():
		return compareNumbers(x, y) == 0
	case x.k != y.k:
		return false
	}
	switch x.k {
	case kNull:
		return true
	case kBool:
		return x.i == y.i
	case kString:
		return x.text() == y.text()
	case kTime, kDuration:
		return x.i == y.i && x.n == y.n
	}
	return false
}

func equalsNode(l, r fastPart, want bool) node {
	return func(a *Activation) (fval, *Failure) {
		x, f := l.eval(a)
		if f != nil {
			return fval{}, f
		}
		y, f := r.eval(a)
		if f != nil {
			return fval{}, f
		}
		return boolVal(a.equalFast(x, y) == want), nil
	}
}

func orderNode(l, r fastPart, is func(int) bool) node {
	return func(a *Activation) (fval, *Failure) {
		x, f := l.eval(a)
		if f != nil {
			return fval{}, f
		}
		y, f := r.eval(a)
		if f != nil {
			return fval{}, f
		}
		var n int
		switch {
		case x.isNumber() && y.isNumber():
			n = compareNumbers(x, y)
		case x.k != y.k || x.k == kNull || x.k == kJSON:
			return fval{}, unlike("an order comparison", l, r, x, y)
		case x.k == kString:
			n = strings.Compare(x.text(), y.text())
		case x.k == kTime || x.k == kDuration:
			n = cmp.Or(cmp.Compare(x.i, y.i), cmp.Compare(x.n, y.n))
		default:
			return fval{}, errFallback
		}
		return boolVal(is(n)), nil
	}
}

// unlike says which operand is not what the other one asks for.
func unlike(op string, l, r fastPart, x, y fval) *Failure {
	switch {
	case l.label != "" && !x.isNumber() && y.isNumber():
		return failf("%s is %s, expected a number", l.label, x.describe())
	case r.label != "" && !y.isNumber() && x.isNumber():
		return failf("%s is %s, expected a number", r.label, y.describe())
	case l.label != "" && r.label != "":
		return failf("%s does not work where %s is %s and %s is %s", op, l.label, x.describe(), r.label, y.describe())
	case l.label != "":
		return failf("%s does not work where %s is %s and the other operand %s", op, l.label, x.describe(), y.describe())
	case r.label != "":
		return failf("%s does not work where %s is %s and the other operand %s", op, r.label, y.describe(), x.describe())
	}
	return mixed(op, x.describe(), y.describe())
}

func arithNode(op byte, l, r fastPart) node {
	return func(a *Activation) (fval, *Failure) {
		x, f := l.eval(a)
		if f != nil {
			return fval{}, f
		}
		y, f := r.eval(a)
		if f != nil {
			return fval{}, f
		}
		switch {
		case x.isNumber() && y.isNumber():
			return arithNumbers(op, x, y)
		case op == '+' && x.k == kString && y.k == kString:
			if len(x.text())+len(y.text()) > maxBuilt {
				return fval{}, tooLong()
			}
			return textVal(x.text() + y.text()), nil
		case op != '*' && x.k >= kTime && y.k >= kTime:
			return fval{}, errFallback
		}
		return fval{}, unlike(string(op), l, r, x, y)
	}
}

func negateNode(p fastPart) node {
	return func(a *Activation) (fval, *Failure) {
		v, f := p.eval(a)
		if f != nil {
			return fval{}, f
		}
		if v.isNumber() {
			return negateNumber(v)
		}
		if p.label != "" {
			return fval{}, failf("%s is %s, expected a number", p.label, v.describe())
		}
		return fval{}, failf("- does not work on %s", v.describe())
	}
}

// logicNode is && (or = false) or ||: an operand that decides wins over one that fails.
func logicNode(parts []fastPart, or bool) node {
	return func(a *Activation) (fval, *Failure) {
		var failed *Failure
		for _, p := range parts {
			v, f := p.eval(a)
			if f == nil && v.k != kBool {
				f = notBool(p, v)
			}
			switch {
			case f == errFallback:
				return fval{}, f
			case f != nil:
				if failed == nil {
					failed = f
				}
			case v.bool() == or:
				return v, nil
			}
		}
		if failed != nil {
			return fval{}, failed
		}
		return boolVal(!or), nil
	}
}

func notBool(p fastPart, v fval) *Failure {
	if p.label != "" {
		return failf("%s is %s, expected a bool", p.label, v.describe())
	}
	return failf("a condition is %s, expected a bool", v.describe())
}

func notNode(p fastPart) node {
	return func(a *Activation) (fval, *Failure) {
		v, f := p.eval(a)
		if f == nil && v.k != kBool {
			f = notBool(p, v)
		}
		return boolVal(!v.bool()), f
	}
}

func conditionalNode(c, yes, no fastPart) node {
	return func(a *Activation) (fval, *Failure) {
		v, f := c.eval(a)
		if f == nil && v.k != kBool {
			f = notBool(c, v)
		}
		switch {
		case f != nil:
			return fval{}, f
		case v.bool():
			return yes.eval(a)
		}
		return no.eval(a)
	}
}
