// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Table is a whole table. Rows are by key, the columns of a key joined with
// "|"; values are PostgreSQL's text forms, NULL is "NULL".
type Table struct {
	Name    string
	Key     []string
	Columns []string
	// Sequence names the column of appended numbers that tells lost, repeated and reordered events; "" if there is none.
	Sequence string
	Rows     map[string][]string
}

// Result is what comparing tables found.
type Result struct {
	// Rows is the number of rows that were expected.
	Rows int
	// Lost, Duplicated and Reordered count events, as sequences tell them.
	Lost, Duplicated, Reordered int
	// Wrong counts rows that are missing, too many or different.
	Wrong int
	// Diffs describes the first of them.
	Diffs []string
}

// maxDiffs bounds Result.Diffs.
const maxDiffs = 20

// OK tells whether the tables are equal.
func (r *Result) OK() bool { return r.Wrong == 0 }

func (r *Result) String() string {
	verdict := "equal"
	if !r.OK() {
		verdict = fmt.Sprintf("%d rows differ:\n  %s", r.Wrong, strings.Join(r.Diffs, "\n  "))
	}
	return fmt.Sprintf("%d lost, %d duplicated, %d reordered; %d rows compared, %s", r.Lost, r.Duplicated, r.Reordered, r.Rows, verdict)
}

func (r *Result) wrong(format string, args ...any) {
	r.Wrong++
	if len(r.Diffs) < maxDiffs {
		r.Diffs = append(r.Diffs, fmt.Sprintf(format, args...))
	}
}

// Querier is a connection or pool of pgx.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// Read reads the table that want describes from the relation schema.want.Name.
func Read(ctx context.Context, q Querier, schema string, want Table) (Table, error) {
	got := Table{Name: want.Name, Key: want.Key, Columns: want.Columns, Sequence: want.Sequence, Rows: map[string][]string{}}
	var columns []string
	for _, c := range slices.Concat(want.Key, want.Columns) {
		columns = append(columns, "coalesce("+pgx.Identifier{c}.Sanitize()+"::text, 'NULL')")
	}
	rows, err := q.Query(ctx, "SELECT ARRAY["+strings.Join(columns, ",")+"] FROM "+pgx.Identifier{schema, want.Name}.Sanitize())
	if err != nil {
		return got, err
	}
	defer rows.Close()
	for rows.Next() {
		var v []string
		if err := rows.Scan(&v); err != nil {
			return got, err
		}
		key := strings.Join(v[:len(want.Key)], "|")
		if _, twice := got.Rows[key]; twice {
			return got, fmt.Errorf("%s: two rows have the key %s", want.Name, key)
		}
		got.Rows[key] = v[len(want.Key):]
	}
	return got, rows.Err()
}

// Check reads every table of the fold and compares.
func (f *Fold) Check(ctx context.Context, q Querier, schema string) (*Result, error) {
	r := &Result{}
	for _, want := range f.Tables() {
		have, err := Read(ctx, q, schema, want)
		if err != nil {
			return nil, err
		}
		r.Compare(want, have)
	}
	return r, nil
}

// Compare adds the differences between two tables of one shape.
func (r *Result) Compare(want, have Table) {
	r.Rows += len(want.Rows)
	seq := slices.Index(want.Columns, want.Sequence)
	for _, key := range slices.Sorted(maps.Keys(want.Rows)) {
		w := want.Rows[key]
		h, ok := have.Rows[key]
		if !ok {
			if seq >= 0 {
				r.Lost += len(elements(w[seq]))
			}
			r.wrong("%s[%s]: the row is missing, want %s", want.Name, key, strings.Join(w, " "))
			continue
		}
		if slices.Equal(w, h) {
			continue
		}
		var parts []string
		for i, column := range want.Columns {
			if w[i] == h[i] {
				continue
			}
			if i == seq {
				parts = append(parts, column+": "+r.sequence(elements(w[i]), elements(h[i])))
			} else {
				parts = append(parts, fmt.Sprintf("%s: want %s, have %s", column, w[i], h[i]))
			}
		}
		r.wrong("%s[%s]: %s", want.Name, key, strings.Join(parts, "; "))
	}
	for _, key := range slices.Sorted(maps.Keys(have.Rows)) {
		if _, ok := want.Rows[key]; !ok {
			r.wrong("%s[%s]: a row that must not be there: %s", want.Name, key, strings.Join(have.Rows[key], " "))
			if seq >= 0 {
				r.Duplicated += len(elements(have.Rows[key][seq]))
			}
		}
	}
}

func elements(array string) []string {
	inner := strings.Trim(array, "{}")
	if inner == "" || array == "NULL" {
		return nil
	}
	return strings.Split(inner, ",")
}

// sequence counts and describes how have differs from want. What both hold is
// compared in order after taking away what is lost and what is too many.
func (r *Result) sequence(want, have []string) string {
	left := map[string]int{}
	for _, e := range want {
		left[e]++
	}
	var more, kept []string
	for _, e := range have {
		if left[e] > 0 {
			left[e]--
			kept = append(kept, e)
		} else {
			more = append(more, e)
		}
	}
	var less, common []string
	for _, e := range slices.Backward(want) {
		if left[e] > 0 {
			left[e]--
			less = append(less, e)
		} else {
			common = append(common, e)
		}
	}
	slices.Reverse(less)
	slices.Reverse(common)
	moved := 0
	for i := range common {
		if common[i] != kept[i] {
			moved++
		}
	}
	r.Lost += len(less)
	r.Duplicated += len(more)
	r.Reordered += moved
	return fmt.Sprintf("lost %s, twice %s, %d out of order", brief(less), brief(more), moved)
}

func brief(list []string) string {
	const most = 8
	if len(list) > most {
		return fmt.Sprintf("[%s and %d more]", strings.Join(list[:most], " "), len(list)-most)
	}
	return "[" + strings.Join(list, " ") + "]"
}
