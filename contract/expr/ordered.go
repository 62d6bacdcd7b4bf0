// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"cmp"
	"slices"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

// orderedMap gives the keys of a map of CEL's own, which is a Go map, in order: macros
// over it would otherwise have another result each time.
type orderedMap struct{ traits.Mapper }

// Iterator implements traits.Iterable.
func (m orderedMap) Iterator() traits.Iterator {
	var keys []ref.Val
	for it := m.Mapper.Iterator(); it.HasNext() == types.True; {
		keys = append(keys, it.Next())
	}
	slices.SortFunc(keys, compareKeys)
	return &valueIterator{values: keys}
}

// compareKeys orders keys of maps, those of unlike types by the types' names.
func compareKeys(x, y ref.Val) int {
	if c, ok := compare(x, y); ok {
		return c
	}
	return cmp.Compare(x.Type().TypeName(), y.Type().TypeName())
}

type valueIterator struct {
	baseIterator
	values []ref.Val
}

// HasNext implements traits.Iterator.
func (it *valueIterator) HasNext() ref.Val { return types.Bool(len(it.values) > 0) }

// Next implements traits.Iterator.
func (it *valueIterator) Next() ref.Val {
	if len(it.values) == 0 {
		return nil
	}
	v := it.values[0]
	it.values = it.values[1:]
	return v
}

// mapLiteral makes an orderedMap of {"k": v}.
type mapLiteral struct {
	interpreter.InterpretableConstructor
}

// Exec implements interpreter.InterpretableV2.
func (l *mapLiteral) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	v := l.InterpretableConstructor.Exec(frame)
	if m, ok := v.(traits.Mapper); ok {
		return orderedMap{m}
	}
	return v
}

// Eval implements interpreter.Interpretable.
func (l *mapLiteral) Eval(vars interpreter.Activation) ref.Val {
	return interpreter.EvalActivation(vars, l.Exec)
}
