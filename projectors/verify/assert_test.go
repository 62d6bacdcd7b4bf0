// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"errors"
	"runtime"
	"testing"

	"github.com/cockroachdb/apd/v3"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/history"
	"github.com/projectionist-dev/projectionist/projectors/verify"
)

func asserting(all ...contract.Assertion) func(*verify.Options) {
	return func(o *verify.Options) {
		for i := range all {
			all[i].Name, all[i].Model = string(rune('a'+i)), "order"
		}
		o.Assertions = all
	}
}

func TestAssertions(t *testing.T) {
	w := newWorld(t, orders(), 2)
	w.Fill(500)
	rows := w.Store.Rows(w.Contract, "order")
	var cents, written int64
	for _, row := range rows {
		text := value.MustParse("decimal(12,2)").Format(row[3])
		var n int64
		for _, d := range text {
			if d != '.' {
				n = 10*n + int64(d-'0')
			}
		}
		cents += n
		if row[4] != nil {
			written++
		}
	}
	sum := value.MustParse("decimal(18,2)").Format(apd.New(cents, -2))
	assertions := asserting(
		contract.Assertion{Row: "row.total >= 0.0 && row.lines > 0"},
		contract.Assertion{Row: "row.state == null"},
		contract.Assertion{Row: "row.id / (row.id - row.id) == 1"},
		contract.Assertion{All: "count > 10 && sum.total == " + sum},
		contract.Assertion{All: "sum.lines < 10"},
		contract.Assertion{All: "max.id >= min.id && min.customer == 'c0'"},
	)
	for name, change := range map[string]func(*verify.Options){
		"all": func(*verify.Options) {}, "a sample": func(o *verify.Options) { o.Sample = verify.Buckets / 2 }, "nothing else": func(o *verify.Options) { o.AssertionsOnly = true },
	} {
		r := w.verify(assertions, change)
		n := int64(len(rows))
		for i, broken := range []int64{0, written, n, 0, 1, 0} {
			a := r.Assertions[i]
			if a.Broken != broken || a.Tested != n || a.Holds() != (broken == 0) || !a.Over && len(a.Rows) != int(min(broken, 10)) {
				t.Errorf("%s: assertion %s: %+v, want %d of %d", name, a.Name, a, broken, n)
			}
		}
		if written == 0 || r.Assertions[2].Why == "" || r.Assertions[3].Values["sum.total"] != sum || r.Assertions[4].Values["count"] != "" {
			t.Errorf("%s: %d written, %+v", name, written, r.Assertions)
		}
		if compared, _ := r.Compared(); !r.Equal() || (r.Events == 0) != (name == "nothing else") || (compared == 0) != (name == "nothing else") {
			t.Errorf("%s: %d compared, %+v", name, compared, r)
		}
	}
}

// Over no rows a sum is 0, and there is no least.
func TestAssertionsOnNothing(t *testing.T) {
	w := newWorld(t, orders(), 2)
	r := w.verify(asserting(contract.Assertion{All: "count == 0 && sum.total == 0 && max.id == null"}, contract.Assertion{Row: "false && row.id > 0"}))
	for _, a := range r.Assertions {
		if !a.Holds() || a.Tested != 0 {
			t.Errorf("%+v", a)
		}
	}
}

// A tombstone is no row, and a sum is exact beyond what a column holds.
func TestAssertionsOnTombstonesAndSums(t *testing.T) {
	c := orders()
	c.Models = c.Models[:1]
	m := &c.Models[0]
	m.Columns = []contract.Column{{Name: "customer", Type: "text"}, {Name: "id", Type: "int64"}, {Name: "n", Type: "int64"}, {Name: "v", Type: "int64"}}
	m.Versions = []contract.VersionGroup{{Column: "v", Columns: []string{"n"}}}
	key := map[string]string{"customer": "event.customer", "id": "event.id"}
	by := &contract.VersionBy{Column: "v", Value: "event.n"}
	m.Handlers = []contract.Handler{
		{Name: "line", Topic: "orders", Events: []string{"line"}, OnAbsent: "Create", Key: key, VersionBy: by, Set: map[string]string{"n": "9223372036854775807 - int(event.n)"}},
		{Name: "erased", Topic: "orders", Events: []string{"erased"}, OnAbsent: "Create", Key: key, VersionBy: by, Delete: true},
	}
	w := newWorld(t, c, 2)
	for n := range 5 {
		w.Applied(order("line", n))
	}
	w.Applied(order("erased", 4))
	r := w.verify(asserting(
		contract.Assertion{All: "count == 4 && sum.n == 36893488147419103222.0"}, // four times 2^63-1, less 0+1+2+3
		contract.Assertion{Row: "row.n != null"},
	))
	for _, a := range r.Assertions {
		if !a.Holds() || a.Tested != 4 {
			t.Errorf("%+v", a)
		}
	}
}

func TestAssertionsThatDoNotFit(t *testing.T) {
	w := newWorld(t, orders(), 2)
	for _, a := range []contract.Assertion{{Name: "x", Model: "order", Row: "row.gone > 1"}, {Name: "x", Model: "gone", All: "count > 1"}} {
		o := w.options()
		o.Assertions = []contract.Assertion{a}
		var invalid *verify.InvalidAssertionError
		if _, err := verify.Run(t.Context(), o); !errors.As(err, &invalid) {
			t.Errorf("%+v: %v", a, err)
		}
	}
}

// Memory that is used up is said, before the kernel says it.
func TestMaxBytes(t *testing.T) {
	w := newWorld(t, orders(), 2)
	w.Fill(1100)
	runtime.GC()
	o := w.options()
	o.MaxBytes = 1 << 10
	var refused *history.RefusedError
	if _, err := verify.Run(t.Context(), o); !errors.As(err, &refused) || refused.Code != history.ReasonTooManyRows {
		t.Error(err)
	}
	o.MaxBytes = 1 << 40
	if _, err := verify.Run(t.Context(), o); err != nil {
		t.Error(err)
	}
}
