// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/codecs"
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

// ofTrees makes an Evaluator that reads the payloads of the contract's one topic as trees.
func ofTrees(t testing.TB, p *Program) *Evaluator {
	t.Helper()
	ev := p.NewEvaluator()
	l, err := ev.lane(p.contract.Topics[0].Name)
	if err != nil {
		t.Fatal(err)
	}
	if l.decoder, err = codecs.New(l.topic.contract, nil); err != nil {
		t.Fatal(err)
	}
	return ev
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
		outTree, _, errTree := ofTrees(t, p).Handle(event.TopicPartition{Topic: "t"}, &event.Record{Key: key, Value: body}, nil)
		if fmt.Sprint(err) != fmt.Sprint(errTree) || len(out) != len(outTree) || len(out) > 0 && show(p.Models(), out[0]) != show(p.Models(), outTree[0]) {
			t.Fatalf("%v %v, and of a tree %v %v", out, err, outTree, errTree)
		}
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
	typ := column.Type
	if c.Op == fold.OpAppend {
		typ = typ.Elem()
	}
	text := typ.Format(c.Operand)
	back, err := typ.ParseText(text)
	if err != nil || value.Compare(back, c.Operand) != 0 {
		t.Fatalf("%s: %q reads back as %v, %v", typ, text, back, err)
	}
	if j, ok := c.Operand.(value.JSON); ok && c.Op == fold.OpMerge && !strings.HasPrefix(string(j), "{") {
		t.Fatalf("%s is merged", j)
	}
	if c.Op == fold.OpSet && column.Obeys(c.Operand) != nil {
		t.Fatalf("%s breaks the rules of column %s", text, column.Name)
	}
}

// whole has every kind of handler, two upcasts and a finisher.
func whole() *contract.Contract {
	stored := versioned()
	stored.Columns = append(stored.Columns, contract.Column{Name: "twice", Type: "decimal(10,2)", Generated: "row.price * 2"})
	stored.Checks = []contract.Check{{Name: "c", Rule: "row.price != 7.0"}}
	for i := range stored.Handlers {
		stored.Handlers[i].Events = []string{"Priced*", stored.Handlers[i].Events[0]}
	}
	m := items(
		contract.Handler{Events: []string{"Lines"}, ForEach: "event.lines", When: "item.?n.orValue(1) != 0", Key: exprs("id", "item.sku"), Add: exprs("n", "item.n"), Append: exprs("tags", "item.sku")},
		contract.Handler{Events: []string{"Lines"}, ForEach: "event.lines", Key: exprs("id", "string(index)"), Set: exprs("note", "string(row.n) + string(item) + event.id")},
		contract.Handler{Events: []string{"Sold*"}, Where: exprs("status", "event.status", "price", "event.price"), OnAbsent: "Ignore", Set: exprs("note", "event.note"), Merge: exprs("doc", "event.doc")},
		contract.Handler{Default: true, Set: exprs("status", "event.status", "tags", "event.tags", "doc", "event"), Min: exprs("price", "event.price")},
		contract.Handler{Default: true, When: "row.n < event.n", Set: exprs("doc", "{'e': event, 'h': headers, 'k': key, 'r': row.tags}"), Unset: []string{"note"}},
		contract.Handler{Tombstone: true, Key: exprs("id", "key"), Set: exprs("note", "headers.h"), SetOnce: exprs("price", "row.n")},
	)
	c := one(m)
	c.Models = append(c.Models, stored)
	c.Topics[0].Upcasts = []contract.Upcast{
		{Name: "a", Events: []string{"V1*"}, Set: exprs("id", "event.old.id", "old.seen", "event", "type", "'x'"), Unset: []string{"old.id", "a"}, Type: "V2"},
		{Name: "b", Events: []string{"V2"}, When: "event.?n.orValue(0) > 1", Set: exprs("old.was", "event.id", "lines", "[event.old]"), Unset: []string{"old.seen"}, Type: "Lines"},
	}
	return c
}

// FuzzWhole holds the same of all the language, of what loaders make of a row and
// of no row, and that neither depends on the record's memory, on what was
// evaluated before, or on whether the payload is read as a tree or by its members.
func FuzzWhole(f *testing.F) {
	p, err := Compile(whole(), nil)
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{
		`{"type":"Lines","id":"a","lines":[{"sku":"a","n":1},{"sku":"b"},5]}`, `{"type":"Lines","id":"a","lines":{"x":{"sku":"\"\u0001","n":0.5}}}`,
		`{"type":"SoldNow","status":"sold","price":1.005,"note":"n","doc":{"a":null}}`, `{"type":"other","id":"a","status":"new","tags":["a","b","a","c","d"],"price":-1,"n":5}`,
		`{"type":"PricedX","id":"a","v":3,"price":7}`, `{"type":"Set","id":"a","v":null,"price":1e30}`, `{"type":"Drop","id":"a","v":9223372036854775808}`,
		`{"type":"V1x","old":{"id":"a","\u0069d":"b"},"n":2,"a":1,"a":2}`, `{"type":"V1","old":[],"n":2}`, `{"type":"V2","old":{},"id":null,"n":2}`, `{"type":5}`, `[]`, `"x"`, `{`,
	} {
		f.Add([]byte(s), []byte("a"), []byte("h"))
	}
	f.Add([]byte(nil), []byte("a"), []byte("h"))
	f.Add([]byte(nil), []byte("\xff"), []byte("\xff"))
	busy, trees := p.NewEvaluator(), ofTrees(f, p)
	f.Fuzz(func(t *testing.T, body, key, header []byte) {
		if len(body) == 0 {
			body = nil
		}
		results := func(ev *Evaluator) string {
			rec := &event.Record{Offset: 3, Key: bytes.Clone(key), Value: bytes.Clone(body), Headers: []event.Header{{Key: "h", Value: bytes.Clone(header)}}}
			out, o, err := ev.Handle(event.TopicPartition{Topic: "t"}, rec, nil)
			for _, b := range [][]byte{rec.Key, rec.Value, rec.Headers[0].Value} {
				for i := range b {
					b[i] = '#'
				}
			}
			if err != nil {
				var e *EventError
				if !errors.As(err, &e) || len(out) != 0 || e.Message == "" {
					t.Fatalf("%T %v with %d effects", err, err, len(out))
				}
				return err.Error()
			}
			got := o.Result.String()
			for _, e := range out {
				got += "\n" + effectResult(t, p, e)
			}
			return got
		}
		first := results(p.NewEvaluator())
		if second := results(busy); first != second {
			t.Fatalf("%s\nand then\n%s", first, second)
		}
		if tree := results(trees); first != tree {
			t.Fatalf("%s\nand of the tree\n%s", first, tree)
		}
	})
}

// effectResult checks an effect and shows what it does, also to a row and to no row.
func effectResult(t *testing.T, p *Program, e fold.Effect) string {
	t.Helper()
	m := &p.Models()[e.Model]
	check := func(changes []fold.Change) {
		for _, c := range changes {
			checkOperand(t, m.Columns[c.Column], c)
		}
	}
	check(e.Changes)
	for i, k := range e.Key {
		checkOperand(t, m.Columns[m.Key[i]], fold.Change{Op: fold.OpSet, Operand: k})
	}
	for _, w := range e.Where {
		if w.Value == nil {
			t.Fatal("a fan-out on NULL")
		}
		checkOperand(t, m.Columns[w.Column], fold.Change{Operand: w.Value})
	}
	got := show(p.Models(), e)
	if e.Load == nil {
		return got
	}
	if e.Load.Bytes() < loaderBytes {
		t.Fatal("a loader that holds nothing")
	}
	key := e.Key
	if key == nil {
		key = []value.Value{"a"}
	}
	row := defaults(m, key)
	for _, r := range [][]value.Value{nil, row} {
		if r == nil && e.Where != nil {
			continue
		}
		s, err := e.Load.Load(r)
		if err != nil {
			var re *fold.RowError
			if !errors.As(err, &re) || re.Message == "" {
				t.Fatalf("%T %v", err, err)
			}
			got += " " + err.Error()
			continue
		}
		check(s.Changes)
		got += fmt.Sprintf(" %v %v%s", s.Skip, s.Delete, showChanges(m, s.Changes))
	}
	if m.Finish != nil {
		out, err := m.Finish.Finish(slices.Clone(row))
		if err == nil {
			for i := range out {
				checkOperand(t, m.Columns[i], fold.Change{Op: fold.OpSet, Operand: out[i]})
			}
		}
	}
	return got
}
