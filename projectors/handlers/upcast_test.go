// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/event"
)

// versions has events of version 1 {id, amount}, 2 {id, total, currency} and 3 {order: {id}, total, currency, by}.
func versions() *contract.Contract {
	return &contract.Contract{
		Topics: []contract.Topic{{Name: "t", EventType: "event.type", KeyedBy: "event.order.id", EventTime: "event.at", EventID: "event.order.id", Upcasts: []contract.Upcast{
			{Name: "v1", Events: []string{"Placed", "Ordered*"}, When: "!has(event.currency)", Set: exprs("currency", "'EUR'", "total", "decimal(event.amount) / 100.0", "amount", "1"), Unset: []string{"amount"}, Type: "PlacedV2"},
			{Name: "v2", Events: []string{"PlacedV2"}, Set: exprs("order.id", "event.id", "id", "event.id + '!'", "by", "headers.by"), Unset: []string{"id", "nothing.there", "total.x"}, Type: "PlacedV3"},
		}}},
		Models: []contract.Model{{
			Name: "orders", Key: []string{"id"}, Columns: []contract.Column{{Name: "id", Type: "text"}, {Name: "doc", Type: "json"}, {Name: "meta", Type: "text"}},
			Handlers: []contract.Handler{
				{Name: "placed", Topic: "t", Events: []string{"PlacedV3"}, OnAbsent: "Create", Key: exprs("id", "event.order.id"), Set: exprs("doc", "event", "meta", "meta.id + meta.type")},
			},
		}},
	}
}

func TestUpcasts(t *testing.T) {
	p := compile(t, versions())
	ev := p.NewEvaluator()
	at := `"at":"2020-01-02T03:04:05Z"`
	by := event.Header{Key: "by", Value: []byte("me")}
	for _, tt := range []struct{ name, body, want, err string }{
		{name: "from the first", body: `{"type":"Placed","id":"k1","amount":1999,` + at + `}`,
			want: `orders[k1] doc={"amount":1,"at":"2020-01-02T03:04:05Z","by":"me","currency":"EUR","id":"k1!","order":{"id":"k1"},"total":19.99,"type":"Placed"} meta=k1PlacedV3`},
		{name: "from the second", body: `{"type":"PlacedV2","id":"k1","total":"x",` + at + `,"order":{"x":1,"\u0069d":"old"}}`,
			want: `orders[k1] doc={"at":"2020-01-02T03:04:05Z","by":"me","id":"k1!","order":{"id":"k1","x":1},"total":"x","type":"PlacedV2"} meta=k1PlacedV3`},
		{name: "current", body: `{"type":"PlacedV3","order":{"id":"k1"},` + at + `}`, want: `orders[k1] doc={"at":"2020-01-02T03:04:05Z","order":{"id":"k1"},"type":"PlacedV3"} meta=k1PlacedV3`},
		{name: "by a pattern", body: `{"type":"OrderedOnline","id":"k1","amount":"5",` + at + `}`,
			want: `orders[k1] doc={"amount":1,"at":"2020-01-02T03:04:05Z","by":"me","currency":"EUR","id":"k1!","order":{"id":"k1"},"total":0.05,"type":"OrderedOnline"} meta=k1PlacedV3`},
		{name: "null where an object is made", body: `{"type":"PlacedV2","id":"k1","order":null,` + at + `}`,
			want: `orders[k1] doc={"at":"2020-01-02T03:04:05Z","by":"me","id":"k1!","order":{"id":"k1"},"type":"PlacedV2"} meta=k1PlacedV3`},
		{name: "twice the same member", body: `{"type":"PlacedV2","id":"k1","\u0069d":"k2","id":"k3",` + at + `}`,
			want: `orders[k1] doc={"at":"2020-01-02T03:04:05Z","by":"me","id":"k1!","order":{"id":"k1"},"type":"PlacedV2"} meta=k1PlacedV3`},
		{name: "no object on the way", body: `{"type":"PlacedV2","id":"k1","order":"CANARY",` + at + `}`,
			err: "HandlerError: topics[t].upcasts[v2].set.order.id: event.order is not an object, and gets a member here"},
		{name: "the condition of another version", body: `{"type":"Placed","currency":"USD",` + at + `}`},
		{name: "no value", body: `{"type":"Placed","id":"k1","amount":"CANARY",` + at + `}`,
			err: "HandlerError: topics[t].upcasts[v1].set.total: the operand of decimal(...) is not a number"},
		{name: "keyedBy sees the new payload", body: `{"type":"PlacedV2","id":"CANARY",` + at + `}`,
			err: "KeyMismatch: topics[t].keyedBy: the message key is not the text of event.order.id: correct keyedBy, or the producer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, r, err := handle(ev, tt.body, event.Header{Key: by.Key, Value: []byte("me")})
			switch {
			case tt.err != "":
				wantError(t, err, tt.err)
			case err != nil:
				t.Error(err)
			case tt.want == "":
				if r != IgnoredType {
					t.Error(r, showAll(p, out))
				}
			default:
				if diff := cmp.Diff([]string{tt.want}, showAll(p, out)); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
	rec := &event.Record{Key: []byte("k1"), Value: []byte(`{"type":"Placed","id":"k1","amount":1999,` + at + `}`), Headers: []event.Header{{Key: "by", Value: []byte("me")}}}
	_, o, err := ev.Handle(event.TopicPartition{Topic: "t"}, rec, nil)
	if err != nil || !o.Time.Equal(time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)) {
		t.Error(o, err)
	}
}

// What an upcast sets reads as it would in a payload, whatever it is.
func TestUpcastKeepsValues(t *testing.T) {
	c := one(contract.Model{
		Name: "m", Key: []string{"id"}, Columns: []contract.Column{{Name: "id", Type: "text"}, {Name: "a", Type: "json"}, {Name: "b", Type: "json"}},
		Handlers: []contract.Handler{{Name: "h", Topic: "t", OnAbsent: "Create", Key: exprs("id", "'x'"), Set: exprs("a", "event.a", "b", "event.copy")}},
	})
	c.Topics[0].Upcasts = []contract.Upcast{{Name: "u", Set: exprs("copy", "event.a")}}
	p := compile(t, c)
	ev := p.NewEvaluator()
	for _, a := range []string{
		`"a\"\u007f\u00a0\u0001é\\\/\ud83d\ude00"`, `9223372036854775808`, `-0.10`, `1e400`, `1E-7`, `[1,[2,{"\u0061":null}]]`, `{"a":1,"a":2}`, `true`, `null`, `""`,
		strings.Repeat("[", 200) + strings.Repeat("]", 200),
	} {
		out, _, err := handle(ev, `{"a":`+a+`}`)
		if err != nil {
			t.Errorf("%.40s: %v", a, err)
			continue
		}
		if ch := out[0].Changes; ch[0].Operand != ch[1].Operand {
			t.Errorf("%.40s: %v became %v", a, ch[0].Operand, ch[1].Operand)
		}
	}
}

// An upcast of every event at a topic without types.
func TestUpcastGivesTypes(t *testing.T) {
	c := one(count("a", typed("x", "X"), typed("y", "Y")))
	c.Topics[0].EventType = ""
	c.Topics[0].Upcasts = []contract.Upcast{{Name: "x", When: "has(event.x)", Type: "X"}, {Name: "y", When: "!has(event.x)", Type: "Y"}}
	p := compile(t, c)
	for body, want := range map[string]string{`{"x":1}`: "x", `{}`: "y"} {
		if out := mustHandle(t, p.NewEvaluator(), body); len(out) != 1 || out[0].Key[0] != want {
			t.Error(body, showAll(p, out))
		}
	}
}
