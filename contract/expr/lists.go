// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	varint "encoding/binary"
	"slices"
	"strconv"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"github.com/cockroachdb/apd/v3"
)

// listFunc is a member function of lists.
type listFunc func(name string, l []ref.Val, args []ref.Val) ref.Val

// listDeclarations are the list functions of the Kubernetes and the CEL libraries
// (first and last come with CEL's optional types), with numbers as they are here.
func listDeclarations() []cel.EnvOption {
	t := cel.TypeParamType("T")
	listT := cel.ListType(t)
	list := func(id, name string, args []*cel.Type, result *cel.Type, do listFunc) cel.EnvOption {
		return cel.Function(name, cel.MemberOverload(id, args, result, cel.FunctionBinding(func(vals ...ref.Val) ref.Val {
			l, f := elementsOfList(name, vals[0])
			if f != nil {
				return celErr(f)
			}
			return do(name, l, vals[1:])
		})))
	}
	return []cel.EnvOption{
		list("list_sum", "sum", []*cel.Type{listT}, t, listSum),
		list("list_min", "min", []*cel.Type{listT}, t, func(name string, l, _ []ref.Val) ref.Val { return listExtreme(name, l, -1) }),
		list("list_max", "max", []*cel.Type{listT}, t, func(name string, l, _ []ref.Val) ref.Val { return listExtreme(name, l, 1) }),
		list("list_is_sorted", "isSorted", []*cel.Type{listT}, cel.BoolType, listIsSorted),
		list("list_sort", "sort", []*cel.Type{listT}, listT, listSort),
		list("list_reverse", "reverse", []*cel.Type{listT}, listT, func(_ string, l, _ []ref.Val) ref.Val {
			slices.Reverse(l)
			return newList(l)
		}),
		list("list_distinct", "distinct", []*cel.Type{listT}, listT, listDistinct),
		list("list_flatten", "flatten", []*cel.Type{cel.ListType(cel.DynType)}, cel.ListType(cel.DynType), listFlatten),
		list("list_slice", "slice", []*cel.Type{listT, cel.IntType, cel.IntType}, listT, listSlice),
		list("list_index_of", "indexOf", []*cel.Type{cel.ListType(cel.DynType), cel.DynType}, cel.IntType, listIndexOf),
		list("list_last_index_of", "lastIndexOf", []*cel.Type{cel.ListType(cel.DynType), cel.DynType}, cel.IntType, listLastIndexOf),
	}
}

func newList(l []ref.Val) ref.Val { return types.NewRefValList(types.DefaultTypeAdapter, l) }

// elementsOfList gives the elements in a slice of its own.
func elementsOfList(name string, v ref.Val) ([]ref.Val, *Failure) {
	l, ok := v.(traits.Lister)
	if !ok {
		return nil, failf("%s does not work on %s", name, describeCEL(v))
	}
	n := int64(l.Size().(types.Int))
	if n > maxElements {
		return nil, failf("%s gets a list of more than %d elements", name, maxElements)
	}
	out := make([]ref.Val, 0, n)
	for it := l.Iterator(); it.HasNext() == types.True; {
		e := it.Next()
		if err, bad := e.(*types.Err); bad {
			return nil, failureOrUnusable(err)
		}
		out = append(out, e)
	}
	return out, nil
}

// listSum adds as + does; nothing is the int 0.
func listSum(name string, l, _ []ref.Val) ref.Val {
	var sum ref.Val = types.Int(0)
	for _, e := range l {
		if _, ok := asDecimal(e); !ok {
			return celErr(failf("%s gets a list with %s in it, expected numbers", name, describeCEL(e)))
		}
		if sum = redeclared["_+_"](sum, e); types.IsError(sum) {
			return sum
		}
	}
	return sum
}

// listExtreme is min (sign -1) and max (sign 1); of equal elements the first.
func listExtreme(name string, l []ref.Val, sign int) ref.Val {
	if len(l) == 0 {
		return celErr(failf("%s gets an empty list (write list.size() > 0 ? list.%s() : ...)", name, name))
	}
	best := l[0]
	if _, ok := compare(best, best); !ok {
		return celErr(failf("%s does not work on a list of which an element is %s", name, describeCEL(best)))
	}
	for _, e := range l[1:] {
		c, ok := compare(e, best)
		if !ok {
			return celErr(unordered(name, e, best))
		}
		if c*sign > 0 {
			best = e
		}
	}
	return best
}

func unordered(name string, x, y ref.Val) *Failure {
	return failf("%s does not work on a list with %s and %s in it", name, describeCEL(x), describeCEL(y))
}

func listIsSorted(name string, l, _ []ref.Val) ref.Val {
	for i := 1; i < len(l); i++ {
		c, ok := compare(l[i-1], l[i])
		if !ok {
			return celErr(unordered(name, l[i-1], l[i]))
		}
		if c > 0 {
			return types.False
		}
	}
	return types.True
}

// listSort keeps equal elements (1 and 1.0) as they stand.
func listSort(name string, l, _ []ref.Val) ref.Val {
	for _, e := range l {
		// Each with the first: then any two compare, and the order is one.
		if _, ok := compare(e, l[0]); !ok {
			return celErr(unordered(name, e, l[0]))
		}
	}
	slices.SortStableFunc(l, func(x, y ref.Val) int {
		c, _ := compare(x, y)
		return c
	})
	return newList(l)
}

func listSlice(name string, l, args []ref.Val) ref.Val {
	from, to := args[0].(types.Int), args[1].(types.Int)
	if from < 0 || to < from || int64(to) > int64(len(l)) {
		return celErr(failf("%s gets places that are not within its list, the first before the second", name))
	}
	return newList(l[from:to])
}

func listIndexOf(name string, l, args []ref.Val) ref.Val {
	b := budget(maxElements)
	for i, e := range l {
		if equalWithin(e, args[0], &b) {
			return types.Int(i)
		}
	}
	return notFound(name, b)
}

func listLastIndexOf(name string, l, args []ref.Val) ref.Val {
	b := budget(maxElements)
	for i, e := range slices.Backward(l) {
		if equalWithin(e, args[0], &b) {
			return types.Int(i)
		}
	}
	return notFound(name, b)
}

func notFound(name string, b budget) ref.Val {
	if b < 0 {
		return celErr(failf("%s looks at more than %d elements", name, maxElements))
	}
	return types.Int(-1)
}

// listFlatten takes lists among the elements apart, one level deep.
func listFlatten(name string, l, _ []ref.Val) ref.Val {
	var out []ref.Val
	for _, e := range l {
		if _, ok := e.(traits.Lister); !ok {
			out = append(out, e)
			continue
		}
		inner, f := elementsOfList(name, e)
		if f != nil {
			return celErr(f)
		}
		if out = append(out, inner...); len(out) > maxElements {
			return celErr(tooLong())
		}
	}
	return newList(out)
}

// maxDistinctBytes bounds what distinct compares, in bytes.
const maxDistinctBytes = 16 << 20

// listDistinct keeps the first of equal elements.
func listDistinct(name string, l, _ []ref.Val) ref.Val {
	seen := make(map[string]bool, len(l))
	b := budget(maxElements)
	bytes := 0
	out := l[:0]
	for _, e := range l {
		key, f := appendIdentity(nil, e, &b)
		if f != nil {
			return celErr(f)
		}
		if bytes += len(key); bytes > maxDistinctBytes || b < 0 {
			return celErr(failf("%s looks at more than %d elements or %d bytes", name, maxElements, maxDistinctBytes))
		}
		if !seen[string(key)] {
			seen[string(key)] = true
			out = append(out, e)
		}
	}
	return newList(out)
}

// appendIdentity writes a value so that two are the same exactly if they are equal (equalWithin).
func appendIdentity(dst []byte, v ref.Val, b *budget) ([]byte, *Failure) {
	if !b.take() || len(dst) > maxDistinctBytes {
		return dst, nil
	}
	sized := func(tag byte, s string) []byte {
		return append(varint.AppendUvarint(append(dst, tag), uint64(len(s))), s...)
	}
	switch x := v.(type) {
	case types.Null:
		return append(dst, '0'), nil
	case types.Bool:
		return append(dst, strconv.FormatBool(bool(x))[0]), nil
	case types.Int, dec:
		d, _ := asDecimal(x)
		var reduced apd.Decimal
		reduced.Reduce(d)
		if reduced.Coeff.Sign() == 0 {
			reduced.Negative = false
		}
		return sized('n', reduced.Text('E')), nil
	case types.String:
		return sized('s', string(x)), nil
	case types.Bytes:
		return sized('b', string(x)), nil
	case types.Timestamp:
		return sized('t', x.UTC().Format(time.RFC3339Nano)), nil
	case types.Duration:
		return varint.BigEndian.AppendUint64(append(dst, 'd'), uint64(x.Duration)), nil
	case traits.Mapper:
		dst = varint.AppendUvarint(append(dst, '{'), uint64(x.Size().(types.Int)))
		var keys []ref.Val
		for it := x.Iterator(); it.HasNext() == types.True; {
			keys = append(keys, it.Next())
		}
		slices.SortFunc(keys, compareKeys)
		for _, k := range keys {
			var f *Failure
			if dst, f = appendIdentity(dst, k, b); f != nil {
				return nil, f
			}
			if dst, f = appendIdentity(dst, x.Get(k), b); f != nil {
				return nil, f
			}
		}
		return dst, nil
	case traits.Lister:
		dst = varint.AppendUvarint(append(dst, '['), uint64(x.Size().(types.Int)))
		for it := x.Iterator(); it.HasNext() == types.True; {
			var f *Failure
			if dst, f = appendIdentity(dst, it.Next(), b); f != nil {
				return nil, f
			}
		}
		return dst, nil
	case *types.Err:
		return nil, failureOrUnusable(x)
	}
	return nil, failf("distinct does not work on a list with %s in it", describeCEL(v))
}
