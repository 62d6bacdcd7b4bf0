// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/compile/compiletest"
)

// The rule behind the ordering rule, tested as it stands: whatever Compile
// admits, no row depends on how partitions interleave, nor does it which events are refused. Specs are drawn at
// random, and those that are admitted are folded over random events in two random
// interleavings by the interpreter below, which shares no code with anything.
// Where a spec consents to order: Arrival, that holds for the columns that Explain does not name.
func TestNoAdmittedRowDependsOnInterleaving(t *testing.T) {
	admitted, consenting := 0, 0
	used := map[string]int{}
	check := func(rt *rapid.T) {
		c, _ := Compile(input(t, compiletest.Spec(rt), orderTopics))
		if c == nil {
			return
		}
		m := &c.Models[0]
		admitted++
		count(m, used)
		var arrival []string
		if m.Order != "" {
			if arrival = Explain(c)[0].Arrival; len(arrival) > 0 {
				consenting++
			}
		}
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		for range 40 {
			partitions := compiletest.Partitions(random)
			x, y := fold(m, compiletest.Interleave(random, partitions)), fold(m, compiletest.Interleave(random, partitions))
			if m.Order != "" && len(x.refused)+len(y.refused) > 0 {
				continue // By consent, chance decides which events are refused; verification repeats what was.
			}
			if !reflect.DeepEqual(x.leaveOut(m, arrival), y.leaveOut(m, arrival)) {
				rt.Fatalf("rows differ: %v and %v\nmodel: %+v\npartitions: %v\nleft out: %v", x, y, m, partitions, arrival)
			}
		}
	}
	for range 10 {
		rapid.Check(t, check)
	}
	t.Logf("%d specs were admitted, %d of them by consent: %v", admitted, consenting, used)
	if admitted < 200 || consenting < 20 {
		t.Errorf("only %d specs were admitted, %d of them by consent", admitted, consenting)
	}
	for _, feature := range []string{"set", "setOnce", "unset", "add", "min", "max", "append", "merge", "delete", "where", "versionBy", "versioned delete", "row", "checks", "range"} {
		if used[feature] == 0 {
			t.Errorf("no admitted spec uses %s", feature)
		}
	}
}

// count counts the features of an admitted spec.
func count(m *contract.Model, used map[string]int) {
	for i := range m.Handlers {
		h := &m.Handlers[i]
		for _, o := range ops {
			if len(o.get(h)) > 0 {
				used[o.name]++
			}
		}
		for name, is := range map[string]bool{
			"delete": h.Delete && h.VersionBy == nil, "versioned delete": h.Delete && h.VersionBy != nil, "versionBy": h.VersionBy != nil,
			"where": h.Where != nil, "row": strings.Contains(h.When+fmt.Sprint(h.Set, h.Add), "row."),
		} {
			if is {
				used[name]++
			}
		}
	}
	if len(m.Checks) > 0 {
		used["checks"]++
	}
	if slices.ContainsFunc(m.Columns, func(c contract.Column) bool { return c.Max != nil }) {
		used["range"]++
	}
}

// row holds a string, an int, a []string or a map by column; none is NULL. A deleted row that stays has "deleted".
type row map[string]any

type state struct {
	rows map[string]row
	// refused are the numbers of events that a rule refuses.
	refused map[int]bool
}

// leaveOut forgets columns, and with all of them whether rows exist.
func (s state) leaveOut(m *contract.Model, columns []string) state {
	if len(columns) == 0 {
		return s
	}
	if len(columns) == len(m.Columns)-len(m.Key) {
		clear(s.rows)
	}
	for _, r := range s.rows {
		for _, c := range columns {
			delete(r, c)
		}
	}
	return s
}

func fold(m *contract.Model, events []compiletest.Message) state {
	s := state{rows: map[string]row{}, refused: map[int]bool{}}
	for _, e := range events {
		before := map[string]row{}
		for id, r := range s.rows {
			before[id] = maps.Clone(r)
		}
		for i := range m.Handlers {
			if h := &m.Handlers[i]; h.Topic == e.Topic {
				s.handler(m, h, e)
			}
		}
		for id, r := range s.rows {
			if n, some := r["num"].(int); some && r["deleted"] == nil && !reflect.DeepEqual(r, before[id]) {
				if len(m.Checks) > 0 && n >= 12 {
					s.refused[e.Number] = true
				}
			}
		}
		if s.refused[e.Number] {
			s.rows = before
		}
	}
	return s
}

func (s state) handler(m *contract.Model, h *contract.Handler, e compiletest.Message) {
	if h.Where == nil {
		var parts []string
		for _, k := range m.Key {
			parts = append(parts, e.Text(h.Key[k]))
		}
		s.apply(m, h, e, strings.Join(parts, "|"))
		return
	}
	for id, r := range s.rows {
		parts := strings.Split(id, "|")
		matches := r["deleted"] == nil
		for i, k := range m.Key {
			if from, asked := h.Where[k]; asked && e.Text(from) != parts[i] {
				matches = false
			}
		}
		if matches {
			s.apply(m, h, e, id)
		}
	}
}

func (s state) apply(m *contract.Model, h *contract.Handler, e compiletest.Message, id string) {
	stored := s.rows[id]
	r := row{}
	there := stored != nil && stored["deleted"] == nil
	if there {
		r = maps.Clone(stored)
	}
	if !there && h.OnAbsent == "Ignore" || h.When != "" && readOf(r, h.When) != nil {
		return
	}
	if h.VersionBy != nil {
		if v, some := stored["ver"].(int); some && e.Version < v {
			return
		}
		r["ver"] = e.Version
	} else if stored["deleted"] != nil {
		r["ver"] = stored["ver"]
	}
	switch {
	case h.Delete && h.VersionBy == nil:
		delete(s.rows, id)
		return
	case h.Delete:
		s.rows[id] = row{"deleted": true, "ver": e.Version}
		return
	}
	s.changes(m, h, e, r)
	s.rows[id] = r
}

func (s state) changes(m *contract.Model, h *contract.Handler, e compiletest.Message, r row) {
	v := e.Number + 1
	for c, x := range h.Set {
		switch was, isText := readOf(r, x).(string); {
		case c == "num":
			r[c] = v
		case strings.Contains(x, "row.") && isText:
			r[c] = was + e.Text("x")
		default:
			r[c] = e.Text("x")
		}
	}
	for c := range h.SetOnce {
		if r[c] == nil {
			r[c] = e.Text("x")
		}
	}
	for _, c := range h.Unset {
		delete(r, c)
	}
	n, some := r["num"].(int)
	for _, x := range h.Add {
		d := v
		if strings.Contains(x, "row.") {
			if d = 1; readOf(r, x) != nil {
				d = 2
			}
		}
		n += d
		r["num"] = n
		if n > 12 && slices.ContainsFunc(m.Columns, func(c contract.Column) bool { return c.Max != nil }) {
			s.refused[e.Number] = true
		}
	}
	if len(h.Min) > 0 && (!some || v < n) || len(h.Max) > 0 && (!some || v > n) {
		r["num"] = v
	}
	for c := range h.Append {
		list, _ := r[c].([]string)
		r[c] = append(slices.Clone(list), e.Text("x"))
	}
	for c := range h.Merge {
		doc, _ := r[c].(map[string]int)
		if doc = maps.Clone(doc); doc == nil {
			doc = map[string]int{}
		}
		doc[e.Fields["l"]] = e.Number
		r[c] = doc
	}
}

// readOf gives the column of row that an expression reads, nil for none.
func readOf(r row, expression string) any {
	_, name, ok := strings.Cut(expression, "row.")
	if !ok {
		return nil
	}
	name = name[:strings.IndexByte(name+" ", ' ')]
	if name == "shown" {
		name = "x"
	}
	return r[name]
}
