// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"errors"
	"testing"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
)

// wide sets a column of every type from a field of the event.
func wide() *contract.Contract {
	m := contract.Model{Name: "wide", Key: []string{"k"}, Columns: []contract.Column{{Name: "k", Type: "text"}}}
	h := contract.Handler{Name: "h", Topic: "t", OnAbsent: "Create", Key: map[string]string{"k": "event.k"}, Set: map[string]string{}}
	for _, typ := range []string{
		"text", "bool", "int32", "int64", "float64", "decimal(12,2)", "decimal(38,10)", "timestamp", "date", "uuid", "json", "text[]", "int64[]", "decimal(12,2)[]",
	} {
		name := "c" + string(rune('a'+len(m.Columns)))
		m.Columns = append(m.Columns, contract.Column{Name: name, Type: typ})
		h.Set[name] = "event.?" + name + ".orValue(null)"
	}
	m.Handlers = []contract.Handler{h}
	return &contract.Contract{Topics: []contract.Topic{{Name: "t", KeyedBy: "event.k"}}, Models: []contract.Model{m}}
}

// FuzzHandle holds that any payload gives either a typed error and no effect, or
// effects whose every operand is a value of its column's type.
func FuzzHandle(f *testing.F) {
	p, err := Compile(wide(), nil)
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{
		`{"k":"a"}`, `{"k":"a","cb":"x","cc":true,"cd":-5,"ce":5.0,"cf":0.1,"cg":1e3,"ch":-0.5}`, `{"k":"a","ci":"2020-01-01T00:00:00Z","cj":"2020-01-01"}`,
		`{"k":"a","ck":"6ba7b810-9dad-11d1-80b4-00c04fd430c8","cl":{"b":[1,{"a":null}],"a":1e-7}}`, `{"k":"a","cm":["x","y"],"cn":[1,2.0],"co":[0.005]}`, `{"k":"\u0000"}`,
		`{"k":"a","cb":"\ud83d\ude00","cg":99999999999.995,"ce":9223372036854775808}`, `[`, `null`, `{"k":5}`,
	} {
		f.Add([]byte(s), []byte("a"))
	}
	f.Fuzz(func(t *testing.T, body, key []byte) {
		ev := p.NewEvaluator()
		out, o, err := ev.Handle(event.TopicPartition{Topic: "t"}, &event.Record{Key: key, Value: body}, nil)
		if err != nil {
			var e *EventError
			if !errors.As(err, &e) || len(out) != 0 {
				t.Fatalf("%T %v with %d effects", err, err, len(out))
			}
			return
		}
		if body == nil {
			return
		}
		if o.Result != Applied || len(out) != 1 {
			t.Fatalf("%v with %d effects", o.Result, len(out))
		}
		columns := p.Models()[0].Columns
		if out[0].Key[0] != string(key) {
			t.Fatal("the row's key is not the message key")
		}
		for _, c := range out[0].Changes {
			checkOperand(t, columns[c.Column], c)
		}
	})
}

func checkOperand(t *testing.T, column fold.Column, c fold.Change) {
	t.Helper()
	if c.Operand == nil {
		return
	}
	text := column.Type.Format(c.Operand)
	back, err := column.Type.ParseText(text)
	if err != nil || value.Compare(back, c.Operand) != 0 {
		t.Fatalf("%s: %q reads back as %v, %v", column.Type, text, back, err)
	}
}
