// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"math/big"
	"slices"

	"github.com/cockroachdb/apd/v3"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/expr"
	"github.com/projectionist-dev/projectionist/contract/value"
)

// Assertion is what became of one.
type Assertion struct {
	Name, Model string
	// Over is true where it is on the table as a whole.
	Over bool
	// Tested counts the rows of the model, Broken those that do not meet it; over the whole table Broken is 1 or 0.
	Tested, Broken int64
	// Why says why it could not be evaluated, "" where it could; of several rows, of the first.
	Why string
	// Rows are the first rows that do not meet it, up to Options.Differences, with a value for each of the model's own columns.
	Rows [][]value.Value
	// Values are those that a condition over the whole table read, by name, in canonical text.
	Values map[string]string
}

// Holds tells whether it does.
func (a *Assertion) Holds() bool { return a.Broken == 0 }

// InvalidAssertionError says that an assertion does not compile against the revision.
type InvalidAssertionError struct {
	Assertion contract.Assertion
	Message   string
}

func (e *InvalidAssertionError) Error() string {
	return fmt.Sprintf("%s: it cannot be evaluated on this revision: %s", e.Assertion.Path(), e.Message)
}

// assertions are those of a run.
type assertions struct {
	all     []*assertion
	byModel [][]*assertion
	// deleted is the index of the mark of tombstones by model, -1 for none.
	deleted []int
	limit   int
	act     expr.Activation
}

// assertion is one with what it has seen.
type assertion struct {
	Assertion
	program *expr.Program
	// types are those of the model's columns; variables, of and totals are those of a condition over the whole table.
	types     []value.Type
	variables []expr.Column
	of        []expr.Aggregate
	totals    []total
}

func newAssertions(o *Options) (*assertions, error) {
	out := &assertions{byModel: make([][]*assertion, len(o.Contract.Models)), limit: o.Differences}
	for i := range o.Contract.Models {
		m := &o.Contract.Models[i]
		out.deleted = append(out.deleted, -1)
		if m.KeepsDeleted() {
			out.deleted[i] = len(m.Columns)
		}
	}
	for _, spec := range o.Assertions {
		m := slices.IndexFunc(o.Contract.Models, func(m contract.Model) bool { return m.Name == spec.Model })
		if m < 0 {
			return nil, &InvalidAssertionError{spec, "there is no model " + spec.Model}
		}
		a, err := newAssertion(spec, &o.Contract.Models[m])
		if err != nil {
			return nil, &InvalidAssertionError{spec, err.Error()}
		}
		out.all, out.byModel[m] = append(out.all, a), append(out.byModel[m], a)
	}
	return out, nil
}

func newAssertion(spec contract.Assertion, m *contract.Model) (*assertion, error) {
	a := &assertion{Assertion: Assertion{Name: spec.Name, Model: spec.Model, Over: spec.All != ""}}
	var columns []expr.Column
	for i := range m.Columns {
		c := &m.Columns[i]
		t, err := value.Parse(c.Type)
		if err != nil {
			return nil, err
		}
		a.types = append(a.types, t)
		columns = append(columns, expr.Column{Name: c.Name, Type: t, NotNull: c.NotNull || slices.Contains(m.Key, c.Name)})
	}
	source, o := spec.Row, expr.Options{Scope: expr.ScopeRow, Row: columns}
	if a.Over {
		a.variables, a.of = expr.TableColumns(columns)
		source, o = spec.All, expr.Options{Scope: expr.ScopeTable, Row: a.variables}
	}
	p, err := expr.Compile(source, o)
	if err != nil {
		return nil, err
	}
	a.program = p
	for i := range a.of {
		a.totals = append(a.totals, total{used: p.Uses(a.variables[i].Name)})
	}
	return a, nil
}

// about tells whether there is an assertion on a model.
func (s *assertions) about(model int) bool { return len(s.byModel[model]) > 0 }

// row takes one row of the table.
func (s *assertions) row(model int, row []value.Value) {
	if d := s.deleted[model]; d >= 0 && row[d] == true {
		return
	}
	for _, a := range s.byModel[model] {
		a.Tested++
		if a.Over {
			for i := range a.totals {
				a.totals[i].add(a.of[i], row)
			}
			continue
		}
		s.act.Row = row[:len(a.types)]
		holds, err := a.program.EvalBool(&s.act)
		if holds {
			continue
		}
		if a.Broken++; err != nil && a.Why == "" {
			a.Why = err.Error()
		}
		if len(a.Rows) < s.limit {
			a.Rows = append(a.Rows, slices.Clone(s.act.Row))
		}
	}
}

// results gives what became of the assertions.
func (s *assertions) results() []Assertion {
	var out []Assertion
	for _, a := range s.all {
		if a.Over {
			s.decide(a)
		}
		out = append(out, a.Assertion)
	}
	return out
}

// decide evaluates a condition over the whole table.
func (s *assertions) decide(a *assertion) {
	s.act.Row = make([]value.Value, len(a.totals))
	a.Broken, a.Values = 1, map[string]string{}
	for i := range a.totals {
		if !a.totals[i].used {
			continue
		}
		v, err := a.totals[i].value(a.of[i], a.Tested)
		if err != nil {
			a.Why = a.variables[i].Name + ": " + err.Error()
			return
		}
		s.act.Row[i] = v
		a.Values[a.variables[i].Name] = text(a.variables[i].Type, a.of[i], v)
	}
	holds, err := a.program.EvalBool(&s.act)
	switch {
	case err != nil:
		a.Why = err.Error()
	case holds:
		a.Broken = 0
	}
}

func text(t value.Type, of expr.Aggregate, v value.Value) string {
	switch d, ok := v.(*apd.Decimal); {
	case v == nil:
		return "null"
	case ok && of.Of == "sum":
		return d.Text('f')
	}
	return t.Format(v)
}

// total is one aggregate. Sums are kept exactly, however many rows there are.
type total struct {
	used   bool
	whole  big.Int
	exact  apd.Decimal
	extent value.Value
}

// exactly adds without rounding.
var exactly = apd.Context{MaxExponent: apd.MaxExponent, MinExponent: apd.MinExponent}

func (t *total) add(of expr.Aggregate, row []value.Value) {
	if !t.used || of.Column < 0 {
		return
	}
	v := row[of.Column]
	if v == nil {
		return
	}
	switch of.Of {
	case "sum":
		switch x := v.(type) {
		case int64:
			t.whole.Add(&t.whole, big.NewInt(x))
		case *apd.Decimal:
			// Without a precision there is nothing that could fail: column values are finite and of a bounded scale.
			_, _ = exactly.Add(&t.exact, &t.exact, x)
		}
	case "min":
		if t.extent == nil || value.Compare(v, t.extent) < 0 {
			t.extent = v
		}
	case "max":
		if t.extent == nil || value.Compare(v, t.extent) > 0 {
			t.extent = v
		}
	}
}

func (t *total) value(of expr.Aggregate, count int64) (value.Value, error) {
	switch of.Of {
	case "count":
		return count, nil
	case "sum":
		out := new(apd.Decimal)
		if t.whole.Sign() != 0 {
			out.Coeff.SetMathBigInt(new(big.Int).Abs(&t.whole))
			out.Negative = t.whole.Sign() < 0
		} else {
			out.Set(&t.exact)
		}
		return out, value.CheckNumber(out)
	}
	return t.extent, nil
}
