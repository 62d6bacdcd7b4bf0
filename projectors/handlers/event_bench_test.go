// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"cel.dev/cel-go/cel"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/expr"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/codecs"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
)

// What one event costs: a JSON event of 300 bytes and a handler of four columns. hack/test/bench prints it.

const eventBytes = 300

func eventContract() *contract.Contract {
	return &contract.Contract{
		Topics: []contract.Topic{{Name: "orders", Format: "JSON"}},
		Models: []contract.Model{{
			Name: "order_summary", Key: []string{"order_id"},
			Columns: []contract.Column{
				{Name: "order_id", Type: "text"}, {Name: "customer", Type: "text"}, {Name: "total", Type: "decimal(12,2)", Default: ptr("0")},
				{Name: "last_at", Type: "timestamp"}, {Name: "lines", Type: "int32", Default: ptr("0")},
			},
			Handlers: []contract.Handler{{
				Name: "line-added", Topic: "orders", OnAbsent: "Create", Key: map[string]string{"order_id": "event.orderId"},
				Set: map[string]string{"customer": "event.customer.id"}, Add: map[string]string{"total": "event.price * event.quantity", "lines": "1"},
				Max: map[string]string{"last_at": "meta.time"},
			}},
		}},
	}
}

// eventRecords are lines of a thousand orders of fifty customers.
func eventRecords() []event.Record {
	out := make([]event.Record, 4096)
	for i := range out {
		order := fmt.Sprintf("order-%06d", i*7919%1000)
		body := fmt.Sprintf(`{"type":"LineAdded","orderId":%q,"customer":{"id":"customer-%04d","tier":"gold"},"sku":"SKU-%05d","price":%d.%02d,"quantity":%d,"currency":"EUR","at":"2026-03-01T12:00:00.%03dZ","note":""}`,
			order, i%50, i%313, 1+i%500, i%99+1, 1+i%7, i%1000)
		pad := make([]byte, eventBytes-len(body))
		for j := range pad {
			pad[j] = 'x'
		}
		body = body[:len(body)-2] + string(pad) + `"}`
		out[i] = event.Record{Offset: int64(i), Timestamp: 1_770_000_000_000 + int64(i), Key: []byte(order), Value: []byte(body)}
	}
	return out
}

func BenchmarkEvent(b *testing.B) {
	c, records := eventContract(), eventRecords()
	tp := event.TopicPartition{Topic: "orders"}
	for _, r := range records {
		if len(r.Value) != eventBytes {
			b.Fatalf("an event of %d bytes", len(r.Value))
		}
	}
	program, err := Compile(c, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("decode", func(b *testing.B) {
		d, err := codecs.New(&c.Topics[0], nil)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, err := d.Decode(&records[i%len(records)]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("evaluate", func(b *testing.B) { benchEvaluate(b, records) })
	b.Run("fold", func(b *testing.B) {
		ev := program.NewEvaluator()
		effects := make([]fold.Effect, 0, len(records))
		for i := range records {
			if effects, _, err = ev.Handle(tp, &records[i], effects); err != nil {
				b.Fatal(err)
			}
		}
		batch := fold.NewBatch(program.Models())
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if i%len(records) == 0 {
				batch.Reset()
			}
			if err := batch.Apply(effects[i%len(records)]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("together", func(b *testing.B) {
		ev, batch := program.NewEvaluator(), fold.NewBatch(program.Models())
		var out []fold.Effect
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if i%len(records) == 0 {
				batch.Reset()
			}
			if out, _, err = ev.Handle(tp, &records[i%len(records)], out[:0]); err != nil {
				b.Fatal(err)
			}
			if err := batch.Apply(out...); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("plain", func(b *testing.B) { benchPlain(b, records) })
}

// benchEvaluate evaluates what the handler does over events that are decoded.
func benchEvaluate(b *testing.B, records []event.Record) {
	type column struct {
		prg *expr.Program
		typ value.Type
	}
	var columns []column
	for _, c := range [][2]string{{"event.customer.id", "text"}, {"event.price * event.quantity", "decimal(12,2)"}, {"meta.time", "timestamp"}, {"1", "int32"}} {
		p, err := expr.Compile(c[0], expr.Options{})
		if err != nil {
			b.Fatal(err)
		}
		columns = append(columns, column{p, value.MustParse(c[1])})
	}
	key, cerr := expr.Compile("event.orderId", expr.Options{})
	if cerr != nil {
		b.Fatal(cerr)
	}
	docs := make([]codecs.Doc, len(records))
	for i := range records {
		var d codecs.JSON
		var err error
		if docs[i], err = d.Decode(records[i].Value); err != nil {
			b.Fatal(err)
		}
	}
	var a expr.Activation
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		a.Event, a.Time = docs[i%len(docs)].Value, records[i%len(docs)].Time()
		if _, err := key.ConvertKey(&a, value.Type{Kind: value.Text}); err != nil {
			b.Fatal(err)
		}
		for _, c := range columns {
			if _, err := c.prg.Convert(&a, c.typ); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// benchPlain is the same work as people write it: encoding/json, CEL as it comes, a map of rows. Its sums are in float64.
func benchPlain(b *testing.B, records []event.Record) {
	env, err := cel.NewEnv(cel.Variable("event", cel.DynType), cel.Variable("time", cel.TimestampType))
	if err != nil {
		b.Fatal(err)
	}
	var programs []cel.Program
	for _, src := range []string{"event.orderId", "event.customer.id", "event.price * event.quantity", "time", "1"} {
		ast, iss := env.Compile(src)
		if iss.Err() != nil {
			b.Fatal(iss.Err())
		}
		p, err := env.Program(ast, cel.EvalOptions(cel.OptOptimize))
		if err != nil {
			b.Fatal(err)
		}
		programs = append(programs, p)
	}
	type row struct {
		customer string
		total    float64
		last     time.Time
		lines    int64
	}
	rows := map[string]*row{}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%len(records) == 0 {
			clear(rows)
		}
		r := &records[i%len(records)]
		var doc map[string]any
		if err := json.Unmarshal(r.Value, &doc); err != nil {
			b.Fatal(err)
		}
		vars := map[string]any{"event": doc, "time": r.Time()}
		var results [5]any
		for j, p := range programs {
			v, _, err := p.Eval(vars)
			if err != nil {
				b.Fatal(err)
			}
			results[j] = v.Value()
		}
		key := results[0].(string)
		to := rows[key]
		if to == nil {
			to = &row{}
			rows[key] = to
		}
		to.customer = results[1].(string)
		to.total += math.Round(results[2].(float64)*100) / 100
		if at := results[3].(time.Time); at.After(to.last) {
			to.last = at
		}
		to.lines += results[4].(int64)
	}
}
