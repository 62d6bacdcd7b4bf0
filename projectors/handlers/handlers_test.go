// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
)

func orders() *contract.Contract {
	return &contract.Contract{
		Topics: []contract.Topic{
			{Name: "orders", Format: "JSON", KeyedBy: "event.orderId", EventType: "event.type", EventTime: "event.at", EventID: "headers.id"},
			{Name: "raw", Format: "JSON"},
		},
		Models: []contract.Model{
			{
				Name: "order_summary", Key: []string{"order_id"},
				Columns: []contract.Column{
					{Name: "order_id", Type: "text"}, {Name: "status", Type: "text"},
					{Name: "total", Type: "decimal(12,2)", Default: ptr("0")}, {Name: "lines", Type: "int32", Default: ptr("0")},
					{Name: "placed_at", Type: "timestamp"}, {Name: "worst", Type: "int64"}, {Name: "seen", Type: "text[]"},
				},
				Handlers: []contract.Handler{
					{Name: "placed", Topic: "orders", Events: []string{"OrderPlaced"}, OnAbsent: "Create",
						Key: map[string]string{"order_id": "event.orderId"}, Set: map[string]string{"status": "'placed'", "placed_at": "meta.time"}},
					{Name: "line-added", Topic: "orders", Events: []string{"LineAdded"}, OnAbsent: "Ignore", When: "event.quantity > 0",
						Key: map[string]string{"order_id": "event.orderId"},
						Add: map[string]string{"total": "event.price * event.quantity", "lines": "1"}, Max: map[string]string{"worst": "event.quantity"},
						Append: map[string]string{"seen": "event.sku"}},
					{Name: "erased", Topic: "orders", Events: []string{"OrderErased"}, OnAbsent: "Ignore",
						Key: map[string]string{"order_id": "event.orderId"}, Delete: true},
					{Name: "ids", Topic: "orders", Events: []string{"Identified"}, OnAbsent: "Create",
						Key: map[string]string{"order_id": "event.orderId"}, Set: map[string]string{"status": "meta.id + meta.type + string(meta.partition)"}},
				},
			},
			{
				Name: "everything", Key: []string{"topic"},
				Columns: []contract.Column{{Name: "topic", Type: "text"}, {Name: "n", Type: "int64"}, {Name: "doc", Type: "json"}},
				Handlers: []contract.Handler{
					{Name: "count", Topic: "raw", OnAbsent: "Create", Key: map[string]string{"topic": "meta.topic"}, Add: map[string]string{"n": "1"}, Set: map[string]string{"doc": "event"}},
					{Name: "orders", Topic: "orders", When: "event.type == 'LineAdded'", OnAbsent: "Create", Key: map[string]string{"topic": "meta.topic"}, Add: map[string]string{"n": "event.n"}},
				},
			},
		},
	}
}

func TestHandle(t *testing.T) {
	p, err := Compile(orders(), nil)
	if err != nil {
		t.Fatal(err)
	}
	recordTime := time.UnixMilli(1_600_000_000_000).UTC()
	eventTime := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	at := `"at":"2020-01-02T03:04:05Z"`
	tests := []struct {
		name, topic, key, body string
		tombstone, nullKey     bool
		result                 Result
		time                   time.Time
		effects                []string
		reason, path, message  string
	}{
		{name: "set", topic: "orders", key: "o1", body: `{"type":"OrderPlaced","orderId":"o1",` + at + `}`, result: Applied, time: eventTime,
			effects: []string{"order_summary[o1] status=placed placed_at=2020-01-02T03:04:05Z"}},
		{name: "add, max, append, two models in order", topic: "orders", key: "o1",
			body: `{"type":"LineAdded","orderId":"o1","price":0.335,"quantity":3,"sku":"A","n":2,` + at + `}`, result: Applied, time: eventTime,
			effects: []string{"order_summary[o1] ignore-absent total+=1.01 lines+=1 worst^=3 seen<<A", "everything[orders] n+=2"}},
		{name: "when false for one", topic: "orders", key: "o1", body: `{"type":"LineAdded","orderId":"o1","quantity":0,"n":null,` + at + `}`, result: Applied, time: eventTime,
			effects: []string{"everything[orders] n+=NULL"}},
		{name: "delete", topic: "orders", key: "o1", body: `{"type":"OrderErased","orderId":"o1",` + at + `}`, result: Applied, time: eventTime,
			effects: []string{"order_summary[o1] delete ignore-absent"}},
		{name: "meta", topic: "orders", key: "o1", body: `{"type":"Identified","orderId":"o1",` + at + `}`, result: Applied, time: eventTime,
			effects: []string{"order_summary[o1] status=id-7Identified2"}},
		{name: "every type, when false", topic: "orders", key: "nobody's", body: `{"type":"Other",` + at + `}`, result: IgnoredWhen, time: recordTime},
		{name: "topic without types", topic: "raw", nullKey: true, body: ` {"b":[1.50,null,{"x":"é\n"}],"a":5.0} `, result: Applied, time: recordTime,
			effects: []string{`everything[raw] n+=1 doc={"a":5,"b":[1.50,null,{"x":"é\n"}]}`}},
		{name: "tombstone", topic: "orders", key: "o1", tombstone: true, result: IgnoredTombstone, time: recordTime},
		{name: "unknown topic", topic: "other", key: "o1", body: `not read`, result: IgnoredType, time: recordTime},
		{name: "not JSON", topic: "orders", key: "o1", body: `{"type":CANARY}`, reason: ReasonDecodeError, message: "the payload is not JSON, or is nested deeper than 300 levels"},
		{name: "empty", topic: "orders", key: "o1", body: ``, reason: ReasonDecodeError, message: "the payload is empty"},
		{name: "no type", topic: "orders", key: "o1", body: `{}`, reason: ReasonHandlerError, path: "topics[orders].eventType",
			message: "event.type is missing (write event.?type.orValue(...) if it may be)"},
		{name: "type of another type", topic: "orders", key: "o1", body: `{"type":5}`, reason: ReasonHandlerError, path: "topics[orders].eventType", message: "event.type is an int, expected a string"},
		{name: "bad time", topic: "orders", key: "o1", body: `{"type":"OrderPlaced","orderId":"o1","at":"CANARY"}`, reason: ReasonHandlerError, path: "topics[orders].eventTime",
			message: "event.at is a string that is not a timestamp in RFC 3339 form, such as 2006-01-02T15:04:05Z"},
		{name: "null time", topic: "orders", key: "o1", body: `{"type":"OrderPlaced","orderId":"o1","at":null}`, reason: ReasonHandlerError, path: "topics[orders].eventTime",
			message: "event.at is null, expected a timestamp"},
		{name: "key mismatch", topic: "orders", key: "CANARY", body: `{"type":"OrderPlaced","orderId":"o1",` + at + `}`, reason: ReasonKeyMismatch, path: "topics[orders].keyedBy",
			message: "the message key is not the text of event.orderId: correct keyedBy, or the producer"},
		{name: "null key", topic: "orders", nullKey: true, body: `{"type":"OrderPlaced","orderId":"o1",` + at + `}`, reason: ReasonKeyMismatch, path: "topics[orders].keyedBy",
			message: "the message key is null, and the topic is declared to be keyed by event.orderId: correct the producer, or remove keyedBy"},
		{name: "string times number", topic: "orders", key: "o1", body: `{"type":"LineAdded","orderId":"o1","price":"CANARY","quantity":3,"sku":"A","n":2,` + at + `}`,
			reason: ReasonHandlerError, path: "models[order_summary].handlers[line-added].add.total", message: "event.price is a string, expected a number"},
		{name: "missing operand", topic: "orders", key: "o1", body: `{"type":"LineAdded","orderId":"o1","price":1,"quantity":3,"n":2,` + at + `}`,
			reason: ReasonHandlerError, path: "models[order_summary].handlers[line-added].append.seen", message: "event.sku is missing (write event.?sku.orValue(...) if it may be)"},
		{name: "overflow", topic: "orders", key: "o1", body: `{"type":"LineAdded","orderId":"o1","price":99999999999,"quantity":3,"sku":"a","n":2,` + at + `}`,
			reason: ReasonHandlerError, path: "models[order_summary].handlers[line-added].add.total", message: "event.price * event.quantity is too large for decimal(12,2)"},
		{name: "second model fails", topic: "orders", key: "o1", body: `{"type":"LineAdded","orderId":"o1","price":1,"quantity":3,"sku":"a","n":"CANARY",` + at + `}`,
			reason: ReasonHandlerError, path: "models[everything].handlers[orders].add.n", message: "event.n is a string, expected a number"},
		{name: "condition is no bool", topic: "orders", key: "o1", body: `{"type":"LineAdded","orderId":"o1","quantity":"CANARY",` + at + `}`,
			reason: ReasonHandlerError, path: "models[order_summary].handlers[line-added].when", message: "event.quantity is a string, expected a number"},
	}
	ev := p.NewEvaluator()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rec := &event.Record{Offset: 7, Timestamp: recordTime.UnixMilli(), Key: []byte(tt.key), Value: []byte(tt.body), Headers: []event.Header{{Key: "id", Value: []byte("id-7")}}}
			if tt.nullKey {
				rec.Key = nil
			}
			if tt.tombstone {
				rec.Value = nil
			}
			before := []fold.Effect{{Model: 99}}
			out, o, err := ev.Handle(event.TopicPartition{Topic: tt.topic, Partition: 2}, rec, before)
			// Nothing may be left of the buffers.
			for _, b := range [][]byte{rec.Value, rec.Key, rec.Headers[0].Value} {
				for i := range b {
					b[i] = '#'
				}
			}
			if ev.last != nil {
				_, _ = ev.last.decoder.Decode(&event.Record{Value: []byte(`{"x":"` + strings.Repeat("#", 300) + `"}`)})
			}
			if tt.reason != "" {
				var e *EventError
				if !errors.As(err, &e) {
					t.Fatalf("error %v", err)
				}
				if diff := cmp.Diff(EventError{tt.reason, tt.path, tt.message}, *e); diff != "" {
					t.Error(diff)
				}
				if strings.Contains(err.Error(), "CANARY") {
					t.Error("the error carries a value")
				}
				if len(out) != 1 {
					t.Errorf("%d effects beside an error", len(out)-1)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range out[1:] {
				got = append(got, show(p.Models(), e))
			}
			if diff := cmp.Diff(tt.effects, got); diff != "" {
				t.Error(diff)
			}
			if o.Result != tt.result || !o.Time.Equal(tt.time) {
				t.Errorf("outcome %v at %v", o.Result, o.Time)
			}
		})
	}
}

func TestCompileNamesEveryFault(t *testing.T) {
	c := orders()
	m := &c.Models[0]
	m.Columns = append(m.Columns, contract.Column{Name: "f", Type: "float64"}, contract.Column{Name: "twice", Type: "int64", Generated: "row.later"},
		contract.Column{Name: "later", Type: "int64", Generated: "1"}, contract.Column{Name: "must", Type: "text", NotNull: true}, contract.Column{Name: "v", Type: "int64"})
	m.Versions = []contract.VersionGroup{{Column: "v", Columns: []string{"status"}}}
	m.Checks = []contract.Check{{Name: "c", Rule: "row.lines + 1"}}
	h := &m.Handlers[0]
	h.Set["nope"] = "1"
	h.Set["order_id"] = "1"
	h.Set["total"] = "'x'"
	h.Set["lines"] = "event."
	h.Set["placed_at"] = "item.n"
	h.Add = map[string]string{"f": "1", "status": "1"}
	h.When = "5"
	h.SetOnce = map[string]string{"lines": "1", "total": "1"}
	h.Unset = []string{"must", "v"}
	h.Merge = map[string]string{"seen": "event"}
	h.Min = map[string]string{"later": "1", "worst": "row.nope"}
	m.Handlers[1].Topic = "missing"
	m.Handlers[2].Set = map[string]string{"lines": "3000000000"}
	m.Handlers[3].Key = map[string]string{"status": "1"}
	m.Handlers = append(m.Handlers,
		contract.Handler{Name: "both", Topic: "orders", Key: map[string]string{"order_id": "row.status"}, Where: map[string]string{"status": "'x'"}, Events: []string{"A"}, Default: true},
		contract.Handler{Name: "no-where", Topic: "orders", Where: map[string]string{"nope": "'x'", "lines": "row.lines"}, VersionBy: &contract.VersionBy{Column: "worst", Value: "1"}},
		contract.Handler{Name: "tomb", Topic: "orders", Tombstone: true, Key: map[string]string{"order_id": "event.id"}, VersionBy: &contract.VersionBy{Column: "v", Value: "null"}})
	c.Topics[0].Upcasts = []contract.Upcast{{Name: "u", Set: map[string]string{"a..b": "1", "b": "bytes('x')"}, When: "5", Unset: []string{""}}, {Name: "v"}}
	c.Models[1].Handlers[0].Events = []string{"X"}
	c.Models[1].Key = append(c.Models[1].Key, "doc")
	c.Topics[0].KeyedBy = "meta.time"
	c.Topics[1].Format = "CSV"
	_, err := Compile(c, nil)
	if err == nil {
		t.Fatal("compiled")
	}
	for _, want := range []string{
		`models[order_summary].handlers[placed].set.nope: model order_summary has no column nope`,
		`models[order_summary].handlers[placed].set.order_id: column order_id is part of the key`,
		`models[order_summary].handlers[placed].set.total: type mismatch: the column is decimal(12,2), and "x" is a string, expected a number`,
		`models[order_summary].handlers[placed].set.lines: column 7: `,
		`models[order_summary].handlers[placed].add.f: add does not work on column f of type float64`,
		`models[order_summary].handlers[placed].add.status: column status is in set as well`,
		`models[order_summary].handlers[placed].when: a condition is a bool, and this is int`,
		`models[order_summary].handlers[line-added].topic: the projection has no topic missing`,
		`models[order_summary].handlers[erased].set.lines: type mismatch: the column is int32, and 3000000000 is out of the range of int32`,
		`models[order_summary].handlers[erased].delete: a handler that deletes the row changes no column of it`,
		`models[order_summary].handlers[ids].key: key column order_id has no expression`,
		`models[everything].handlers[count].events: EventTopic raw does not say where the event type is found`,
		`models[everything].key: column doc is json, which cannot be part of a key`,
		`models[order_summary].columns[twice].generated: column later is generated and not declared before this one: move it up`,
		`models[order_summary].checks[c]: a condition is a bool, and this is int`,
		`models[order_summary].handlers[placed].setOnce.lines: column lines is in set as well`,
		`models[order_summary].handlers[placed].setOnce.total: column total is in set as well`,
		`models[order_summary].handlers[placed].unset: column must is notNull: set it to a value`,
		`models[order_summary].handlers[placed].unset: column v is a version column; versionBy alone writes it`,
		`models[order_summary].handlers[placed].merge.seen: merge does not work on column seen of type text[]`,
		`models[order_summary].handlers[placed].min.later: column later is generated; no handler writes it`,
		`models[order_summary].handlers[placed].min.worst: column 1: there is no column nope in the row`,
		`models[order_summary].handlers[placed].set.placed_at: column 1: item is there in a handler with forEach only`,
		`models[order_summary].handlers[both]: give one of events, default and tombstone`,
		`models[order_summary].handlers[both]: give key (the row to change) or where (all rows that match), not both`,
		`models[order_summary].handlers[no-where].where.nope: model order_summary has no column nope`,
		`models[order_summary].handlers[no-where].where.lines: column 1: `,
		`models[order_summary].handlers[no-where].versionBy.worst: worst is no version column: name it in versions of model order_summary`,
		`models[order_summary].handlers[tomb].key.order_id: column 1: event is not there`,
		`models[order_summary].handlers[tomb].versionBy.v: null is null, and a version is never null`,
		`topics[orders].upcasts[u].set.a..b: a member is a name, or names with points between them, such as customer.id`,
		`topics[orders].upcasts[u].unset: a member is a name`,
		`topics[orders].upcasts[u].set.b: the expression is a bytes, which JSON cannot hold`,
		`topics[orders].upcasts[u].when: a condition is a bool, and this is int`,
		`topics[orders].upcasts[v]: give at least one of set, unset and type`,
		`topics[orders].keyedBy: column 1: meta.time is not there yet`,
		`topics[raw].format: unknown format "CSV"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
}

func TestCompileNamesBadColumns(t *testing.T) {
	for path, col := range map[string]contract.Column{
		"models[order_summary].columns[bad].type:":   {Name: "bad", Type: "varchar"},
		"models[order_summary].columns[bad].default": {Name: "bad", Type: "int32", Default: ptr("x")},
	} {
		c := orders()
		c.Models[0].Columns = append(c.Models[0].Columns, col)
		if _, err := Compile(c, nil); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("no %q in %v", path, err)
		}
	}
}

// Three adds of 0.004 to decimal(12,2) are three zeros: operands are rounded before they are folded.
func TestOperandsAreConvertedBeforeTheFold(t *testing.T) {
	c := orders()
	c.Models[0].Handlers[1].When, c.Topics[0].EventID = "", ""
	p, err := Compile(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	ev := p.NewEvaluator()
	total := value.MustParse("decimal(12,2)")
	for in, want := range map[string]string{"0.004": "0.00", "0.005": "0.01", "-0.005": "-0.01", "1.994999": "1.99", "1e3": "1000.00"} {
		out, _, err := ev.Handle(event.TopicPartition{Topic: "orders"}, &event.Record{Key: []byte("o"),
			Value: []byte(`{"type":"LineAdded","orderId":"o","price":` + in + `,"quantity":1,"sku":"s","n":1,"at":"2020-01-01T00:00:00Z"}`)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := total.Format(out[0].Changes[0].Operand); got != want {
			t.Errorf("%s became %s, want %s", in, got, want)
		}
	}
}
