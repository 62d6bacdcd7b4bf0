// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
)

func ptr(s string) *string { return &s }

// exprs makes a map of expressions of name, expression, name, expression, ...
func exprs(s ...string) map[string]string {
	out := map[string]string{}
	for i := 0; i < len(s); i += 2 {
		out[s[i]] = s[i+1]
	}
	return out
}

// items is a model with a column for each operation.
func items(hs ...contract.Handler) contract.Model {
	for i := range hs {
		hs[i].Topic = "t"
		if hs[i].Name == "" {
			hs[i].Name = fmt.Sprintf("h%d", i)
		}
		if hs[i].OnAbsent == "" {
			hs[i].OnAbsent = "Create"
		}
		if hs[i].Key == nil && hs[i].Where == nil {
			hs[i].Key = exprs("id", "event.id")
		}
	}
	return contract.Model{
		Name: "items", Key: []string{"id"}, Handlers: hs,
		Columns: []contract.Column{
			{Name: "id", Type: "text"},
			{Name: "status", Type: "text", Enum: []string{"new", "sold", "gone"}, Default: ptr("new")},
			{Name: "n", Type: "int32", Default: ptr("0"), NotNull: true, Min: ptr("0"), Max: ptr("100")},
			{Name: "price", Type: "decimal(8,2)"},
			{Name: "tags", Type: "text[]", MaxItems: 3, Distinct: true},
			{Name: "doc", Type: "json"},
			{Name: "note", Type: "text"},
		},
	}
}

// one is a contract of one topic t, with types, and the model.
func one(m contract.Model) *contract.Contract {
	return &contract.Contract{Topics: []contract.Topic{{Name: "t", EventType: "event.?type.orValue('')"}}, Models: []contract.Model{m}}
}

func compile(t testing.TB, c *contract.Contract) *Program {
	t.Helper()
	p, err := Compile(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// handle evaluates one event of topic t; "" is a tombstone.
func handle(ev *Evaluator, body string, headers ...event.Header) ([]fold.Effect, Result, error) {
	rec := &event.Record{Offset: 7, Timestamp: 1_600_000_000_000, Key: []byte("k1"), Headers: headers}
	if body != "" {
		rec.Value = []byte(body)
	}
	out, o, err := ev.Handle(event.TopicPartition{Topic: "t", Partition: 2}, rec, nil)
	for i := range rec.Value {
		rec.Value[i] = '#'
	}
	for i := range rec.Key {
		rec.Key[i] = '#'
	}
	for i := range headers {
		for j := range headers[i].Value {
			headers[i].Value[j] = '#'
		}
	}
	return out, o.Result, err
}

// mustHandle is handle of an event that is applied.
func mustHandle(t *testing.T, ev *Evaluator, body string, headers ...event.Header) []fold.Effect {
	t.Helper()
	out, r, err := handle(ev, body, headers...)
	if err != nil || r != Applied {
		t.Fatalf("%s: %v, %v", body, r, err)
	}
	return out
}

// show gives an effect in a form that is easy to compare.
func show(models []fold.Model, e fold.Effect) string {
	m := &models[e.Model]
	var b strings.Builder
	b.WriteString(m.Name + "[")
	for i, k := range e.Key {
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString(text(&m.Columns[m.Key[i]], k))
	}
	for i, w := range e.Where {
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString(m.Columns[w.Column].Name + ":" + text(&m.Columns[w.Column], w.Value))
	}
	b.WriteString("]")
	if e.Delete {
		b.WriteString(" delete")
	}
	if e.IgnoreAbsent {
		b.WriteString(" ignore-absent")
	}
	if e.Load != nil {
		b.WriteString(" load")
	}
	return b.String() + showChanges(m, e.Changes)
}

func showChanges(m *fold.Model, changes []fold.Change) string {
	var b strings.Builder
	signs := map[fold.Op]string{
		fold.OpSet: "=", fold.OpSetOnce: "?=", fold.OpAdd: "+=", fold.OpMin: "_=", fold.OpMax: "^=", fold.OpAppend: "<<", fold.OpMerge: "|=",
	}
	for _, c := range changes {
		col := m.Columns[c.Column]
		if c.Op == fold.OpAppend {
			col.Type = col.Type.Elem()
		}
		b.WriteString(" " + col.Name + signs[c.Op] + text(&col, c.Operand))
	}
	return b.String()
}

func text(c *fold.Column, v value.Value) string {
	if v == nil {
		return "NULL"
	}
	return c.Type.Format(v)
}

func showAll(p *Program, effects []fold.Effect) []string {
	var out []string
	for _, e := range effects {
		out = append(out, show(p.Models(), e))
	}
	return out
}

// rowOf makes a row of the program's first model of text values by column name; others have their defaults.
func rowOf(t testing.TB, p *Program, values ...string) []value.Value {
	t.Helper()
	m := &p.Models()[0]
	row := make([]value.Value, len(m.Columns))
	for i := range m.Columns {
		row[i] = m.Columns[i].Default
	}
	for i := 0; i < len(values); i += 2 {
		found := false
		for j := range m.Columns {
			if m.Columns[j].Name != values[i] {
				continue
			}
			v, err := m.Columns[j].Type.ParseText(values[i+1])
			if err != nil {
				t.Fatal(err)
			}
			row[j], found = v, true
		}
		if !found {
			t.Fatalf("no column %s", values[i])
		}
	}
	return row
}

// showStep gives what a loading effect does to a row.
func showStep(p *Program, e fold.Effect, row []value.Value) string {
	s, err := e.Load.Load(row)
	switch {
	case err != nil:
		var re *fold.RowError
		if !errors.As(err, &re) {
			return fmt.Sprintf("%T %v", err, err)
		}
		return re.Reason + " " + re.Path + ": " + re.Message
	case s.Skip:
		return "skip"
	case s.Delete:
		return "delete"
	}
	return strings.TrimPrefix(showChanges(&p.Models()[e.Model], s.Changes), " ")
}

// wantError holds an error to be an EventError without the payload's values.
func wantError(t *testing.T, err error, want string) {
	t.Helper()
	var e *EventError
	if !errors.As(err, &e) {
		t.Errorf("%T %v, want %s", err, err, want)
		return
	}
	if err.Error() != want {
		t.Errorf("%s\nwant %s", err, want)
	}
	if strings.Contains(err.Error(), "CANARY") {
		t.Error("the error carries a value")
	}
}
