// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"errors"
	"reflect"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"github.com/cockroachdb/apd/v3"
	"github.com/valyala/fastjson"

	"github.com/projectionist-dev/projectionist/contract/value"
)

// toCEL gives the CEL value of a JSON value, lazily: objects and lists are
// looked into when the expression does.
func (a *Activation) toCEL(v *fastjson.Value) ref.Val {
	if v == nil {
		return types.NullValue
	}
	switch v.Type() {
	case fastjson.TypeNull:
		return types.NullValue
	case fastjson.TypeTrue:
		return types.True
	case fastjson.TypeFalse:
		return types.False
	case fastjson.TypeString:
		return types.String(stringOf(v))
	case fastjson.TypeNumber:
		n, err := value.JSONNumber(a.numberText(v))
		if err != nil {
			return celErr(failf("a field that the expression reads is %v", err))
		}
		if i, ok := n.(int64); ok {
			return types.Int(i)
		}
		return dec{n.(*apd.Decimal)}
	case fastjson.TypeArray:
		return jsonList{a, v.GetArray()}
	default:
		return jsonMap{a, v}
	}
}

// jsonList is a JSON array in CEL.
type jsonList struct {
	a  *Activation
	vs []*fastjson.Value
}

var _ traits.Lister = jsonList{}

// ConvertToNative implements ref.Val; Go functions of the extension libraries ask for slices.
func (l jsonList) ConvertToNative(t reflect.Type) (any, error) {
	return l.materialize().ConvertToNative(t)
}

func (l jsonList) materialize() traits.Lister {
	out := make([]ref.Val, len(l.vs))
	for i, v := range l.vs {
		out[i] = l.a.toCEL(v)
	}
	return types.NewRefValList(types.DefaultTypeAdapter, out)
}

// ConvertToType implements ref.Val.
func (l jsonList) ConvertToType(t ref.Type) ref.Val {
	switch t {
	case types.ListType:
		return l
	case types.TypeType:
		return types.ListType
	}
	return celErr(failf("a list cannot be converted to %s", t.TypeName()))
}

// Equal implements ref.Val.
func (l jsonList) Equal(o ref.Val) ref.Val { return types.Bool(equal(l, o)) }

// Type implements ref.Val.
func (l jsonList) Type() ref.Type { return types.ListType }

// Value implements ref.Val.
func (l jsonList) Value() any { return l.vs }

// Add implements traits.Adder.
func (l jsonList) Add(o ref.Val) ref.Val { return l.materialize().Add(o) }

// Contains implements traits.Container.
func (l jsonList) Contains(v ref.Val) ref.Val { return types.Bool(contains(l, v)) }

// Get implements traits.Indexer.
func (l jsonList) Get(i ref.Val) ref.Val {
	n, ok := i.(types.Int)
	if !ok {
		return celErr(failf("the index of a list is not an int"))
	}
	if n < 0 || int64(n) >= int64(len(l.vs)) {
		return celErr(failf("an index is outside of its list"))
	}
	return l.a.toCEL(l.vs[n])
}

// Iterator implements traits.Iterable.
func (l jsonList) Iterator() traits.Iterator { return &listIterator{l: l} }

// Size implements traits.Sizer.
func (l jsonList) Size() ref.Val { return types.Int(len(l.vs)) }

// baseIterator gives iterators the rest of ref.Val, which nothing calls.
type baseIterator struct{}

// ConvertToNative implements ref.Val.
func (baseIterator) ConvertToNative(reflect.Type) (any, error) {
	return nil, errors.New("an iterator has no native form")
}

// ConvertToType implements ref.Val.
func (baseIterator) ConvertToType(ref.Type) ref.Val {
	return celErr(failf("an iterator cannot be converted"))
}

// Equal implements ref.Val.
func (baseIterator) Equal(ref.Val) ref.Val { return types.False }

// Type implements ref.Val.
func (baseIterator) Type() ref.Type { return types.IteratorType }

// Value implements ref.Val.
func (baseIterator) Value() any { return nil }

type listIterator struct {
	baseIterator
	l jsonList
	i int
}

// HasNext implements traits.Iterator.
func (it *listIterator) HasNext() ref.Val { return types.Bool(it.i < len(it.l.vs)) }

// Next implements traits.Iterator.
func (it *listIterator) Next() ref.Val {
	if it.i >= len(it.l.vs) {
		return nil
	}
	it.i++
	return it.l.a.toCEL(it.l.vs[it.i-1])
}

// jsonMap is a JSON object in CEL.
type jsonMap struct {
	a *Activation
	v *fastjson.Value
}

var _ traits.Mapper = jsonMap{}

// keys gives the names in document order, each once.
func (m jsonMap) keys() []string {
	o, err := m.v.Object()
	if err != nil {
		return nil
	}
	out := make([]string, 0, o.Len())
	seen := make(map[string]bool, o.Len())
	o.Visit(func(k []byte, _ *fastjson.Value) {
		if s := string(k); !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	})
	return out
}

// ConvertToNative implements ref.Val.
func (m jsonMap) ConvertToNative(t reflect.Type) (any, error) {
	out := make(map[ref.Val]ref.Val)
	for _, k := range m.keys() {
		out[types.String(k)] = m.a.toCEL(m.a.member(m.v, k))
	}
	return types.NewRefValMap(types.DefaultTypeAdapter, out).ConvertToNative(t)
}

// ConvertToType implements ref.Val.
func (m jsonMap) ConvertToType(t ref.Type) ref.Val {
	switch t {
	case types.MapType:
		return m
	case types.TypeType:
		return types.MapType
	}
	return celErr(failf("an object cannot be converted to %s", t.TypeName()))
}

// Equal implements ref.Val.
func (m jsonMap) Equal(o ref.Val) ref.Val { return types.Bool(equal(m, o)) }

// Type implements ref.Val.
func (m jsonMap) Type() ref.Type { return types.MapType }

// Value implements ref.Val.
func (m jsonMap) Value() any { return m.v }

// Contains implements traits.Container.
func (m jsonMap) Contains(k ref.Val) ref.Val {
	_, ok := m.Find(k)
	return types.Bool(ok)
}

// Find implements traits.Mapper. An index that is no string finds nothing.
func (m jsonMap) Find(k ref.Val) (ref.Val, bool) {
	s, ok := k.(types.String)
	if !ok {
		return nil, false
	}
	v := m.a.member(m.v, string(s))
	if v == nil {
		return nil, false
	}
	return m.a.toCEL(v), true
}

// Get implements traits.Indexer.
func (m jsonMap) Get(k ref.Val) ref.Val {
	v, ok := m.Find(k)
	if !ok {
		return celErr(failf("a field that the expression reads is missing"))
	}
	return v
}

// Iterator implements traits.Iterable.
func (m jsonMap) Iterator() traits.Iterator { return &keyIterator{keys: m.keys()} }

// Size implements traits.Sizer.
func (m jsonMap) Size() ref.Val { return types.Int(len(m.keys())) }

type keyIterator struct {
	baseIterator
	keys []string
}

// HasNext implements traits.Iterator.
func (it *keyIterator) HasNext() ref.Val { return types.Bool(len(it.keys) > 0) }

// Next implements traits.Iterator.
func (it *keyIterator) Next() ref.Val {
	if len(it.keys) == 0 {
		return nil
	}
	k := it.keys[0]
	it.keys = it.keys[1:]
	return types.String(k)
}

// fromCEL gives the Go form of a result, as value.Type.Convert takes it. It
// shares no memory with the event.
func fromCEL(v ref.Val) (any, *Failure) {
	b := budget(maxElements)
	return fromCELWithin(v, &b)
}

func fromCELWithin(v ref.Val, b *budget) (any, *Failure) {
	if !b.take() {
		return nil, failf("the result has more than %d elements", maxElements)
	}
	switch x := v.(type) {
	case types.Null:
		return nil, nil
	case types.Bool:
		return bool(x), nil
	case types.Int:
		return int64(x), nil
	case types.Uint:
		return uint64(x), nil
	case types.Double:
		return float64(x), nil
	case types.String:
		return strings.Clone(string(x)), nil
	case types.Bytes:
		return append([]byte{}, x...), nil
	case types.Timestamp:
		return x.UTC(), nil
	case types.Duration:
		return x.Duration, nil
	case dec:
		return x.d, nil
	case *types.Optional:
		return nil, failf("the result is an optional: add .orValue(...)")
	case traits.Lister:
		out := make([]any, 0, 8)
		for it := x.Iterator(); it.HasNext() == types.True; {
			e, f := fromCELWithin(it.Next(), b)
			if f != nil {
				return nil, f
			}
			out = append(out, e)
		}
		return out, nil
	case traits.Mapper:
		out := make(map[string]any)
		for it := x.Iterator(); it.HasNext() == types.True; {
			k := it.Next()
			s, ok := k.(types.String)
			if !ok {
				return nil, failf("the result is a map with a key that is not a string")
			}
			e, f := fromCELWithin(x.Get(k), b)
			if f != nil {
				return nil, f
			}
			out[strings.Clone(string(s))] = e
		}
		return out, nil
	case *types.Err:
		return nil, failureOrUnusable(x)
	}
	return nil, failf("the result is of type %s, which no column holds", v.Type().TypeName())
}
