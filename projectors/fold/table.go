// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package fold

import "github.com/projectionist-dev/projectionist/contract/value"

// table holds the mutations of one model since its last cut, and the fan-outs
// that follow them.
type table struct {
	model   *Model
	columns []column
	index   index
	muts    []mutation
	keys    []value.Value // len(model.Key) for each mutation
	slab    []cell        // where new cells are cut from
	shapes  map[string]string
	fanOuts []fanOut
	cut     []*table // what came before, each with fan-outs; none of them has a cut itself
}

func (t *table) init(m *Model) {
	t.model = m
	t.columns = make([]column, len(m.Columns))
	for i := range t.columns {
		t.columns[i] = column{&m.Columns[i], newNumeric(&m.Columns[i])}
	}
}

// add makes an identity mutation. The key's string is copied by the caller.
func (t *table) add(hash uint32, key string, values []value.Value) int32 {
	i := int32(len(t.muts))
	t.muts = append(t.muts, mutation{key: key})
	t.keys = append(t.keys, values...)
	t.index.add(hash)
	return i
}

func (t *table) removeLast() {
	last := len(t.muts) - 1
	t.index.removeLast(hashOf([]byte(t.muts[last].key)))
	t.muts[last] = mutation{}
	t.muts = t.muts[:last]
	t.keys = t.keys[:last*len(t.model.Key)]
}

func (t *table) keyOf(i int) []value.Value {
	w := len(t.model.Key)
	return t.keys[i*w : (i+1)*w : (i+1)*w]
}

// cutOff puts what is there aside, so that what comes is applied after it.
func (t *table) cutOff() {
	before := *t
	before.cut = nil
	*t = table{model: t.model, columns: t.columns, cut: append(t.cut, &before)}
}

// join takes back a cutOff after which nothing came.
func (t *table) join() {
	cut := t.cut
	*t = *cut[len(cut)-1]
	t.cut = cut[:len(cut)-1]
}

func (t *table) reset() {
	t.slab, t.cut, t.fanOuts = nil, nil, nil
	if len(t.muts) > keepMutations {
		t.index, t.muts, t.keys = index{}, nil, nil
		return
	}
	t.index.reset()
	clear(t.muts)
	clear(t.keys)
	t.muts, t.keys = t.muts[:0], t.keys[:0]
}

// mutationOf is the normal form of one blind effect.
func (t *table) mutationOf(e *Effect) mutation {
	if e.Delete {
		return mutation{base: gone, absent: same}
	}
	m := mutation{base: own, absent: same}
	if e.IgnoreAbsent {
		m.absent = stays
	}
	for i := range e.Changes {
		if c, ok := changeCell(&t.columns[e.Changes[i].Column], &e.Changes[i]); ok {
			m.cells = append(m.cells, c)
		}
	}
	return m
}

func (m *mutation) bytes() int {
	n := 0
	for i := range m.cells {
		n += m.cells[i].bytes()
	}
	if m.rare != nil {
		n += cellBytes * (2 + len(m.rare.guards) + len(m.rare.absent.cells))
	}
	return n
}

func sizeOf(v value.Value) int {
	switch x := v.(type) {
	case string:
		return len(x)
	case value.JSON:
		return len(x)
	case []byte:
		return len(x)
	case []value.Value:
		n := 0
		for _, e := range x {
			n += 24 + sizeOf(e)
		}
		return n
	default:
		return 8
	}
}
