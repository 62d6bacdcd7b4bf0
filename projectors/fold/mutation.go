// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package fold

// base is what an arm's cells stand on.
type base uint8

const (
	own    base = iota // the row as it was: the cells are functions of it
	fresh              // a new row of defaults: the cells are constants
	gone               // no row, no cells
	failed             // the steps so far overflow
)

// absent says what the mutation does where there is no row.
type absent uint8

const (
	stays absent = iota // nothing
	same                // the same as where there is a row; for own cells, applied to the defaults
	apart               // rare.absent
)

// mutation is M=(A,P) of one row, after the steps of seq if there are any. P is base and cells. A is mostly implied by
// them (absent), which halves the memory and is what one SQL statement can
// say; only where it is not, or where overwritten adds must still be checked
// against the row, rare is set. The zero mutation is the identity.
type mutation struct {
	key    string
	cells  []cell
	rare   *rare
	seq    *sequence
	base   base
	absent absent
}

type rare struct {
	// guards are adds that were overwritten or deleted later: whether they
	// overflowed depends on the row. A column occurs once. The cells' base is own.
	guards []cell
	// absent is A when it is apart; never own.
	absent arm
	// col is the column that overflowed when the mutation's base is failed.
	col int
}

// arm is what becomes of one starting point.
type arm struct {
	base  base
	cells []cell
	col   int
}

func find(cells []cell, col int) int {
	for i := range cells {
		if int(cells[i].col) == col {
			return i
		}
	}
	return -1
}

func copyCells(cells []cell) []cell {
	out := make([]cell, len(cells))
	for i := range cells {
		out[i] = cells[i].copied()
	}
	return out
}

func (m *mutation) copied() mutation {
	out := *m
	out.cells = copyCells(m.cells)
	out.seq = m.seq.copied()
	if m.rare != nil {
		r := *m.rare
		r.guards = copyCells(r.guards)
		r.absent.cells = copyCells(r.absent.cells)
		out.rare = &r
	}
	return out
}

func (m *mutation) identity() bool { return m.seq == nil && m.idle() }

// idle tells whether the mutation does nothing after its steps.
func (m *mutation) idle() bool {
	return m.base == own && m.absent == stays && len(m.cells) == 0 && m.rare == nil
}

func (m *mutation) extra() *rare {
	if m.rare == nil {
		m.rare = &rare{}
	}
	return m.rare
}

// bothFail tells whether the mutation overflows present row or not.
func (m *mutation) bothFail() (col int, ok bool) {
	if m.base != failed {
		return 0, false
	}
	return m.rare.col, m.absent == same || m.absent == apart && m.rare.absent.base == failed
}

// then composes o after m, in place. It never fails: what overflows becomes a failed arm.
func (t *table) then(m, o *mutation) {
	switch {
	case o.identity():
		return
	case m.identity():
		key := m.key
		*m = o.copied()
		m.key = key
		return
	case o.seq != nil:
		seq := m.closed().followedBy(o.seq)
		key := m.key
		*m = o.copied()
		m.key, m.seq = key, seq
		return
	case m.idle():
		key, seq := m.key, m.seq
		*m = o.copied()
		m.key, m.seq = key, seq
		return
	}
	was := m.absent
	var a arm
	if was != same {
		a = t.thenAbsent(m, o)
	}
	t.thenPresent(m, o)
	if was == same {
		return
	}
	switch {
	case a.base == gone && m.base == gone,
		a.base == fresh && m.base == fresh && o.base == fresh && o.absent == same:
		m.absent = same
	case a.base == gone:
		m.absent = stays
	default:
		m.absent = apart
		m.extra().absent = a
	}
}

// thenAbsent gives A of the composition where m's is not the same as its P.
func (t *table) thenAbsent(m, o *mutation) arm {
	if m.absent == stays || m.rare.absent.base == gone {
		return t.absentArm(o)
	}
	a := m.rare.absent
	if a.base == failed {
		return a
	}
	row := mutation{base: a.base, cells: copyCells(a.cells), absent: same}
	t.thenPresent(&row, o)
	return row.arm()
}

// arm reads P of a mutation whose cells are constants.
func (m *mutation) arm() arm {
	a := arm{base: m.base, cells: m.cells}
	if m.base == failed {
		a.col = m.rare.col
	}
	return a
}

// become makes a the P of m, whose guards stay.
func (t *table) become(m *mutation, a arm) {
	m.base, m.cells = a.base, a.cells
	if a.base == failed {
		m.extra().col = a.col
	}
}

// absentArm is what o makes of an absent row.
func (t *table) absentArm(o *mutation) arm {
	switch {
	case o.absent == stays:
		return arm{base: gone}
	case o.absent == apart:
		a := o.rare.absent
		a.cells = copyCells(a.cells)
		return a
	case o.base != own:
		a := o.arm()
		a.cells = copyCells(a.cells)
		return a
	}
	a := arm{base: fresh, cells: make([]cell, 0, len(o.cells))}
	for i := range o.cells {
		c := &o.cells[i]
		v, ok := c.on(&t.columns[c.col], t.columns[c.col].Default)
		if !ok {
			return arm{base: failed, col: int(c.col)}
		}
		a.cells = append(a.cells, cell{kind: cellSet, col: c.col, val: v})
	}
	return a
}

// thenPresent composes P of o after P of m, where that is a row.
func (t *table) thenPresent(m, o *mutation) {
	switch m.base {
	case failed:
		return
	case gone:
		t.become(m, t.absentArm(o))
		return
	}
	if o.rare != nil {
		for i := range o.rare.guards {
			if !t.guard(m, &o.rare.guards[i]) {
				return
			}
		}
	}
	switch o.base {
	case own:
		for i := range o.cells {
			if !t.thenCell(m, &o.cells[i]) {
				return
			}
		}
	case fresh, gone:
		t.overwriteAll(m)
		m.base, m.cells = o.base, copyCells(o.cells)
	case failed:
		t.fail(m, o.rare.col)
	}
}

func (t *table) fail(m *mutation, col int) {
	m.base, m.cells = failed, nil
	m.extra().col = col
}

// thenCell composes one column; false when m has failed.
func (t *table) thenCell(m *mutation, o *cell) bool {
	k := &t.columns[o.col]
	i := find(m.cells, int(o.col))
	if i < 0 {
		if m.base == own {
			m.cells = append(m.cells, o.copied())
			return true
		}
		i = len(m.cells)
		m.cells = append(m.cells, cell{kind: cellSet, col: o.col, val: k.Default})
	}
	c := &m.cells[i]
	if o.kind == cellSet {
		t.overwrite(m, *c)
	}
	next, ok := c.then(k, o)
	if !ok {
		t.fail(m, int(o.col))
		return false
	}
	*c = next
	return true
}

// guard composes a guard of the mutation that follows; false when m has failed.
func (t *table) guard(m *mutation, g *cell) bool {
	k := &t.columns[g.col]
	i := find(m.cells, int(g.col))
	switch {
	case i >= 0 && (m.base == fresh || m.cells[i].kind == cellSet):
		if _, ok := g.on(k, m.cells[i].constant(k)); !ok {
			t.fail(m, int(g.col))
			return false
		}
	case m.base == fresh:
		if _, ok := g.on(k, k.Default); !ok {
			t.fail(m, int(g.col))
			return false
		}
	case i < 0:
		t.overwrite(m, *g)
	default:
		next, ok := m.cells[i].then(k, g)
		if !ok {
			t.fail(m, int(g.col))
			return false
		}
		t.overwrite(m, next)
		// The column is overwritten by what follows: nothing is left of it to guard.
		m.cells[i] = cell{kind: cellSet, col: g.col}
	}
	return true
}

// overwrite remembers a function that a row may overflow in, before it is lost.
func (t *table) overwrite(m *mutation, c cell) {
	if m.base != own || !c.counts() {
		return
	}
	r := m.extra()
	r.guards = append(r.guards, c)
	if m.absent != same {
		return
	}
	// Where there is no row, it is known now.
	if _, ok := c.on(&t.columns[c.col], t.columns[c.col].Default); !ok {
		m.absent = apart
		r.absent = arm{base: failed, col: int(c.col)}
	}
}

func (t *table) overwriteAll(m *mutation) {
	for i := range m.cells {
		t.overwrite(m, m.cells[i])
	}
}
