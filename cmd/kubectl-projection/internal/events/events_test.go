// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package events_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/events"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/handlers"
)

var at = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// maker makes events for topics of every sort of payload.
func maker(t *testing.T) *events.Maker {
	t.Helper()
	c := &contract.Contract{Topics: []contract.Topic{
		{Name: "json", Format: "JSON", KeyedBy: "event.id"},
		{Name: "object-key", Format: "JSON", KeyFormat: "JSON", KeyField: "id", KeyedBy: "event.id"},
		{Name: "upcast", Format: "JSON", KeyedBy: "event.id", Upcasts: []contract.Upcast{{Name: "old", When: "has(event.oldId)", Set: map[string]string{"id": "event.oldId"}}}},
		{Name: "text", Format: "Text"}, {Name: "bytes", Format: "Bytes"},
		{Name: "avro", Format: "Avro", KeyFormat: "Avro", KeyField: "id", KeyedBy: "event.id"},
	}}
	p, err := handlers.Compile(events.WithoutRegistry(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	return events.NewMaker(c.Topics, p.NewEvaluator(), at)
}

// show is an event in one line.
func show(e events.Event) string {
	text := func(b []byte) string {
		if b == nil {
			return "null"
		}
		return string(b)
	}
	var headers []string
	for _, h := range e.Record.Headers {
		headers = append(headers, h.Key+"="+string(h.Value))
	}
	return fmt.Sprintf("%s/%d %s %v %s: %s", e.Topic, e.Partition, e.Record.Time().Format(time.RFC3339), headers, text(e.Record.Key), text(e.Record.Value))
}

func TestLines(t *testing.T) {
	for _, c := range []struct{ name, topic, line, want string }{
		{"the key is made by keyedBy", "", `{"topic": "json", "value": {"id": 7, "n": 1.50}}`, `json/-1 2026-03-01T08:00:00Z [] 7: {"id": 7, "n": 1.50}`},
		{"what an upcast makes counts", "", `{"topic": "upcast", "value": {"oldId": "a"}}`, `upcast/-1 2026-03-01T08:00:00Z [] a: {"oldId": "a"}`},
		{"in the form of the topic's keys", "", `{"topic": "object-key", "value": {"id": "a"}}`, `object-key/-1 2026-03-01T08:00:00Z [] {"id":"a"}: {"id": "a"}`},
		{"past a codec with a registry", "", `{"topic": "avro", "value": {"id": "a"}}`, `avro/-1 2026-03-01T08:00:00Z [] a: {"id": "a"}`},
		{"a key that is given stands", "", `{"topic": "json", "key": "k", "value": {"id": 7}}`, `json/-1 2026-03-01T08:00:00Z [] k: {"id": 7}`},
		{"a null key, too", "", `{"topic": "json", "key": null, "value": {"id": 7}}`, `json/-1 2026-03-01T08:00:00Z [] null: {"id": 7}`},
		{"a key that is no text", "", `{"topic": "json", "key": 7, "value": {"id": 7}}`, `json/-1 2026-03-01T08:00:00Z [] 7: {"id": 7}`},
		{"no key to be made", "", `{"topic": "json", "value": {}}`, `json/-1 2026-03-01T08:00:00Z [] null: {}`},
		{"everything said", "", `{"topic": "json", "partition": 2, "time": "2026-01-02T03:04:05Z", "headers": {"b": "2", "a": "1"}, "value": []}`, `json/2 2026-01-02T03:04:05Z [a=1 b=2] null: []`},
		{"a tombstone", "", `{"topic": "json", "key": "k", "tombstone": true}`, `json/-1 2026-03-01T08:00:00Z [] k: null`},
		{"text", "", `{"topic": "text", "value": "a\nb"}`, "text/-1 2026-03-01T08:00:00Z [] null: a\nb"},
		{"bytes", "", `{"topic": "bytes", "value": "aGk="}`, "bytes/-1 2026-03-01T08:00:00Z [] null: hi"},
		{"base64", "", `{"topic": "json", "base64": "aGk="}`, "json/-1 2026-03-01T08:00:00Z [] null: hi"},
		{"a payload alone keeps its bytes", "json", `{"id": 1,  "id": 2}`, `json/-1 2026-03-01T08:00:00Z [] 1: {"id": 1,  "id": 2}`},
		{"a text alone", "text", `not "JSON"`, `text/-1 2026-03-01T08:00:00Z [] null: not "JSON"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for e, err := range maker(t).Lines("f", strings.NewReader("\n"+c.line+"\n\n"), c.topic) {
				if err != nil {
					t.Fatal(err)
				}
				if e.Place != "f:2" {
					t.Errorf("place %s, want f:2", e.Place)
				}
				got = append(got, show(e))
			}
			if len(got) != 1 || got[0] != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestWrongLines(t *testing.T) {
	for line, want := range map[string]string{
		`{"topic": "json", "value": {`:                                 "it is not JSON",
		`{"topic": "json", "value": {}} {}`:                            "there is more in the line than one object",
		`{"topic": "json", "secret": 1}`:                               `unknown field "secret"`,
		`{"topic": "json", "partition": "one", "value": {}}`:           "field partition has the wrong type",
		`{"value": {}}`:                                                "the event says no topic",
		`{"topic": "nowhere", "value": {}}`:                            `there is no topic "nowhere" here`,
		`{"topic": "json"}`:                                            "the event has no payload",
		`{"topic": "json", "partition": -1, "value": {}}`:              "partition is negative",
		`{"topic": "json", "time": "noon", "value": {}}`:               "time is not in RFC 3339 form",
		`{"topic": "json", "file": "x"}`:                               "a file of events cannot name another file",
		`{"topic": "text", "value": {}}`:                               "give value as text",
		`{"topic": "bytes", "value": "hidden?"}`:                       "give value as base64",
		`{"topic": "avro", "text": "hidden"}`:                          "needs the schema registry; give value",
		`{"topic": "json", "key": ["hidden"], "value": {"type": "x"}}`: "field key has the wrong type",
	} {
		var got error
		for _, err := range maker(t).Lines("f", strings.NewReader(line), "") {
			got = err
		}
		switch {
		case got == nil || !strings.Contains(got.Error(), want) || !strings.HasPrefix(got.Error(), "f:1: "):
			t.Errorf("%s gives %v, want %q with its place", line, got, want)
		case strings.Contains(got.Error(), "hidden"):
			t.Errorf("%s: the message holds a value: %v", line, got)
		}
	}
}

// TestLinesStay: an event keeps its bytes when lines behind it are read into the same buffer.
func TestLinesStay(t *testing.T) {
	const n = 10_000
	for topic, form := range map[string]string{"json": "%s\n", "": `{"topic": "json", "value": %s}` + "\n"} {
		value := func(i int) string { return fmt.Sprintf(`{"id": %d}`, i) }
		var lines strings.Builder
		for i := range n {
			fmt.Fprintf(&lines, form, value(i))
		}
		var all []events.Event
		for e, err := range maker(t).Lines("f", strings.NewReader(lines.String()), topic) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, e)
		}
		if len(all) != n {
			t.Fatalf("with topic %q there are %d events, want %d", topic, len(all), n)
		}
		for i := range all {
			if got := string(all[i].Record.Value); got != value(i) {
				t.Fatalf("with topic %q event %d has become %s", topic, i, got)
			}
		}
	}
}
