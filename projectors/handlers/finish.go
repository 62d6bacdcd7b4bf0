// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"

	"github.com/projectionist-dev/projectionist/contract/expr"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
)

// finisher computes a model's generated columns and tests its checks. It is
// called from any goroutine.
type finisher struct {
	program   *Program
	generated []operand
	checks    []check
	deleted   int
}

type check struct {
	path string
	prg  *expr.Program
}

var _ fold.Finisher = (*finisher)(nil)

// finisher compiles what is evaluated after each event.
func (b *modelBuilder) finisher() {
	f := &finisher{program: b.program, deleted: b.deleted}
	opts := expr.Options{Scope: expr.ScopeRow, Row: b.row}
	for i := range b.spec.Columns {
		src := b.spec.Columns[i].Generated
		if src == "" {
			continue
		}
		o, ok := b.operand(operand{path: fmt.Sprintf("%s.columns[%s].generated", b.path, b.spec.Columns[i].Name), index: i, role: roleGenerated}, src, opts)
		if !ok {
			continue
		}
		for _, later := range b.spec.Columns[i:] {
			if later.Generated != "" && o.prg.Uses("row."+later.Name) {
				b.errorf(o.path, "column %s is generated and not declared before this one: move it up", later.Name)
			}
		}
		f.generated = append(f.generated, o)
	}
	for _, c := range b.spec.Checks {
		at := fmt.Sprintf("%s.checks[%s]", b.path, c.Name)
		if prg := b.condition(at, c.Rule, opts); prg != nil {
			f.checks = append(f.checks, check{at, prg})
		}
	}
	if len(f.generated)+len(f.checks) > 0 {
		b.model.Finish = f
	}
}

// Finish implements fold.Finisher. The tombstone of a row is left as it is.
func (f *finisher) Finish(row []value.Value) ([]value.Value, error) {
	if isDeleted(f.deleted, row) {
		return row, nil
	}
	r := f.program.rowEvaluator(row)
	defer f.program.release(r)
	for i := range f.generated {
		o := &f.generated[i]
		v, err := o.eval(&r.act)
		if err != nil {
			return nil, &fold.RowError{Reason: err.Reason, Path: err.Path, Message: err.Message}
		}
		row[o.index] = v
	}
	for i := range f.checks {
		c := &f.checks[i]
		v, err := c.prg.Eval(&r.act)
		if err != nil {
			return nil, &fold.RowError{Reason: ReasonHandlerError, Path: c.path, Message: err.Error()}
		}
		switch v {
		case true:
		case false, nil:
			return nil, &fold.RowError{Reason: ReasonConstraintViolation, Path: c.path, Message: "the row does not meet " + subject(c.prg)}
		default:
			return nil, &fold.RowError{Reason: ReasonHandlerError, Path: c.path, Message: fmt.Sprintf("%s is %s, expected a bool", subject(c.prg), value.Describe(v))}
		}
	}
	return row, nil
}
