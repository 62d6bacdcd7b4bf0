// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"cel.dev/cel-go/cel"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/jsondoc"
	"github.com/projectionist-dev/projectionist/projectors/codecs"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
)

const (
	// benchEvents are lines of benchOrders orders of benchCustomers customers.
	benchEvents, benchOrders, benchCustomers = 4096, 1000, 50
	// benchBytes is the size of each.
	benchBytes = 300
)

// benchContract has a handler of four columns.
func benchContract() *contract.Contract {
	return &contract.Contract{
		Topics: []contract.Topic{{Name: "orders", KeyedBy: "event.orderId", EventType: "event.type"}},
		Models: []contract.Model{{
			Name: "order_summary", Key: []string{"order_id"},
			Columns: []contract.Column{
				{Name: "order_id", Type: "text"}, {Name: "customer_id", Type: "text"}, {Name: "total", Type: "decimal(12,2)", Default: ptr("0")},
				{Name: "lines", Type: "int32", Default: ptr("0")}, {Name: "last_at", Type: "timestamp"},
			},
			Handlers: []contract.Handler{{
				Name: "line-added", Topic: "orders", Events: []string{"LineAdded"}, OnAbsent: "Create",
				Key: exprs("order_id", "event.orderId"), Set: exprs("customer_id", "event.customer.id"),
				Add: exprs("total", "event.price * event.quantity", "lines", "1"), Max: exprs("last_at", "meta.time"),
			}},
		}},
	}
}

func benchRecords(b *testing.B) []event.Record {
	b.Helper()
	out := make([]event.Record, benchEvents)
	for i := range out {
		at := time.Date(2026, 1, 10, 18, 20, 0, 0, time.UTC).Add(time.Duration(i) * time.Second)
		order := fmt.Sprintf("o-%08d", i*7919%benchOrders)
		body := fmt.Sprintf(`{"type":"LineAdded","id":"e-%08d","at":"%s","orderId":"%s","customer":{"id":"c-%05d","name":"Ada Lovelace","country":"DE"},`+
			`"sku":"A-%04d","price":%d.%02d,"quantity":%d,"currency":"EUR","channel":"web","campaign":"winter","version":%d,"note":"`,
			i, at.Format(time.RFC3339), order, i%benchCustomers, i%313, 10+i%90, i%100, 1+i%9, i%7)
		body += fmt.Sprintf("%-*s\"}", benchBytes-len(body)-2, "please leave it at the door")
		if len(body) != benchBytes {
			b.Fatalf("an event of %d bytes", len(body))
		}
		out[i] = event.Record{Offset: int64(i), Timestamp: at.UnixMilli(), Key: []byte(order), Value: []byte(body)}
	}
	return out
}

// parsed gives payloads that were decoded before, so few that they stay in the cache as one does that was just decoded.
type parsed [256]jsondoc.Doc

func (p *parsed) Decode(rec *event.Record) (codecs.Doc, error) {
	return codecs.Doc{Members: &p[rec.Offset], Key: rec.Key}, nil
}

// BenchmarkEvent measures what one event costs: a JSON event of 300 bytes, a
// handler of four columns. Beside it "plain" does the same work with
// encoding/json, cel-go and a map; its sums are in float64.
func BenchmarkEvent(b *testing.B) {
	p := compile(b, benchContract())
	records := benchRecords(b)
	tp := event.TopicPartition{Topic: "orders"}

	run := func(name string, each func(b *testing.B, i int)) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				each(b, i)
				if i++; i == benchEvents {
					i = 0
				}
			}
		})
	}

	members := &p.topics["orders"].members
	decoder, err := codecs.NewOf(&p.contract.Topics[0], nil, members)
	if err != nil {
		b.Fatal(err)
	}
	run("decode", func(b *testing.B, i int) {
		if _, err := decoder.Decode(&records[i]); err != nil {
			b.Fatal(err)
		}
	})

	ev, docs := p.NewEvaluator(), &parsed{}
	for i := range docs {
		if err := docs[i].Scan(records[i].Value, members); err != nil {
			b.Fatal(err)
		}
	}
	l, _ := ev.lane("orders")
	l.decoder = docs
	var out []fold.Effect
	run("evaluate", func(b *testing.B, i int) {
		if out, _, err = ev.Handle(tp, &records[i%len(docs)], out[:0]); err != nil {
			b.Fatal(err)
		}
	})

	ev = p.NewEvaluator()
	var effects []fold.Effect
	for i := range records {
		if out, _, err = ev.Handle(tp, &records[i], out[:0]); err != nil {
			b.Fatal(err)
		}
		out[0].Key, out[0].Changes = slices.Clone(out[0].Key), slices.Clone(out[0].Changes)
		effects = append(effects, out[0])
	}
	batch := fold.NewBatch(p.Models())
	run("fold", func(b *testing.B, i int) {
		if i == 0 {
			batch.Reset()
		}
		if err := batch.Apply(effects[i]); err != nil {
			b.Fatal(err)
		}
	})

	ev = p.NewEvaluator()
	run("together", func(b *testing.B, i int) {
		if i == 0 {
			batch.Reset()
		}
		if out, _, err = ev.Handle(tp, &records[i], out[:0]); err != nil {
			b.Fatal(err)
		}
		if err := batch.Apply(out...); err != nil {
			b.Fatal(err)
		}
	})

	plain := newPlain(b)
	run("plain", func(b *testing.B, i int) {
		if i == 0 {
			clear(plain.rows)
		}
		if err := plain.handle(&records[i]); err != nil {
			b.Fatal(err)
		}
	})
}

// plain is the same work as a team would write it.
type plain struct {
	keyedBy, typ, key, customer, total, lines, last cel.Program
	rows                                            map[string]*plainRow
}

type plainRow struct {
	customer string
	total    float64
	lines    int64
	last     time.Time
}

func newPlain(b *testing.B) *plain {
	b.Helper()
	env, err := cel.NewEnv(cel.Variable("event", cel.DynType), cel.Variable("time", cel.TimestampType))
	if err != nil {
		b.Fatal(err)
	}
	compile := func(src string) cel.Program {
		ast, iss := env.Compile(src)
		if iss.Err() != nil {
			b.Fatal(iss.Err())
		}
		prg, err := env.Program(ast, cel.EvalOptions(cel.OptOptimize))
		if err != nil {
			b.Fatal(err)
		}
		return prg
	}
	return &plain{
		keyedBy: compile("event.orderId"), typ: compile("event.type"), key: compile("event.orderId"), customer: compile("event.customer.id"),
		total: compile("event.price * event.quantity"), lines: compile("1"), last: compile("time"), rows: map[string]*plainRow{},
	}
}

func (p *plain) handle(rec *event.Record) error {
	var doc map[string]any
	if err := json.Unmarshal(rec.Value, &doc); err != nil {
		return err
	}
	vars := map[string]any{"event": doc, "time": rec.Time()}
	var failed error
	eval := func(prg cel.Program) any {
		v, _, err := prg.Eval(vars)
		if err != nil {
			failed = err
			return nil
		}
		return v.Value()
	}
	if eval(p.typ) != "LineAdded" || eval(p.keyedBy) != string(rec.Key) {
		return failed
	}
	key, customer, total, lines, last := eval(p.key), eval(p.customer), eval(p.total), eval(p.lines), eval(p.last)
	if failed != nil {
		return failed
	}
	row := p.rows[key.(string)]
	if row == nil {
		row = &plainRow{}
		p.rows[key.(string)] = row
	}
	row.customer = customer.(string)
	row.total += math.Round(total.(float64)*100) / 100
	row.lines += lines.(int64)
	if t := last.(time.Time); t.After(row.last) {
		row.last = t
	}
	return nil
}
