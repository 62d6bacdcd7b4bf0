// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"github.com/valyala/fastjson"
)

// maxBuiltDepth bounds the nesting of JSON that an expression builds, around what is of the event.
const maxBuiltDepth = 64

// EvalJSON evaluates to JSON: decimals keep their digits, timestamps become text in
// RFC 3339 form. What the result has of the event is not copied: it is valid as
// long as the event and until the arena is reset. Bytes and durations have no JSON
// form; they, and what Eval fails on, are a *Failure.
func (p *Program) EvalJSON(a *Activation, arena *fastjson.Arena) (*fastjson.Value, error) {
	v, ok, f := p.evalFast(a)
	if f != nil {
		return nil, f
	}
	if ok && v.k != kDuration {
		return v.json(arena), nil
	}
	a.program = p
	out, _, err := p.prg.Eval(a)
	if err != nil {
		return nil, p.explain(err, a)
	}
	b := jsonBuilder{arena, maxElements}
	doc, f := b.value(out, 0)
	if f != nil {
		return nil, f
	}
	return doc, nil
}

// json gives a value of the fast path as JSON.
func (v fval) json(arena *fastjson.Arena) *fastjson.Value {
	switch v.k {
	case kNull:
		return arena.NewNull()
	case kBool:
		return boolJSON(arena, v.bool())
	case kInt:
		return arena.NewNumberString(strconv.FormatInt(v.i, 10))
	case kSmall, kDec:
		return arena.NewNumberString(literalText(v.decimal()))
	case kString:
		return textJSON(arena, v.text())
	case kTime:
		return timeJSON(arena, v.time())
	default:
		return v.tree()
	}
}

// textJSON gives a string. Arena.NewString escapes as Go does, which JSON does not
// always read back (\x7f): what has to be escaped goes another way.
func textJSON(arena *fastjson.Arena, s string) *fastjson.Value {
	if strings.IndexFunc(s, func(r rune) bool { return r < 0x20 || r == '"' || r == '\\' }) < 0 {
		return arena.NewString(s)
	}
	quoted, err := json.Marshal(s)
	if err != nil {
		return arena.NewNull() // no string fails to marshal
	}
	v, err := fastjson.ParseBytes(quoted)
	if err != nil {
		return arena.NewNull()
	}
	return v
}

func boolJSON(arena *fastjson.Arena, b bool) *fastjson.Value {
	if b {
		return arena.NewTrue()
	}
	return arena.NewFalse()
}

func timeJSON(arena *fastjson.Arena, t time.Time) *fastjson.Value {
	return arena.NewString(t.UTC().Format(time.RFC3339Nano))
}

// jsonBuilder gives results of CEL as JSON.
type jsonBuilder struct {
	arena *fastjson.Arena
	left  budget
}

func (b *jsonBuilder) value(v ref.Val, depth int) (*fastjson.Value, *Failure) {
	if !b.left.take() || depth > maxBuiltDepth {
		return nil, failf("the result has more than %d elements, or is nested deeper than %d levels", maxElements, maxBuiltDepth)
	}
	switch x := v.(type) {
	case jsonMap:
		return x.v, nil
	case types.Null:
		return b.arena.NewNull(), nil
	case types.Bool:
		return boolJSON(b.arena, bool(x)), nil
	case types.Int:
		return b.arena.NewNumberString(strconv.FormatInt(int64(x), 10)), nil
	case types.Uint:
		return b.arena.NewNumberString(strconv.FormatUint(uint64(x), 10)), nil
	case types.Double:
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			return nil, failf("the result has a double that is not a finite number")
		}
		return b.arena.NewNumberString(strconv.FormatFloat(float64(x), 'g', -1, 64)), nil
	case dec:
		return b.arena.NewNumberString(literalText(x.d)), nil
	case types.String:
		return textJSON(b.arena, string(x)), nil
	case types.Timestamp:
		return timeJSON(b.arena, x.Time), nil
	case *types.Optional:
		return nil, failf("the result is an optional: add .orValue(...)")
	case traits.Lister:
		return b.list(x, depth)
	case traits.Mapper:
		return b.object(x, depth)
	case *types.Err:
		return nil, failureOrUnusable(x)
	}
	return nil, failf("the result has %s in it, which JSON does not hold", describeCEL(v))
}

func (b *jsonBuilder) list(l traits.Lister, depth int) (*fastjson.Value, *Failure) {
	out := b.arena.NewArray()
	i := 0
	for it := l.Iterator(); it.HasNext() == types.True; i++ {
		v, f := b.value(it.Next(), depth+1)
		if f != nil {
			return nil, f
		}
		out.SetArrayItem(i, v)
	}
	return out, nil
}

func (b *jsonBuilder) object(m traits.Mapper, depth int) (*fastjson.Value, *Failure) {
	out := b.arena.NewObject()
	for it := m.Iterator(); it.HasNext() == types.True; {
		k, ok := it.Next().(types.String)
		if !ok {
			return nil, failf("the result is a map with a key that is not a string")
		}
		v, f := b.value(m.Get(k), depth+1)
		if f != nil {
			return nil, f
		}
		out.Set(strings.Clone(string(k)), v)
	}
	return out, nil
}
