// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"strings"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/contract/value"
)

func tableOptions(noFast bool) (Options, []value.Value) {
	columns, of := TableColumns(rowColumns)
	row := make([]value.Value, len(of))
	for i, a := range of {
		switch full := fullRow(); {
		case a.Column < 0:
			row[i] = int64(3)
		case a.Of == "sum":
			row[i] = decimal("61.50")
		case a.Of == "max" && rowColumns[a.Column].Name == "limit":
			row[i] = nil
		default:
			row[i] = full[a.Column]
		}
	}
	return Options{Scope: ScopeTable, Row: columns, NoFast: noFast}, row
}

func TestTable(t *testing.T) {
	for src, want := range map[string]any{
		`count > 2 && sum.total > 0.0`:      true,
		`sum.total / count`:                 decimal("20.5"),
		`sum.n == 61.5`:                     true,
		`count % 2 == 1`:                    true,
		`min.at <= max.at`:                  true,
		`max.limit == null`:                 true,
		`max.note`:                          "a note",
		`min.day`:                           time.Date(2020, 2, 3, 0, 0, 0, 0, time.UTC),
		`count == 0 || sum.total / count<9`: false,
		`[1, 2].exists(sum, sum == 2)`:      true,
	} {
		for _, noFast := range []bool{false, true} {
			o, row := tableOptions(noFast)
			p, err := Compile(src, o)
			if err != nil {
				t.Errorf("%s: %v", src, err)
				continue
			}
			got, failure := p.Eval(&Activation{Row: row})
			if failure != nil || !same(got, want) {
				t.Errorf("%s (no fast path: %t): %v, %v, want %v", src, noFast, got, failure, want)
			}
		}
	}
}

func TestTableRefuses(t *testing.T) {
	o, _ := tableOptions(false)
	for src, want := range map[string]string{
		`row.total > 0`:     "row is one row, and this is over all of them",
		`sum > 1`:           "sum as a whole is not a value: name a column, such as sum.n",
		`sum.totl > 1`:      "there is no sum.totl (did you mean sum.total?); there are count, sum of n, big, total, limit, min and max of id, note",
		`sum.ratio > 1.0`:   "there is no sum.ratio",
		`max.doc == null`:   "there is no max.doc",
		`has(sum.total)`:    "sum as a whole is not a value",
		`event.total > 0`:   "event is not there: this is a function of the table alone; there are count, sum of n",
		`meta.time == null`: "meta.time is not there: this is a function of the table alone",
		`total > 0`:         "undeclared reference to 'total'",
		`sum.total % 2 > 0`: "% does not work on (decimal, int)",
	} {
		if _, err := Compile(src, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", src, err, want)
		}
	}
}
