// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/fold"
)

func stock() contract.Model {
	return contract.Model{
		Name: "stock", Key: []string{"id"},
		Columns: []contract.Column{
			{Name: "id", Type: "text"}, {Name: "on_hand", Type: "int32", Default: ptr("0")}, {Name: "reserved", Type: "int32"},
			{Name: "free", Type: "decimal(6,1)", Generated: "row.reserved == null ? row.on_hand : row.on_hand - row.reserved"},
			{Name: "state", Type: "text", Enum: []string{"some", "none"}, NotNull: true, Generated: "row.free > 50.0 ? 'much' : row.free > 0.0 ? 'some' : row.free == 0.0 ? 'none' : dyn(null)"},
		},
		Checks: []contract.Check{{Name: "enough", Rule: "row.reserved <= row.on_hand"}, {Name: "odd", Rule: "row.on_hand == 13 ? dyn(null) : true"}},
		Handlers: []contract.Handler{
			{Name: "h", Topic: "t", OnAbsent: "Create", Key: exprs("id", "event.id"), Add: exprs("on_hand", "event.n")},
		},
	}
}

func TestFinish(t *testing.T) {
	p := compile(t, one(stock()))
	f := p.Models()[0].Finish
	for _, tt := range []struct {
		name string
		row  []string
		want string
	}{
		{"computed in order", []string{"on_hand", "5", "reserved", "2"}, "free=3.0 state=some"},
		{"generated again", []string{"on_hand", "5", "reserved", "5", "free", "99", "state", "some"}, "free=0.0 state=none"},
		{"check fails", []string{"on_hand", "5", "reserved", "6", "free", "0"}, "ConstraintViolation models[stock].columns[state].generated: the result is null, and the column is notNull (column state)"},
		{"generated breaks a rule", []string{"on_hand", "90", "reserved", "1"}, "ConstraintViolation models[stock].columns[state].generated: the result is not one of the values in the column's enum (column state)"},
		{"check is null", []string{"on_hand", "13", "reserved", "1"}, "ConstraintViolation models[stock].checks[odd]: the row does not meet (row.on_hand == 13) ? dyn(null) : true"},
		{"check has no value", []string{"on_hand", "5"}, "HandlerError models[stock].checks[enough]: row.reserved is null, expected a number"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			row, err := f.Finish(rowOf(t, p, append(tt.row, "id", "a")...))
			var got string
			var re *fold.RowError
			if errors.As(err, &re) {
				got = re.Reason + " " + re.Path + ": " + re.Message
			} else {
				m := &p.Models()[0]
				got = fmt.Sprintf("free=%s state=%s", text(&m.Columns[3], row[3]), text(&m.Columns[4], row[4]))
			}
			if got != tt.want {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestCheckIsFalse(t *testing.T) {
	m := stock()
	m.Columns = m.Columns[:3]
	p := compile(t, one(m))
	_, err := p.Models()[0].Finish.Finish(rowOf(t, p, "on_hand", "5", "reserved", "6"))
	if diff := cmp.Diff(&fold.RowError{Reason: ReasonConstraintViolation, Path: "models[stock].checks[enough]", Message: "the row does not meet row.reserved <= row.on_hand"}, err); diff != "" {
		t.Error(diff)
	}
}

// Models without checks and generated columns have no Finisher, so that their rows need not be read.
func TestNothingToFinish(t *testing.T) {
	if f := compile(t, one(items(contract.Handler{Delete: true}))).Models()[0].Finish; f != nil {
		t.Errorf("%v", f)
	}
}

func TestTombstonesAreNotFinished(t *testing.T) {
	m := versioned()
	m.Checks = []contract.Check{{Name: "c", Rule: "row.price > 1.0"}}
	p := compile(t, one(m))
	f := p.Models()[0].Finish
	if _, err := f.Finish(rowOf(t, p, "id", "a", "v", "1", "_deleted", "true")); err != nil {
		t.Error(err)
	}
	if _, err := f.Finish(rowOf(t, p, "id", "a", "v", "1")); err == nil {
		t.Error("the check was not tested")
	}
}

func TestFinishersRunConcurrently(t *testing.T) {
	p := compile(t, one(stock()))
	f := p.Models()[0].Finish
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 100 {
				row, err := f.Finish(rowOf(t, p, "on_hand", fmt.Sprint(i+20), "reserved", "1"))
				if err != nil || text(&p.Models()[0].Columns[3], row[3]) != fmt.Sprintf("%d.0", i+19) {
					t.Error(row, err)
				}
			}
		})
	}
	wg.Wait()
}
